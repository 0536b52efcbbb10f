"""A town's readings on their way into the log, their faults, and the ledger of what is true."""
