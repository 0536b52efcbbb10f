"""Homes with what stands beside them: layers, a register, files of their curves."""
