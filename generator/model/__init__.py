"""What is learnt of homes, its artefact, and how curves are drawn from it."""
