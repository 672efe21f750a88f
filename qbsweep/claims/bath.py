"""Claims about thermal and squeezed baths: energy and ergotropy of the terminal battery (Figs. 5 and 6)."""

import itertools
from collections.abc import Callable

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.claims.exact import (
    COUPLINGS,
    KAPPA,
    REALIZATIONS,
    ROUNDING,
    TOPOLOGIES,
    WEAK_EPSILON,
    deviation,
    operating_point,
)
from qbsweep.claims.ledger import Finding, Measure
from qbsweep.physics.closed_forms import squeezed_energy, thermal_energy
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.gaussian import ergotropy
from qbsweep.physics.network import Network
from qbsweep.physics.reference import Moments, evolved_moments, steady_moments

SQUEEZING = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
LEVELS = (6, 12, 24)

Work = Callable[[Moments], FloatArray]


def work_of(moments: Moments) -> FloatArray:
    """Return the ergotropy of the terminal battery, in omega."""
    return ergotropy(moments.coherent, moments.occupation, moments.anomaly)[..., -1]


def energy_of(moments: Moments) -> FloatArray:
    """Return the energy of the terminal battery, in omega."""
    return np.asarray((moments.coherent + moments.occupation)[..., -1])


def network(topology: str, N: int, coupling: str = "nonreciprocal", realization: str = REALIZATIONS[0]) -> Network:
    """Return a network of Figs. 5 and 6: kappa = 0.003, J = J_op."""
    return TOPOLOGIES[topology](N, operating_point(topology, N), KAPPA, coupling, realization)


FIGURE_5 = [("cascaded", 1), ("cascaded", 2), ("parallel", 2)]


def thermal_shift(printed: Callable[[float, float], FloatArray] = thermal_energy) -> Finding:
    """Energy in a thermal bath, by the Sylvester equation."""
    worst = 0.0
    for topology in TOPOLOGIES:
        for coupling in COUPLINGS:
            for N in (1, 2, 3, 5):
                built = network(topology, N, coupling)
                vacuum = float(energy_of(steady_moments(built, WEAK_EPSILON)))
                for n_th in (0.1, 1.0, 2.0, 10.0):
                    exact = energy_of(steady_moments(built, WEAK_EPSILON, n_th))
                    worst = max(worst, deviation(printed(vacuum, n_th), exact))
    return Finding(
        "terminal energy, both topologies and couplings, N to 5, n_th to 10, against Sylvester equations",
        Measure(worst, ROUNDING),
    )


def _in_time(built: Network, n_th: float) -> Moments:
    return evolved_moments(built, np.linspace(0.25, 12, 12) / KAPPA, WEAK_EPSILON, n_th)


def zero_temperature(work: Work = work_of) -> Finding:
    """Ergotropy against energy in vacuum, in time; the parameter is the ergotropy of a state."""
    states = [_in_time(network(topology, N), 0.0) for topology, N in FIGURE_5]
    return Finding(
        "ergotropy against energy in vacuum, networks of Fig. 5, κt to 12",
        Measure(max(deviation(work(state), energy_of(state)) for state in states), ROUNDING),
    )


def truncated_work(n_th: float, levels: int) -> float:
    """Return the steady ergotropy of Fig. 5 (d), one battery, in a Fock space of so many levels."""
    model = fock_model(network("cascaded", 1), levels, epsilon=WEAK_EPSILON, n_th=n_th)
    result = solve_model(model)
    if not result.converged or result.ergotropy is None:
        raise ArithmeticError(result.reason)
    return float(result.ergotropy[-1])


def thermal_ergotropy(work: Work = work_of, truncated: Callable[[float, int], float] = truncated_work) -> Finding:
    """Ergotropy at n_th = 1 and 2 over that in vacuum, in time, and what a truncated Fock space makes of it.

    The parameters are the ergotropy of a state, and the truncated solution.
    """
    ratios = []
    for topology, N in FIGURE_5:
        vacuum, *hot = (work(_in_time(network(topology, N), n_th)) for n_th in (0.0, 1.0, 2.0))
        ratios += [float((values / vacuum).max()) for values in hot] + [
            float((values / vacuum).min()) for values in hot
        ]
    exact = float(work(steady_moments(network("cascaded", 1), WEAK_EPSILON)))
    left = {levels: truncated(1.0, levels) / exact for levels in LEVELS}
    lost = [1 - left[levels] for levels in LEVELS]
    shown = ", ".join(f"{left[levels]:.4f}" for levels in LEVELS)
    return Finding(
        "ergotropy at n_th = 1, 2 over that in vacuum, Fig. 5, κt to 12; the largest, which would be below 1",
        Measure(max(ratios), 0.99),
        explained=(
            Measure(max(abs(ratio - 1) for ratio in ratios), ROUNDING, name="exact change"),
            Measure(lost[0], 0.1, at_least=True, name=f"lost at {LEVELS[0]} levels"),
            Measure(lost[-1], 1e-3, name=f"lost at {LEVELS[-1]} levels"),
        ),
        reason="the state is displaced thermal, its ergotropy |α(t)|² at any n_th; a truncated Fock space loses some: "
        f"with {', '.join(map(str, LEVELS))} levels {shown} of it is left at n_th = 1, N = 1",
    )


