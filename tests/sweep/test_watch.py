"""The time left that is shown: by prediction at first, by pace later, and never fooled by a few cheap blocks."""

import numpy as np
import pytest
from rich.console import Console

from qbsweep.runs import watch
from qbsweep.runs.block import Report
from qbsweep.runs.watch import Watcher


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


def left(clock: Clock, predicted: list[float], taken: list[float], workers: int = 1) -> float:
    """Seconds left after the first blocks took so long, one after the other."""
    watcher = Watcher(Console(quiet=True))
    with watcher.showing(np.array(predicted), range(len(predicted)), workers):
        for block, seconds in enumerate(taken):
            clock.now += seconds
            watcher(Report(block, 1, ok=1))
        return watcher.seconds_left


def test_before_the_first_block_the_prediction_is_shown(clock: Clock) -> None:
    assert left(clock, [3.0] * 10, []) == pytest.approx(30)
    assert left(clock, [3.0] * 10, [], workers=2) == pytest.approx(15)


@pytest.mark.parametrize("factor", [0.02, 50])
def test_cheap_blocks_at_the_start_do_not_fool(clock: Clock, factor: float) -> None:
    """Their time is mostly what no model says, and the dear ones are still as predicted."""
    cheap, dear = [0.01] * 20, [10.0] * 10
    assert left(clock, cheap + dear, [factor * seconds for seconds in cheap]) == pytest.approx(100, rel=1.0)
    assert left(clock, cheap + dear, [factor * seconds for seconds in cheap]) > 50


@pytest.mark.parametrize("factor", [0.2, 5])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_pace_corrects_a_wrong_prediction(clock: Clock, factor: float, workers: int) -> None:
    predicted = [2.0] * 100
    taken = [factor * 2.0 / workers] * 50
    assert left(clock, predicted, taken, workers) == pytest.approx(sum(taken), rel=0.7)
    assert left(clock, predicted, taken[:1] * 99, workers) == pytest.approx(taken[0], rel=0.4)


def test_only_pending_blocks_are_left(clock: Clock) -> None:
    watcher = Watcher(Console(quiet=True))
    with watcher.showing(np.array([1.0, 2.0, 4.0]), [2]):
        assert watcher.seconds_left == pytest.approx(4)
        clock.now += 4
        watcher(Report(2, 1, ok=1))
        assert watcher.seconds_left == 0
