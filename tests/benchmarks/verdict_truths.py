"""The true energies and ergotropies of nonlinear points, by other means than the solver that is judged.

QuTiP's Liouvillian is taken apart here and solved by GMRES. The largest mode makes a block of rho for every pair of
states of the others; the factors of a block are sparse, and what couples it to blocks of more photons in these others
is kept in the preconditioner too (block Gauss-Seidel). This stays accurate where the Liouvillian's gap is small because
of two branches of one mode: they are inside the blocks.
"""

import math
from dataclasses import dataclass

import numpy as np
import qutip
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, bicgstab, gmres, splu

from qbsweep.physics.fock import qutip_reference
from qbsweep.physics.fock.model import FockModel

MANY_BLOCKS = 64  # of which the factors would take longer than they save


@dataclass(frozen=True, slots=True)
class Truth:
    """Energy and ergotropy of every mode, how they were found, and the signs that they are right.

    Attributes
    ----------
    energy, ergotropy : list of float
        In omega; NaN where they are not known.
    how : str
    levels : list of int
        Fock levels of the solution.
    residual : float
        Frobenius norm of the Liouvillian applied to rho.
    tails : list of float
        Share of every mode's energy in its two highest levels; 0 of qubits.
    """

    energy: list[float]
    ergotropy: list[float]
    how: str
    levels: list[int]
    residual: float
    tails: list[float]


def blocks(levels: tuple[int, ...]) -> np.ndarray:
    """Return the places in QuTiP's column-stacked rho, shape (blocks, size), by the photons of the smaller modes."""
    size, inner = math.prod(levels), int(np.argmax(levels))
    outer = [mode for mode in range(len(levels)) if mode != inner]
    rows = math.prod(levels[m] for m in outer)
    states = np.arange(size).reshape(levels).transpose([*outer, inner]).reshape(rows, -1)
    photons = np.indices(levels)[outer].sum(axis=0).transpose([*outer, inner]).reshape(rows, -1)[:, 0]
    pairs = sorted((int(photons[i] + photons[j]), i, j) for i in range(rows) for j in range(rows))
    return np.array([(states[j][None, :] * size + states[i][:, None]).ravel() for _, i, j in pairs])


def steady_rho(L: sp.csr_matrix, levels: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """Return the density matrix that a superoperator of column-stacked matrices leaves alone, and the residual."""
    places = blocks(levels)
    if len(places) > MANY_BLOCKS:
        return unblocked_rho(L, math.prod(levels))
    count, size = places.shape
    order, D = places.ravel(), math.prod(levels)
    where = np.empty(D * D, dtype=int)
    where[order] = np.arange(D * D)
    trace = sp.csr_matrix((np.ones(D), (np.zeros(D, dtype=int), where[:: D + 1])), shape=(1, D * D))
    A = sp.vstack([trace, L[order][:, order][1:]]).tocsr()  # the trace in place of the vacuum's own equation
    cuts = [slice(k * size, (k + 1) * size) for k in range(count)]
    factors = [splu(A[cut, cut].tocsc()) for cut in cuts]
    beyond = [A[cut, cut.stop :] for cut in cuts]

    def backward(v: np.ndarray) -> np.ndarray:
        x = np.zeros(D * D, dtype=complex)
        for cut, factor, rest in reversed(list(zip(cuts, factors, beyond, strict=True))):
            x[cut] = factor.solve(v[cut] - rest @ x[cut.stop :] if rest.shape[1] else v[cut])
        return x

    b = np.zeros(D * D, dtype=complex)
    b[0] = 1.0
    M = LinearOperator(A.shape, matvec=backward, dtype=complex)
    solution, _ = gmres(A, b, M=M, rtol=1e-13, atol=0, restart=250, maxiter=2)
    rho = np.empty(D * D, dtype=complex)
    rho[order] = solution
    matrix = rho.reshape(D, D).T
    return matrix, float(np.linalg.norm(L @ rho))


def unblocked_rho(L: sp.csr_matrix, D: int) -> tuple[np.ndarray, float]:
    """Return the same by BiCGStab and the diagonal: for modes that are strongly coupled, and soon relaxed."""
    A = L - sp.csr_matrix((np.ones(D), (np.zeros(D, dtype=int), np.arange(D) * (D + 1))), shape=L.shape)
    b = np.zeros(D * D, dtype=complex)
    b[0] = -1.0
    solution, _ = bicgstab(A, b, M=sp.diags(1 / A.diagonal()), rtol=1e-12, atol=0, maxiter=1500)
    return solution.reshape(D, D).T, float(np.linalg.norm(L @ solution))


def solve(model: FockModel) -> Truth:
    """Solve a model for its steady state."""
    L = qutip_reference.liouvillian(model).to("csr").data.as_scipy().tocsr()
    rho, residual = steady_rho(L, model.levels)
    states = qutip_reference.reduced_states(rho, model.levels)
    energy, ergotropy = zip(*(energies(state) for state in states), strict=True)
    tails = [0.0 if qubit else tail(state) for state, qubit in zip(states, model.qubits, strict=True)]
    return Truth(list(energy), list(ergotropy), "joint", list(model.levels), residual, tails)


def energies(state: np.ndarray) -> tuple[float, float]:
    """Return the energy and the ergotropy of the state of one mode, from their definitions."""
    numbers = np.arange(len(state))
    energy = float(np.diagonal(state).real @ numbers)
    return energy, energy - float(np.linalg.eigvalsh((state + state.conj().T) / 2)[::-1] @ numbers)


def tail(state: np.ndarray) -> float:
    """Return the share of a mode's energy in its two highest levels."""
    weighted = np.diagonal(state).real * np.arange(len(state))
    return float(abs(weighted[-2:].sum()) / max(weighted.sum(), 1e-300))


def driven_kerr(Delta: float, K: float, epsilon: float, kappa: float, levels: int) -> tuple[np.ndarray, float]:
    """Return the steady state of one driven Kerr mode in vacuum, and its residual.

    ``H = Delta a^dag a + K/2 a^dag^2 a^2 + epsilon (a + a^dag)``, loss kappa.
    """
    a = qutip.destroy(levels)
    H = Delta * a.dag() * a + K / 2 * a.dag() * a.dag() * a * a + epsilon * (a + a.dag())
    L = qutip.liouvillian(H, [math.sqrt(kappa) * a]).to("csr").data.as_scipy().tocsr()
    return steady_rho(L, (levels,))
