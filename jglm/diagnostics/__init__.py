"""What rows and columns say about a fit: residuals, leverage, collinearity, groups, separation."""