def squeezing_enhances(work: Work = work_of) -> Finding:
    """Ergotropy with squeezing over the ergotropy with less of it; the parameter is the ergotropy of a state."""
    steps, gains = [], {}
    for topology in TOPOLOGIES:
        for realization in REALIZATIONS:
            built = network(topology, 2, realization=realization)
            values = [float(work(steady_moments(built, WEAK_EPSILON, 0.0, r))) for r in SQUEEZING]
            steps += [b / a for a, b in itertools.pairwise(values)]
            gains[topology, realization] = values[SQUEEZING.index(0.5)] / values[0]
    shown = "; ".join(f"{t}, {r}: {gain:.3f}" for (t, r), gain in gains.items())
    return Finding(
        f"ergotropy over its vacuum value at r = 0.5, N = 2 ({shown}); least growth from one r to the next, r to 2",
        Measure(min(steps), 1.0 + ROUNDING, at_least=True),
    )


def either_realization(work: Work = work_of) -> Finding:
    """Ergotropy of the two realizations of Sec. II at r = 0.5; the parameter is the ergotropy of a state."""
    kept, energies, vacua, form = [], [], [], []
    for topology in TOPOLOGIES:
        states, cold = (
            [steady_moments(network(topology, 2, realization=name), WEAK_EPSILON, 0.0, r) for name in REALIZATIONS]
            for r in (0.5, 0.0)
        )
        half_pi, zero = (float(work(state)) for state in states)
        kept.append(zero / half_pi)
        energies.append(deviation(energy_of(states[1]), energy_of(states[0])))
        vacua.append(deviation(work_of(cold[1]), work_of(cold[0])))
        form.append(deviation(half_pi, squeezed_energy(energy_of(cold[0]), 0.5)))
    return Finding(
        f"ergotropy with θ = 0 over that with θ = π/2, r = 0.5, N = 2: {kept[0]:.3f} cascaded, {kept[1]:.3f} parallel; "
        "deviation from 1",
        Measure(max(abs(ratio - 1) for ratio in kept), 0.01),
        explained=(
            Measure(max(*energies, *vacua), ROUNDING, name="energies and vacuum differ by"),
            Measure(max(form), 1e-8, name="E + sinh² r off by"),
            Measure(max(kept), 0.9, name="kept by θ = 0"),
        ),
        reason="θ = π/2 keeps all of the bath's squeezing, so that the ergotropy is E + sinh² r; with θ = 0 the jumps "
        "squeeze in different directions and part of it cancels. Energies, and ergotropies in vacuum, are equal",
    )


def useful_fraction(work: Work = work_of) -> Finding:
    """Ergotropy over energy with squeezing; the parameter is the ergotropy of a state."""
    gains, over_thermal, shown = [], [], []
    for topology in TOPOLOGIES:
        for coupling, realization in [
            *(("nonreciprocal", name) for name in REALIZATIONS),
            ("reciprocal", REALIZATIONS[1]),
        ]:
            built = network(topology, 2, coupling, realization)
            vacuum = steady_moments(built, WEAK_EPSILON)
            for r in SQUEEZING[1:]:
                state = steady_moments(built, WEAK_EPSILON, 0.0, r)
                thermal = steady_moments(built, WEAK_EPSILON, float(np.sinh(r) ** 2))
                fraction, hot, cold = (float(work(s) / energy_of(s)) for s in (state, thermal, vacuum))
                gains.append(fraction / cold)
                over_thermal.append(fraction / hot)
                if r == 0.5 and topology == "cascaded":
                    shown.append(f"{fraction:.3f} {coupling if coupling == 'reciprocal' else realization}")
    return Finding(
        "ergotropy / energy, N = 2, r to 2, over its value in vacuum, which is 1 "
        f"({', '.join(shown)} in the chain, r = 0.5); the largest, which would be above 1",
        Measure(max(gains), 1.01, at_least=True),
        (Measure(min(over_thermal), 1.0 + ROUNDING, at_least=True),),
        reason="against a thermal bath of as many photons: in vacuum all of the energy is useful already",
    )
