"""The mathematics of a family: what follows from a(eta), and stable forms where the plain one loses digits."""
