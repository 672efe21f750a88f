"""What is asked of a point of the Lindblad solver, besides its model, and what that takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qbsweep.errors import QbsweepError
from qbsweep.physics.fock.cost import predict_memory, predict_seconds
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.point import FockResult, solve_model
from qbsweep.physics.fock.verdict import TOLERANCE

_SHOWN = 12
MAX_CLIMB = 200  # levels of a mode beyond which a climb gives up


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a point, besides its model.

    Parameters
    ----------
    times, steady, engine
        See `point.solve_model`.
    tolerance : float
        Largest acceptable truncation error, relative.
    memory_budget : float
        Bytes that a model may take, by `predict_memory`: the point's own, that of a climb, or one only to judge by.

    Raises
    ------
    QbsweepError
        If the tolerance is not above 0.
    """

    times: Sequence[float] | None = None
    steady: bool = True
    engine: str = "auto"
    tolerance: float = TOLERANCE
    memory_budget: float = math.inf

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise QbsweepError(f"`tolerance` must be above 0, but is {self.tolerance}")

    def solve(self, model: FockModel, **options: Any) -> FockResult:
        """Solve a model."""
        return solve_model(model, times=self.times, steady=self.steady, engine=self.engine, **options)

    @property
    def _predicted(self) -> dict[str, Any]:
        count, end = (len(self.times), float(self.times[-1])) if self.times else (0, None)
        return {"steady": self.steady, "times": count, "end": end}

    def seconds(self, model: FockModel) -> float:
        """Predict the seconds that a model takes."""
        return predict_seconds(model, **self._predicted)

    def memory(self, model: FockModel) -> float:
        """Predict the bytes that a model takes."""
        return predict_memory(model, **self._predicted)

    def require(self, model: FockModel) -> None:
        """Refuse a model that does not fit the budget."""
        needed = self.memory(model)
        if needed > self.memory_budget:
            shown = [str(d) for d in model.levels[:_SHOWN]]
            levels = ", ".join(shown if len(model.levels) <= _SHOWN else [*shown, "..."])
            raise QbsweepError(
                f"a point with N = {model.network.n_batteries} and Fock levels {levels} needs {needed / 1e9:.3g} GB, "
                f"but `memory` allows {self.memory_budget / 1e9:.3g} GB; "
                "take fewer levels, fewer batteries or more `memory`"
            )

    def affords(self, model: FockModel) -> bool:
        """Whether a model fits the budget, and its levels are not beyond `MAX_CLIMB`."""
        return max(model.levels) <= MAX_CLIMB and self.memory(model) <= self.memory_budget
