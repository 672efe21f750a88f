"""What is known of a point: the codes of the variables `status` and `verdict`."""

from qbsweep.physics.verdicts import (
    CERTIFIED,
    CONVERGED,
    EXACT,
    NUMERICAL_TOLERANCE,
    STATISTICAL,
    SUSPECT_BRANCHES,
    SUSPECT_NUMERICS,
    SUSPECT_TRUNCATION,
)

PENDING, OK, FAILED, SUSPECT = 0, 1, 2, 3
STATUS_NAMES = {PENDING: "pending", OK: "ok", FAILED: "failed", SUSPECT: "suspect"}

VERDICTS = {
    EXACT: "solved by equations without approximation, to rounding",
    CERTIFIED: "truncated, and compared with the exact moments, or nothing was cut off",
    CONVERGED: "truncated, and every test passed: more levels, classical branches, the gap, the leak",
    STATISTICAL: "an average over samples, with its standard error",
    SUSPECT_TRUNCATION: "the truncation error, or the population of a highest level, exceeds the tolerance",
    SUSPECT_BRANCHES: "the levels miss a classical branch of the state, or its branches are not told apart",
    SUSPECT_NUMERICS: f"the numerical error exceeds {NUMERICAL_TOLERANCE:g}, or what the smallest energy allows",
}
"""Who vouches for a point, or why nobody does."""

NO_VERDICT = 0
"""The code of a point that is pending or has failed."""
VERDICT_NAMES = {NO_VERDICT: "none", **dict(enumerate(VERDICTS, start=1))}
VERDICT_CODES = {name: code for code, name in VERDICT_NAMES.items()}
