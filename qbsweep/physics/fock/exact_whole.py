"""What a Gaussian network's whole state gives without truncation, to measure truncated solutions against."""

from collections.abc import Collection, Sequence

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics import register
from qbsweep.physics.fock.exact import moments_of_protocol
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.stages import drives_at, last
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.whole import Whole


def exact_whole(model: FockModel, times: Sequence[float] | None, names: Collection[str]) -> dict[str, FloatArray]:
    """Return quantities of `whole.whole_values` of a Gaussian network, by name, in time those with an `_t` behind it.

    Those that do not follow from second moments are left out.
    """
    found: dict[str, FloatArray] = {}
    steady, in_time = ([name for name in names if name.endswith("_t") == timed] for timed in (False, True))
    if steady:
        still, n = last(model), model.network.n_modes
        whole = Whole(still.network, Rates(np.ones(1), np.ones(1)))
        S = np.conj(model.anomaly) * (np.eye(n) + whole.pairs[0][0])
        alpha, C = still.epsilon * whole.amplitudes[0][0], model.occupation * np.eye(n)
        found |= _of_state(alpha, C, S, np.array(still.epsilon), steady)
    if in_time and times is not None:
        grid = np.asarray(times, dtype=float)
        if model.protocol is None:
            at = Whole(model.network, Rates(np.ones(1), np.ones(1))).evolved(grid[None])
            moments = model.epsilon * at.alpha[0], model.occupation * at.C[0], np.conj(model.anomaly) * at.S[0]
        else:
            moments = moments_of_protocol(model, grid)
        found |= _of_state(*moments, drives_at(model, grid), in_time)
    return found


def _of_state(alpha: Array, C: Array, S: Array, drive: Array, names: Collection[str]) -> dict[str, FloatArray]:
    of_mode = (np.diagonal(X, axis1=-2, axis2=-1) for X in (C.real, S))
    batteries = (..., slice(1, None), slice(1, None))
    quantities = {
        "energy_variance": lambda: register.energy_variance(alpha, *of_mode).T,
        "drive_power": lambda: register.drive_power(drive, alpha[..., 0]),
        "ergotropy_register": lambda: register.register_ergotropy(alpha[..., 1:], C[batteries], S[batteries]),
        "log_negativity": lambda: register.log_negativity(C, S),
        "purity": lambda: register.purity(C, S),
    }
    return {name: quantities[name.removesuffix("_t")]() for name in names if name.removesuffix("_t") in quantities}
