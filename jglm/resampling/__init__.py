"""Fits under other weights of the rows: the bootstrap, and derivatives in the weights."""
