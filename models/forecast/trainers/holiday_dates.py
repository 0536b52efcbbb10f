"""Dates of public holidays, by the `holidays` package: they are written into the artefact."""

from __future__ import annotations

import numpy as np

from models.forecast.calendar import Days
from wattstorm.errors import UsageError

YEARS_AHEAD = 12
"""An artefact knows the holidays of so many years after its training."""


def holiday_dates(country: str, subdivision: str, first: int, last: int) -> Days:
    """datetime64[D], sorted: the holidays of a country ("FR", "AU") and its part ("VIC", "")."""
    if not country:
        return np.array([], "datetime64[D]")
    try:
        import holidays
    except ImportError as error:
        what = f"the holidays of {country} need the package `holidays`: {error}"
        raise UsageError(what, "pip install 'wattstorm[models]', or give no country") from error
    years = range(first, last + YEARS_AHEAD + 1)
    try:
        found = holidays.country_holidays(country, subdiv=subdivision or None, years=years)
    except NotImplementedError as error:
        what = f"holidays of country {country!r}, part {subdivision!r}, are not known"
        raise UsageError(what, "give an ISO code such as FR or AU, or none") from error
    return np.array(sorted(found), "datetime64[D]")
