"""Fits at many strengths of a penalty: paths and cross-validation."""
