"""How long what is left will take: as predicted at first, at the pace of what is done later."""

_TRUST = 0.1  # share of all predicted seconds that counts as if it had been done, just as fast as predicted


def seconds_left(left: float, spent: float, elapsed: float, workers: int = 1) -> float:
    """Return the seconds that the blocks which are left should take.

    The pace counts by what was predicted: a few cheap blocks at the start say little about dear ones.

    Parameters
    ----------
    left, spent : float
        Predicted seconds, on one core, of the blocks that are left and of those that are done.
    elapsed : float
        Seconds that the latter took, side by side.
    workers : int
        How many are solved at once.
    """
    left = max(left, 0.0)
    trusted = _TRUST * (left + spent)
    return left * (elapsed + trusted / workers) / max(spent + trusted, 1e-30)
