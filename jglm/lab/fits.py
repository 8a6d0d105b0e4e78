"""Fits of a few points, with what they warn of said on the page."""

import warnings

import jglm


def quiet(X, y, **options):
    """(the fit, its warnings as a list of texts)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = jglm.fit(X, y, **options)
    return fit, [str(warning.message) for warning in caught]
