"""What a fit says of its coefficients: covariances, tests, intervals, effects."""
