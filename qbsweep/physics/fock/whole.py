"""What a truncated state gives beside energies and ergotropies of its modes.

From reduced states: variances of energy, the power of the drive, and the ergotropy of populations alone. From the whole
density matrix: purity, logarithmic negativity (of the trace norm of its partial transpose), and the joint work that
Gaussian unitaries extract from the batteries, which is a function of their second moments whatever the state.
"""

from collections.abc import Callable, Collection

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray
from qbsweep.errors import QbsweepError
from qbsweep.physics import register
from qbsweep.physics.fock.amplitudes import amplitudes
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.observables import Reduced
from qbsweep.physics.fock.stages import drives_at
from qbsweep.physics.fock.terms import lowering_operators
from qbsweep.physics.network import phase_factor

MOST = 1024
"""Largest dimension of a state whose spectrum is sought."""


def require_possible(model: FockModel, names: Collection[str]) -> None:
    """Refuse what a model does not have.

    Raises
    ------
    QbsweepError
        In one sentence that says what would be right.
    """
    if "log_negativity" in names and model.dimension > MOST:
        raise QbsweepError(
            f"`log_negativity` needs the spectrum of a matrix of dimension {model.dimension}, but {MOST} is the most; "
            "take fewer Fock levels, fewer batteries or `solver: moments`"
        )
    if "ergotropy_register" in names and any(model.qubits[1:]):
        mode = model.qubits.index(True, 1)
        raise QbsweepError(f"`ergotropy_register` needs oscillators, but mode {mode} is a qubit")
    if "ergotropy_incoherent" in names and model.frame == "displaced":
        raise QbsweepError(
            "`ergotropy_incoherent_terminal` needs `frame: lab`, where the levels are those of the energy"
        )


def whole_values(
    model: FockModel, part: Reduced, times: FloatArray | None, names: Collection[str]
) -> dict[str, FloatArray]:
    """Return quantities by name, shape (times,), or (modes, times) of those of every mode; energies in omega.

    Raises
    ------
    QbsweepError
        If the model does not have one of them, see `require_possible`.
    """
    require_possible(model, names)
    shape = (len(model.levels), len(part.states))
    alpha = amplitudes(model, times) if model.frame == "displaced" else np.zeros(shape, dtype=complex)
    found = {name: np.asarray(_QUANTITIES[name](model, part, alpha)) for name in names if name != "drive_power"}
    if "drive_power" in names:
        charger = alpha[0] + _amplitude(model, part, 0)
        found["drive_power"] = register.drive_power(drives_at(model, times), charger)
    return found


def _reduced(model: FockModel, part: Reduced, mode: int) -> Array:
    """Return the states of a mode, shape (times, d, d), in the gauge of `part.phases`."""
    d = model.levels[mode]
    upper = part.states[:, mode, :d, :d]
    return np.asarray(upper + np.triu(upper, 1).conj().swapaxes(1, 2))


def _amplitude(model: FockModel, part: Reduced, mode: int) -> ComplexArray:
    """Return ``<d>`` of a mode in the model's frame, shape (times,)."""
    state = _reduced(model, part, mode)
    mean = np.diagonal(state, -1, 1, 2) @ np.sqrt(np.arange(1, model.levels[mode]))
    return np.asarray(phase_factor(float(part.phases[mode])) * mean)


def _energy_variance(model: FockModel, part: Reduced, alpha: ComplexArray) -> FloatArray:
    """Variance of ``(d + alpha)^dag (d + alpha)`` of every mode."""
    found = np.empty(alpha.shape)
    for mode, d in enumerate(model.levels):
        a = np.diag(np.sqrt(np.arange(1, d + 1)), 1)  # with a level more, for its square
        turned = alpha[mode] * np.conj(phase_factor(float(part.phases[mode])))
        beat = np.conj(turned)[:, None, None] * a
        number = np.diag(np.arange(d + 1)) + beat + beat.conj().swapaxes(1, 2)
        state, square = _reduced(model, part, mode), (number @ number)[:, :d, :d]
        mean, of_square = (np.einsum("tij,tji->t", state, X[:, :d, :d]).real for X in (number, square))
        found[mode] = np.maximum(of_square - mean**2, 0.0)
    return found


def _ergotropy_incoherent(model: FockModel, part: Reduced, _: ComplexArray) -> FloatArray:
    """Ergotropy of the diagonal of every mode's state: ``sum_k k (p_k - q_k)``, q the populations in falling order."""
    found = np.empty((len(model.levels), len(part.states)))
    for mode, d in enumerate(model.levels):
        populations = np.diagonal(part.states[:, mode, :d, :d], axis1=1, axis2=2).real
        found[mode] = (populations - np.sort(populations, axis=1)[:, ::-1]) @ np.arange(d)
    return np.maximum(found, 0.0)


def _rho(part: Reduced) -> ComplexArray:
    assert part.rho is not None
    return part.rho


def _purity(_: FockModel, part: Reduced, __: ComplexArray) -> FloatArray:
    return np.array([np.vdot(rho, rho).real for rho in _rho(part)])


def _log_negativity(model: FockModel, part: Reduced, _: ComplexArray) -> FloatArray:
    """``ln ||rho^{T_0}||_1``, the transpose of the charger; no displacement of a mode changes it."""
    first, rest = model.levels[0], model.dimension // model.levels[0]
    found = []
    for rho in _rho(part):
        turned = rho.reshape(first, rest, first, rest).swapaxes(0, 2).reshape(rho.shape)
        found.append(np.log(max(np.abs(np.linalg.eigvalsh(turned)).sum(), 1.0)))
    return np.array(found)


def _ergotropy_register(model: FockModel, part: Reduced, alpha: ComplexArray) -> FloatArray:
    """As `register.register_ergotropy`, from the second moments of the batteries."""
    modes = range(1, len(model.levels))
    (strides, entries) = zip(*(next(iter(c.items())) for c in lowering_operators(model.levels)), strict=True)
    size, every = model.dimension, np.arange(model.dimension)
    found = []
    for rho, displacement in zip(_rho(part), alpha.T, strict=True):

        def at(row: Array, column: Array, rho: ComplexArray = rho) -> ComplexArray:
            return np.asarray(rho[np.minimum(row, size - 1), np.minimum(column, size - 1)])  # beyond, a weight is 0

        a = np.array([(entries[j] * at(every + strides[j], every)).sum() for j in modes])
        C = np.array(
            [
                [(entries[j] * entries[k] * at(every + strides[k], every + strides[j])).sum() for k in modes]
                for j in modes
            ]
        )
        S = np.array([[_pair(entries, strides, j, k, at) for k in modes] for j in modes])
        C, S = C - np.outer(a.conj(), a), S - np.outer(a, a)
        found.append(register.register_ergotropy(a + displacement[1:], C, S))
    return np.array(found)


def _pair(entries: tuple[Array, ...], strides: tuple[int, ...], j: int, k: int, at: Callable[..., Array]) -> complex:
    """Return ``<c_j c_k>``."""
    every = np.arange(len(entries[j]))
    lowered = np.minimum(every + strides[j], len(every) - 1)
    return complex((entries[j] * entries[k][lowered] * at(every + strides[j] + strides[k], every)).sum())


_QUANTITIES: dict[str, Callable[[FockModel, Reduced, ComplexArray], FloatArray]] = {
    "energy_variance": _energy_variance,
    "ergotropy_incoherent": _ergotropy_incoherent,
    "purity": _purity,
    "log_negativity": _log_negativity,
    "ergotropy_register": _ergotropy_register,
}
OF_RHO = ("purity", "log_negativity", "ergotropy_register")
"""Those that need the whole density matrix."""
