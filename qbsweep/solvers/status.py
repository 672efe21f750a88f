"""The verdict on a point: the codes of the variable `status`."""

PENDING, OK, FAILED, SUSPECT = 0, 1, 2, 3
STATUS_NAMES = {PENDING: "pending", OK: "ok", FAILED: "failed", SUSPECT: "suspect"}
