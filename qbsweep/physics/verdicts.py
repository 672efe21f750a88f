"""The words for how far a solution can be trusted, and the numerical error from which it cannot."""

EXACT, CERTIFIED, CONVERGED, STATISTICAL = "exact", "certified", "converged", "statistical"
SUSPECT_TRUNCATION, SUSPECT_BRANCHES, SUSPECT_NUMERICS = "suspect-truncation", "suspect-branches", "suspect-numerics"

NUMERICAL_TOLERANCE = 1e-9
"""Largest `numerical_error` of a point that is not suspect."""
