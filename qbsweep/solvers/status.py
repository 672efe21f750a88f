"""What is known of a point: the codes of the variables `status` and `verdict`."""

PENDING, OK, FAILED, SUSPECT = 0, 1, 2, 3
STATUS_NAMES = {PENDING: "pending", OK: "ok", FAILED: "failed", SUSPECT: "suspect"}

EXACT, CERTIFIED, CONVERGED, STATISTICAL = "exact", "certified", "converged", "statistical"
SUSPECT_TRUNCATION, SUSPECT_BRANCHES, SUSPECT_NUMERICS = "suspect-truncation", "suspect-branches", "suspect-numerics"
VERDICTS = {
    EXACT: "solved by equations without approximation, to rounding",
    CERTIFIED: "truncated, and compared with the exact moments, or nothing was cut off",
    CONVERGED: "truncated, and every test passed: more levels, classical branches, the gap, the leak",
    STATISTICAL: "an average over samples, with its standard error",
    SUSPECT_TRUNCATION: "the truncation error, or the population of a highest level, exceeds the tolerance",
    SUSPECT_BRANCHES: "the levels miss a classical branch of the state, or its branches are not told apart",
    SUSPECT_NUMERICS: "the numerical error exceeds 1e-9",
}
"""Who vouches for a point, or why nobody does."""

NO_VERDICT = 0
"""The code of a point that is pending or has failed."""
VERDICT_NAMES = {NO_VERDICT: "none", **dict(enumerate(VERDICTS, start=1))}
VERDICT_CODES = {name: code for code, name in VERDICT_NAMES.items()}

NUMERICAL_TOLERANCE = 1e-9
"""Largest `numerical_error` of a point that is not suspect."""
