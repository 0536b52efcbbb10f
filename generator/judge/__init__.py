"""How real the drawn curves are: distances, classifiers, an attack, a report."""
