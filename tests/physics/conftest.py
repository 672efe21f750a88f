"""Shared by the physics tests: slow references, exact references, and strategies of networks."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from qbsweep.physics.matrices import coherent_matrix, damping_matrix, squeezing_matrix
from qbsweep.physics.network import Edge, Network
from qbsweep.physics.reference import evolved_moments, steady_moments
from qbsweep.physics.topologies import cascaded, parallel
from qbsweep.solvers.interface import Points

from . import products

BUILDERS = {"cascaded": cascaded, "parallel": parallel}


def _energies(moments):
    """Energy and ergotropy of every mode, straight from their definitions."""
    nu = np.sqrt((moments.occupation + 0.5) ** 2 - moments.anomaly**2)
    energy = moments.coherent + moments.occupation
    return energy, energy - (nu - 0.5)


@pytest.fixture(scope="session")
def build() -> Callable[..., Network]:
    """``build(topology, coupling, N, J, kappa, realization)``, with unit J and kappa unless told."""

    def network(topology, coupling, N, J=1.0, kappa=1.0, realization="phase-half-pi", detuning=0.0):
        return BUILDERS[topology](N, J, kappa, coupling, realization, detuning)

    return network


@pytest.fixture(scope="session")
def ring() -> Callable[..., Network]:
    """``ring(n)``: n modes in a loop, every edge with its own J, phase and cooperative dissipation."""

    def network(n, *, kappa=None, detuning=(), seed=1):
        rng = np.random.default_rng(seed)
        edges = tuple(
            Edge(m, (m + 1) % n, J, theta, Gamma, complex(p), 1.0)
            for m, J, theta, Gamma, p in zip(
                range(n),
                rng.uniform(0.5, 2, n),
                rng.uniform(0, 6, n),
                rng.uniform(0, 3, n),
                np.exp(1j * rng.uniform(0, 6, n)),
                strict=True,
            )
        )
        return Network(tuple(kappa or (1.0,) * n), edges, tuple(detuning))

    return network


@pytest.fixture(scope="session")
def networks() -> Callable[..., st.SearchStrategy[Network]]:
    """``networks(...)``: a strategy of trees (and, unless told otherwise, of trees with one more edge)."""

    def strategy(max_modes=5, loops=True, detuned=True):
        number = st.floats(0.1, 3)

        @st.composite
        def draw_network(draw):
            n = draw(st.integers(2, max_modes))
            pairs = [(draw(st.integers(0, m - 1)), m) for m in range(1, n)]
            if loops and n > 2 and draw(st.booleans()):
                pairs.append((0, n - 1))
            kind = draw(st.sampled_from(["reciprocal", "phased", "phase-half-pi", "phase-zero", "any"]))
            edges = []
            for u, v in pairs:
                J = draw(number)
                edges.append(
                    {
                        "reciprocal": Edge(u, v, J),
                        "phased": Edge(u, v, J, draw(st.floats(0, 6))),
                        "phase-half-pi": Edge(u, v, J, np.pi / 2, 2 * J),
                        "phase-zero": Edge(u, v, J, 0.0, 2 * J, 1j, 1),
                        "any": Edge(u, v, J, draw(st.floats(0, 6)), draw(number), draw(number), 1j),
                    }[kind]
                )
            shifts = st.floats(-2, 2) if detuned and draw(st.booleans()) else st.just(0.0)
            kappa = number if draw(st.booleans()) else st.just(1.0)
            return Network(tuple(draw(st.tuples(*[kappa] * n))), tuple(edges), tuple(draw(st.tuples(*[shifts] * n))))

        return draw_network()

    return strategy


@pytest.fixture(scope="session")
def steady_energies() -> Callable:
    """``(network, epsilon, n_th, r, theta_r)`` -> steady energy and ergotropy of every mode, slowly."""
    return lambda *args: _energies(steady_moments(*args))


@pytest.fixture(scope="session")
def evolved_energies() -> Callable:
    """``(network, times, epsilon, n_th, r, theta_r)`` -> energy and ergotropy, each (time, mode), slowly."""
    return lambda *args: _energies(evolved_moments(*args))


@pytest.fixture(scope="session")
def points() -> Callable[..., Points]:
    """``points(network, J=..., ...)``: a product of values; J is per (J, kappa) or broadcast over kappa."""

    return products.product


@pytest.fixture(scope="session")
def mp() -> mpmath.ctx_mp.MPContext:
    """An arithmetic of 40 digits of its own, so that no test changes the precision of another."""
    context = mpmath.mp.clone()
    context.dps = 40
    return context


@pytest.fixture(scope="session")
def exact_drift(mp) -> Callable:
    """``exact_drift(network)``: ``-i h - K/2`` of the network's own (double) entries, in 40 digits."""

    def drift(network):
        h, K = coherent_matrix(network), damping_matrix(network)
        return mp.matrix((-1j * h).tolist()) - mp.matrix(K.tolist()) / 2

    return drift


@pytest.fixture(scope="session")
def exact_pairs(mp, exact_drift) -> Callable:
    """``exact_pairs(network)``: X of ``M X + X M^T + K_sq = 0``, in 40 digits, as one linear system."""

    def pairs(network):
        n, M, K_sq = network.n_modes, exact_drift(network), squeezing_matrix(network)
        system, source = mp.zeros(n * n, n * n), mp.zeros(n * n, 1)
        for j in range(n):
            for k in range(n):
                source[n * j + k] = -mp.mpc(complex(K_sq[j, k]))
                for m in range(n):
                    system[n * j + k, n * m + k] += M[j, m]
                    system[n * j + k, n * j + m] += M[k, m]
        solution = mp.lu_solve(system, source)
        return mp.matrix([[solution[n * j + k] for k in range(n)] for j in range(n)])

    return pairs


@pytest.fixture(scope="session")
def exact_evolution(mp, exact_drift, exact_pairs) -> Callable:
    """``(network, step, multiples)`` -> populations, filling and, on request, deficit, each (mode, time).

    The exponential of the step is taken by mpmath in 40 digits, and its powers by multiplication.
    """

    def evolution(network, step, multiples, *, squeezing=False):
        n, M = network.n_modes, exact_drift(network)
        generator = mp.zeros(n + 1, n + 1)
        for j in range(n):
            for k in range(n):
                generator[j, k] = M[j, k]
        generator[0, n] = 1
        Z = mp.expm(generator * mp.mpf(float(step)))
        X = exact_pairs(network) if squeezing else None
        power, done = mp.eye(n + 1), 0
        populations, filling, deficit = (np.empty((n, len(multiples))) for _ in range(3))
        for t, multiple in enumerate(multiples):
            power = power * Z ** (multiple - done)
            done = multiple
            U = power[:n, :n]
            pairs = X - U * X * U.T if squeezing else None
            for m in range(n):
                full = 1 - mp.fsum(abs(U[m, k]) ** 2 for k in range(n))
                populations[m, t] = abs(power[m, n]) ** 2
                filling[m, t] = full
                deficit[m, t] = full - abs(pairs[m, m]) if squeezing else 0
        return populations, filling, deficit

    return evolution
