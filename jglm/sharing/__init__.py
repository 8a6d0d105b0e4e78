"""Rows shared out over devices and processes: the same fit, of which only sums travel."""
