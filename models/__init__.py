"""Mathematics without streams: SAX words, and scores of meters' days. numpy and numba alone.

    from models.sax import words, spelt, mindist          # curves → words
    from models.household import HouseholdScale           # words on the home's own scale
    from models.motifs import Motifs                      # how common is a word among peers
    from models.score import Segments, score, learn       # states and a day → scores; close the day
    from models.calibration import Cohorts, meter_p_values
    from models.explain import explain                    # why, in Wh

docs/sax.md has the formulas, the state's bytes and what a score means.
"""
