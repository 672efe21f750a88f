"""Fock levels by role, and the label that stands for them on an axis: ``charger 12, battery 2``."""

import re
from collections.abc import Mapping

ROLES = ("charger", "battery")
QUBIT = 2
"""Levels by role that make a qubit of a mode."""

_LABEL = re.compile(", ".join(rf"{role} (\d+)" for role in ROLES))


def levels_label(by_role: Mapping[str, int]) -> str:
    """Return the label of levels by role."""
    return ", ".join(f"{role} {by_role[role]}" for role in ROLES)


def levels_by_role(label: object) -> dict[str, int] | None:
    """Return what a label stands for, None if it is none: a number, or auto."""
    found = _LABEL.fullmatch(label) if isinstance(label, str) else None
    return None if found is None else {role: int(count) for role, count in zip(ROLES, found.groups(), strict=True)}
