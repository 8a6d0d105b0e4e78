"""Predictions held against what happened: sums and means by group, lift, Lorenz curves."""
