"""The published sample of tests/cli, for the readers."""

from tests.cli.conftest import sample_directory, sampled

__all__ = ["sample_directory", "sampled"]
