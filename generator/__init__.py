"""The generator (see docs to come)."""
