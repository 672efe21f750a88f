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
from qbsweep.physics.fock.whole import MOST, OF_RHO, require_possible

_SHOWN = 12
_OF_SPECTRUM = 1e-9  # seconds, of the cube of a dimension
_WORKING = 4  # copies of a state beside those that are kept
_HUGE = 1e12  # more states are no number of bytes
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
    quantities : tuple of str
        See `point.solve_model`.
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
    quantities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise QbsweepError(f"`tolerance` must be above 0, but is {self.tolerance}")

    def solve(self, model: FockModel, **options: Any) -> FockResult:
        """Solve a model."""
        asked: dict[str, Any] = {
            "times": self.times,
            "steady": self.steady,
            "engine": self.engine,
            "quantities": self.quantities,
        }
        return solve_model(model, **asked, **options)

    @property
    def _names(self) -> set[str]:
        """Quantities, whether they are steady or in time."""
        return {name.removesuffix("_t") for name in self.quantities}

    def _states(self) -> int:
        """Return of how many times the whole state is needed, the steady one included."""
        needed = {name.endswith("_t") for name in self.quantities if name.removesuffix("_t") in OF_RHO}
        return (len(self.times) if self.times and True in needed else 0) + (False in needed)

    @property
    def _predicted(self) -> dict[str, Any]:
        count, end = (len(self.times), float(self.times[-1])) if self.times else (0, None)
        return {"steady": self.steady, "times": count, "end": end}

    def seconds(self, model: FockModel) -> float:
        """Predict the seconds that a model takes."""
        spectra = self._states() * _OF_SPECTRUM * model.dimension**3 if "log_negativity" in self._names else 0.0
        return predict_seconds(model, **self._predicted) + spectra

    def memory(self, model: FockModel) -> float:
        """Predict the bytes that a model takes."""
        copies = (self._states() + _WORKING) * 16.0 if self._states() else 0.0
        return predict_memory(model, **self._predicted) + copies * min(model.dimension, _HUGE) ** 2

    def require(self, model: FockModel) -> None:
        """Refuse a model that does not fit the budget, or does not have what is asked for."""
        require_possible(model, self._names)
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
        if "log_negativity" in self._names and model.dimension > MOST:
            return False
        return max(model.levels) <= MAX_CLIMB and self.memory(model) <= self.memory_budget
