"""Model files: what a fit is on disk, and back."""
