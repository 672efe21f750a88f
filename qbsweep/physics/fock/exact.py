"""What a Gaussian network does without truncation, from its moments: what a truncated solution is measured against."""

from collections.abc import Sequence

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics import gaussian
from qbsweep.physics.fock.model import FockModel, require_relaxing
from qbsweep.physics.moments.anomaly import anomaly_deficits
from qbsweep.physics.moments.dynamics import evolved_populations
from qbsweep.physics.moments.family import family
from qbsweep.physics.moments.rates import Rates
from qbsweep.physics.moments.steady import coherent_populations


def gaussian_moments(
    model: FockModel, times: Sequence[float] | FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ``|alpha|^2``, C and ``|S|`` of every mode of a Gaussian network.

    Parameters
    ----------
    model : FockModel
        Its levels do not matter.
    times : sequence of float or None
        In 1/omega, from vacuum at 0; None for the steady state.

    Returns
    -------
    three arrays
        Shape (modes, times), or (modes, 1) for the steady state.

    Raises
    ------
    QbsweepError
        If the network is not Gaussian, or does not relax into the steady state that is asked for.
    """
    if not model.gaussian:
        raise QbsweepError("the exact moments are known for Gaussian networks only, not with `kerr` or qubits")
    net, one = family(model.network), Rates(np.ones(1), np.ones(1))
    if times is None:
        require_relaxing(model)
        populations, _ = coherent_populations(net, one)
        lost, _ = anomaly_deficits(net, one)
        filling, kept = np.ones_like(populations), np.ones_like(populations) if lost is None else 1 - lost
    else:
        grid = np.asarray(times, dtype=float)[None]
        first, second, deficit, _ = evolved_populations(net, one, grid, fluctuations=True, squeezing=True)
        populations, filling = first[0], np.zeros_like(first[0]) if second is None else second[0]
        kept = filling if deficit is None else filling - deficit[0]
    coherent = model.epsilon * (model.epsilon * populations)
    return coherent, model.occupation * filling, abs(model.anomaly) * kept


def exact_values(model: FockModel, times: Sequence[float] | None) -> tuple[FloatArray, FloatArray]:
    """Return the exact energy and ergotropy of every mode, in omega, as `gaussian_moments` has them."""
    coherent, C, S = gaussian_moments(model, times)
    return gaussian.energy(coherent, C), gaussian.ergotropy(coherent, C, S)
