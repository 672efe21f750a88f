"""How values, names, times and sizes are written for people."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 40


def choices(valid: Iterable[object]) -> str:
    """List the valid names as prose: ``'a', 'b' or 'c'``."""
    names = [f"'{name}'" for name in valid]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def shown(value: object) -> str:
    """Write a value of the user's on one line, shortened if it is long."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    try:
        text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return f"the text '{text}'" if isinstance(value, str) else text


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say that `name` is not a valid `what`, and which name was probably meant."""
    names = list(valid)
    near = get_close_matches(str(name), names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"it must be {choices(names)}"
    return f"{what} {shown(name).removeprefix('the text ')} is not known; {hint}"


def duration(seconds: float) -> str:
    """Write seconds as a person would: 0.4 s, 12 s, 3 min, 5.2 h, 2.1 days."""
    if seconds < 0.05:
        return "under 0.1 s"
    for unit, size, limit in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172800.0)):
        if seconds < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def size_of(count: float) -> str:
    """Write bytes as a person would."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
