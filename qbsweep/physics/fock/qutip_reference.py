"""The master equation (2), (15), (16) in QuTiP: the readable reference and the general fallback.

Every term is written as it stands in `qbsweep.physics.fock.model`, with QuTiP's truncated operators.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # QuTiP warns at import where matplotlib is missing; nothing here plots
    import qutip  # type: ignore[import-untyped]

from qbsweep.arrays import ComplexArray, FloatArray
from qbsweep.physics.fock.amplitudes import within
from qbsweep.physics.fock.model import FockModel
from qbsweep.physics.fock.stages import before, stages
from qbsweep.physics.matrices import coherent_matrix, jump_operators

MORE_LEVELS = 100  # that an initial state is made in before it is cut


def mode_operators(levels: Sequence[int]) -> list[qutip.Qobj]:
    """Return the annihilation operator of every mode in the product space."""
    return [
        qutip.tensor([qutip.destroy(d) if k == m else qutip.qeye(d) for k, d in enumerate(levels)])
        for m in range(len(levels))
    ]


def hamiltonian(model: FockModel) -> qutip.Qobj:
    """Return ``sum_jk h[j,k] c_j^dag c_k + epsilon (c_0 + c_0^dag) + sum_m K_m/2 c_m^dag^2 c_m^2``."""
    c = mode_operators(model.levels)
    h = coherent_matrix(model.network)
    H = model.drive * (c[0] + c[0].dag())
    for j, k in zip(*np.nonzero(h), strict=True):
        H += complex(h[j, k]) * c[j].dag() * c[k]
    for operator, strength in zip(c, model.kerr, strict=True):
        if strength:
            H += strength / 2 * operator.dag() * operator.dag() * operator * operator
    return H


def jumps(model: FockModel) -> list[qutip.Qobj]:
    """Return the jumps ``L = sum_m L[m] c_m``, local losses first, then one per nonreciprocal edge."""
    c = mode_operators(model.levels)
    rows = [row for row in jump_operators(model.network) if row.any()]
    return [sum(complex(row[m]) * c[m] for m in np.flatnonzero(row)) for row in rows]


def pair_dissipator(operator: qutip.Qobj) -> qutip.Qobj:
    """Return the superoperator ``L'[o] rho = o rho o - {o o, rho}/2`` of the squeezed bath (16)."""
    square = operator * operator
    return qutip.sprepost(operator, operator) - (qutip.spre(square) + qutip.spost(square)) / 2


def liouvillian(model: FockModel) -> qutip.Qobj:
    """Return the whole generator as one superoperator, all bath terms of (16) included."""
    P, Q = model.occupation, model.anomaly
    L = qutip.liouvillian(hamiltonian(model))
    for jump in jumps(model):
        L += (P + 1) * qutip.lindblad_dissipator(jump)
        if P:
            L += P * qutip.lindblad_dissipator(jump.dag())
        if Q:
            L -= Q * pair_dissipator(jump) + Q.conjugate() * pair_dissipator(jump.dag())
    return L


def vacuum(levels: Sequence[int]) -> qutip.Qobj:
    """Return the vacuum of every mode as a density matrix."""
    return qutip.ket2dm(qutip.tensor([qutip.basis(d, 0) for d in levels]))


def steady_state(model: FockModel) -> tuple[ComplexArray, float]:
    """Return the steady density matrix, shape (D, D), by QuTiP's direct solver, and the Frobenius norm of ``L rho``."""
    L = liouvillian(model)
    rho = qutip.steadystate(L)
    return np.asarray(rho.full()), float(np.linalg.norm((L @ qutip.operator_to_vector(rho)).full()))


def initial_state(model: FockModel) -> qutip.Qobj:
    """Return the density matrix that a model begins with, in its frame: displaced and squeezed in many more levels."""
    initial = None if model.protocol is None else model.protocol.initial
    if initial is not None and initial.kind == "steady":
        rho, _ = steady_state(before(model))
        return qutip.Qobj(rho, dims=[list(model.levels)] * 2)
    if initial is None or initial.kind == "vacuum":
        return vacuum(model.levels)
    every = []
    for d, state in zip(model.levels, initial.modes, strict=True):
        larger = d + MORE_LEVELS
        turn = qutip.squeeze(larger, -state.squeezing * np.exp(1j * state.angle))
        move = qutip.displace(larger, state.amplitude if model.frame == "lab" else 0.0)
        n = np.arange(larger)
        thermal = qutip.qdiags((state.occupation / (state.occupation + 1)) ** n, 0)
        cut = (move @ turn @ thermal @ turn.dag() @ move.dag()).full()[:d, :d]
        every.append(qutip.Qobj(cut / np.trace(cut)))
    return qutip.tensor(every)


def evolve(model: FockModel, times: Sequence[float] | FloatArray, tolerance: float = 1e-10) -> ComplexArray:
    """Return the density matrices at `times`, shape (times, D, D), by Verner's 9(8) method, stage by stage."""
    grid = np.asarray(times, dtype=float)
    options = {"method": "vern9", "atol": tolerance * 1e-3, "rtol": tolerance, "nsteps": 10**7}
    options["progress_bar"] = ""
    state = initial_state(model)
    out = np.repeat(state.full()[None], len(grid), axis=0)
    for stage in stages(model, float(grid[-1])) if grid[-1] > 0 else []:
        inside, local = within(stage, grid)
        late = np.unique(np.append(0.0, local))  # QuTiP starts at the first time given
        L = liouvillian(stage.model)
        if stage.is_ramp:
            still = liouvillian(replace(stage.model, epsilon=0.0))
            L = qutip.QobjEvo([still, [(L - still) / stage.model.epsilon, _line(*stage.drives, stage.length)]])
        result = qutip.mesolve(L, state, late, options=options)
        out[inside] = [one.full() for one in result.states[1 : 1 + np.sum(inside)]]
        state = result.states[-1]
    return out


def _line(begin: float, end: float, length: float) -> Callable[[float], float]:
    return lambda t: begin + (end - begin) * t / length


def reduced_states(rho: ComplexArray, levels: Sequence[int]) -> list[ComplexArray]:
    """Return the reduced density matrix of every mode of ``rho``, shape (D, D): a list of (d_m, d_m)."""
    state = qutip.Qobj(rho, dims=[list(levels), list(levels)])
    return [np.asarray(state.ptrace(m).full()) for m in range(len(levels))]
