"""What actuaries ask of data and of a fit: one-way tables, rating tables, balance, levels in groups."""
