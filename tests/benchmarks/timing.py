"""Time functions against each other in one process: medians, and ratios pair by pair with their spread."""

import gc
import statistics
import time
from collections.abc import Callable


def seconds(function: Callable[[], object], repeats: int = 7) -> list[float]:
    """Wall seconds of `repeats` calls after one that is not counted."""
    function()
    result = []
    gc.disable()
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        result.append(time.perf_counter() - started)
    gc.enable()
    return result


def ratio(ours: list[float], theirs: list[float]) -> str:
    """How many times faster we are: the median of the pairwise ratios, and their range."""
    ratios = sorted(t / o for o, t in zip(ours, theirs, strict=True))
    return f"{statistics.median(ratios):.3g}x ({ratios[0]:.3g} to {ratios[-1]:.3g})"
