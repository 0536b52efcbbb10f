"""Forecasts of load curves: compiled additive models that keep learning. numpy alone.

docs/forecast.md has the formulas, the artefact's format and the figures.
"""
