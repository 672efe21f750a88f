"""Random nonlinear networks, family by family, and the truncations that are asked of them.

A network is drawn from the seed of its family and its number. Most Kerr modes get a drive from below to above the folds
of their classical equation, and levels from too few to plenty for its brightest branch.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from verdicts import Asked, Point

from qbsweep.physics.fock.levels import QUBIT
from qbsweep.physics.fock.photons import photon_numbers
from qbsweep.physics.matrices import drift_matrix
from qbsweep.physics.network import Edge, Network

SEED = 2501_09607
LARGEST, LARGEST_TRUE = 200, 250  # dimensions of the solutions that are judged, and of truths
TAIL = 1e-9  # of a mode's energy, left out of a truth
ENOUGH = 1e-4  # the same of levels that are about right
ROUNDING = 1e-12  # photons that the number distribution cannot resolve
BROADER = 0.25  # photons that a Kerr mode fluctuates by more than its bath, roughly

Rng = np.random.Generator


def reduced(point: Point, mode: int) -> tuple[complex, complex, np.ndarray, np.ndarray]:
    """Eliminate the linear modes: drift and force of one mode, and the amplitudes of the rest, ``slope a + offset``."""
    M = drift_matrix(point.network)
    force = np.zeros(len(M), dtype=complex)
    force[0] = -1j * point.epsilon
    rest = [m for m in range(len(M)) if m != mode]
    slope = -np.linalg.solve(M[np.ix_(rest, rest)], M[rest, mode])
    offset = -np.linalg.solve(M[np.ix_(rest, rest)], force[rest])
    return M[mode, mode] + M[mode, rest] @ slope, force[mode] + M[mode, rest] @ offset, slope, offset


def folds(drift: complex, K: float) -> tuple[float, float] | None:
    """Forces at which branches of ``|drift - i K n|^2 n = |force|^2`` begin and end; None if there is one branch."""
    roots = np.roots([3 * K**2, -4 * K * drift.imag, abs(drift) ** 2])
    if np.iscomplex(roots).any() or roots.real.min() <= 0:
        return None
    low, high = sorted(math.sqrt(abs(drift - 1j * K * n) ** 2 * n) for n in roots.real)
    return low, high


def branches(point: Point) -> np.ndarray:
    """Photons of every mode at the classical fixed points, shape (branches, modes), of one Kerr mode at most."""
    kerr = point.kerr_of_modes
    if sum(map(bool, kerr)) > 1:
        alone = [replace(point, kerr_charger=0.0, kerr=0.0)]
        alone += [replace(point, kerr=0.0)] * bool(point.kerr_charger)
        return np.concatenate([branches(one) for one in alone])
    mode = next((m for m, K in enumerate(kerr) if K), 0)
    drift, force, slope, offset = reduced(point, mode)
    K = kerr[mode]
    roots = (
        np.roots([K**2, -2 * K * drift.imag, abs(drift) ** 2, -(abs(force) ** 2)]) if K else [abs(force / drift) ** 2]
    )
    found = []
    for n in sorted(root.real for root in roots if abs(root.imag) <= 1e-9 * abs(root)):
        own = -force / (drift - 1j * K * n)
        found.append(np.insert(np.abs(slope * own + offset) ** 2, mode, abs(own) ** 2))
    return np.array(found)


def enough_levels(point: Point, qubits: tuple[bool, ...], share: float) -> tuple[int, ...]:
    """Levels that hold all but a share of every branch's energy."""
    coherent = np.max(branches(point), axis=0)
    if any(qubits):  # a saturated qubit is as good as none
        alone = replace(point, network=replace(point.network, edges=()))
        coherent = np.maximum(coherent, np.max(branches(alone), axis=0))
    model = point.model((3,) * len(coherent))
    C = model.occupation + BROADER * (np.array(point.kerr_of_modes) != 0) * coherent / (1 + coherent)
    weighted = photon_numbers(coherent, C, np.full_like(C, abs(model.anomaly))) * np.arange(1024)
    beyond = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]
    wanted = np.argmax(beyond < np.maximum(share * beyond[:, :1], ROUNDING), axis=1)
    return tuple(QUBIT if qubit else max(int(d), 3) for d, qubit in zip(wanted, qubits, strict=True))


def is_directed(network: Network) -> bool:
    """Whether nothing flows back into mode 0."""
    return not drift_matrix(network)[0, 1:].any()


def is_one_driven_mode(point: Point, qubits: tuple[bool, ...]) -> bool:
    """Whether a linear charger in vacuum drives a battery that it feels nothing of."""
    alone = point.n_th == point.r == 0 and is_directed(point.network) and not point.kerr_charger
    return alone and len(qubits) == 2 and not any(qubits)


def log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def a_bath(rng: Rng) -> dict[str, float]:
    """Mostly vacuum, else a little warm or squeezed."""
    kind = rng.choice(["vacuum", "warm", "squeezed", "both"], p=[0.65, 0.2, 0.1, 0.05])
    n_th, r = log_uniform(rng, 0.01, 0.2), float(rng.uniform(0.05, 0.4))
    return {"n_th": n_th if kind in ("warm", "both") else 0.0, "r": r if kind in ("squeezed", "both") else 0.0}


def an_edge(rng: Rng, u: int, v: int, J: float, directed: bool) -> Edge:
    if directed:
        return Edge(u, v, J, math.pi / 2, 2 * J)
    return Edge(u, v, J, float(rng.choice([0.0, rng.uniform(0, 6)])))


def over_the_folds(rng: Rng, point: Point, mode: int) -> Point:
    """Give the point a drive from below the first fold to above the last, or of a few photons where there is none."""
    drift, force, *_ = reduced(replace(point, epsilon=1.0), mode)
    K = point.kerr_of_modes[mode]
    ends = folds(drift, K)
    if ends is None:
        n = rng.uniform(0.3, 1.2 * abs(drift.imag / K) + 1)
        ends = (abs(drift - 1j * K * n) * math.sqrt(n),) * 2
    return replace(point, epsilon=float(rng.uniform(0.85 * ends[0], 1.15 * ends[1]) / abs(force)))


def mirrored(rng: Rng, point: Point) -> Point:
    """Change the sign of every detuning and Kerr term, now and then."""
    if rng.random() < 0.85:
        return point
    network = replace(point.network, detuning=tuple(-x for x in point.network.detuning))
    return replace(point, network=network, kerr=-point.kerr, kerr_charger=-point.kerr_charger)


def a_kerr_charger(rng: Rng, J: float, K: float, batteries: int = 1, **bath: float) -> Point:
    """A Kerr charger that is driven below its frequency, mostly in its bistable range, and batteries on it."""
    directed = rng.random() < 0.3
    near_cusp = rng.random() < 0.2
    Delta = -float(rng.uniform(0.8, 1.8) if near_cusp else rng.uniform(2, 4)) * (1 + 2 * J * directed)
    edges = tuple(an_edge(rng, 0, n + 1, J, directed) for n in range(batteries))
    kappa = (1.0, *(log_uniform(rng, 0.3, 3) for _ in range(batteries)))
    detuning = (Delta, *(float(rng.choice([0.0, rng.uniform(-1, 1)])) for _ in range(batteries)))
    return mirrored(rng, over_the_folds(rng, Point(Network(kappa, edges, detuning), kerr_charger=K, **bath), 0))


def few_right_plenty(rng: Rng, d: int, count: int) -> list[int]:
    """Levels from too few to plenty, where d are about right; in three ranges by turns."""
    ranges = [(0.3, 0.75), (0.8, 1.25), (1.3, 1.6)]
    chosen = rng.permutation(3)[:count]
    levels: list[int] = []
    for k in sorted(chosen):
        levels.append(max(3, round(d * rng.uniform(*ranges[k])), *(one + 1 for one in levels)))
    return levels


def kerr_charger_qubit(rng: Rng) -> tuple[Point, list[Asked]]:
    point = a_kerr_charger(rng, log_uniform(rng, 0.003, 0.3), log_uniform(rng, 0.2, 0.6), **a_bath(rng))
    d = enough_levels(point, (False, True), ENOUGH)[0]
    return point, [Asked({"charger": c, "battery": 2}) for c in few_right_plenty(rng, d, 3)]


def kerr_charger_two_qubits(rng: Rng) -> tuple[Point, list[Asked]]:
    point = a_kerr_charger(rng, log_uniform(rng, 0.003, 0.1), log_uniform(rng, 0.4, 0.7), 2, **a_bath(rng))
    d = enough_levels(point, (False, True, True), ENOUGH)[0]
    return point, [Asked({"charger": c, "battery": 2}) for c in few_right_plenty(rng, d, 3)]


def kerr_charger_linear(rng: Rng) -> tuple[Point, list[Asked]]:
    point = a_kerr_charger(rng, log_uniform(rng, 0.001, 0.05), log_uniform(rng, 0.3, 0.6), **a_bath(rng))
    d, few = enough_levels(point, (False, False), ENOUGH)
    battery = max(3, few + int(rng.integers(-1, 2)))
    asked = [Asked({"charger": c, "battery": battery}) for c in few_right_plenty(rng, d, 2)]
    if rng.random() < 0.5:
        asked[0] = Asked(int(rng.integers(6, 14)))
    return point, [*asked, Asked("auto", memory=0.02)]


def kerr_charger_bright(rng: Rng) -> tuple[Point, list[Asked]]:
    K = log_uniform(rng, 0.06, 0.15)
    kappa, J = (1.0, log_uniform(rng, 0.3, 3)), log_uniform(rng, 0.001, 0.1)
    network = Network(kappa, (an_edge(rng, 0, 1, J, True),), (-float(rng.uniform(2, min(4, 30 * K + 1))), 0.0))
    point = over_the_folds(rng, Point(network, kerr_charger=K), 0)
    d = enough_levels(point, (False, True), ENOUGH)[0]
    return point, [
        Asked({"charger": c, "battery": 2}) for c in (int(rng.integers(8, 31)), round(d * rng.uniform(0.5, 1.2)))
    ]


def kerr_battery_directed(rng: Rng) -> tuple[Point, list[Asked]]:
    J = float(rng.uniform(0.42, 0.49))
    bistable = rng.random() < 0.6
    Delta = -float(rng.uniform(1.6, 2.6) if bistable else rng.uniform(-1, 1.5))
    K = log_uniform(rng, 0.5, 1.2) if bistable else log_uniform(rng, 0.1, 1)
    network = Network((log_uniform(rng, 0.1, 1), 1 - 2 * J), (an_edge(rng, 0, 1, J, True),), (0.0, Delta))
    point = over_the_folds(rng, Point(network, kerr=K), 1)
    if not bistable:
        point = replace(point, epsilon=float(point.epsilon * rng.uniform(0.5, 1)))
    charger, d = enough_levels(point, (False, False), ENOUGH)
    charger = max(3, charger + int(rng.integers(-2, 3)))
    asked = [Asked({"charger": charger, "battery": c}) for c in few_right_plenty(rng, d, 2)]
    return point, [*asked, Asked("auto", memory=0.02)]


def kerr_battery_reciprocal(rng: Rng) -> tuple[Point, list[Asked]]:
    K, J = log_uniform(rng, 0.05, 1), log_uniform(rng, 0.1, 1)
    detuning = (float(rng.uniform(-1, 1)), float(rng.uniform(-2, 1)))
    network = Network((log_uniform(rng, 0.5, 2), log_uniform(rng, 0.5, 2)), (an_edge(rng, 0, 1, J, False),), detuning)
    point = mirrored(rng, Point(network, kerr=K, epsilon=1.0, **a_bath(rng)))
    photons = np.max(branches(replace(point, kerr=0.0)))
    point = replace(point, epsilon=float(math.sqrt(rng.uniform(0.1, 0.8) / photons)))
    charger, d = enough_levels(point, (False, False), ENOUGH)
    asked = [
        Asked({"charger": max(3, charger + int(rng.integers(-1, 2))), "battery": c})
        for c in few_right_plenty(rng, d, 2)
    ]
    return point, [*asked, Asked("auto", memory=0.02)]


def kerr_both(rng: Rng) -> tuple[Point, list[Asked]]:
    if rng.random() < 0.5:
        point = a_kerr_charger(rng, log_uniform(rng, 0.001, 0.05), log_uniform(rng, 0.3, 0.6), **a_bath(rng))
        point = replace(point, kerr=float(np.sign(point.kerr_charger)) * log_uniform(rng, 0.05, 1))
    else:
        point, _ = kerr_battery_reciprocal(rng)
        point = replace(point, kerr_charger=log_uniform(rng, 0.05, 1) * float(np.sign(point.kerr)))
    charger, battery = enough_levels(point, (False, False), ENOUGH)
    asked = [Asked({"charger": c, "battery": max(battery, 3)}) for c in few_right_plenty(rng, charger, 2)]
    return point, [*asked, Asked("auto", memory=0.02)]


def oscillator_and_qubits(rng: Rng) -> tuple[Point, list[Asked]]:
    """A linear charger and one or two qubits, or a qubit charger and a linear battery."""
    batteries = int(rng.choice([1, 1, 2]))
    qubit_charger = batteries == 1 and rng.random() < 0.25
    directed = rng.random() < 0.4
    chained = rng.random() < 0.5
    J = log_uniform(rng, 0.05, 2)
    edges = tuple(an_edge(rng, n if chained else 0, n + 1, J, directed) for n in range(batteries))
    kappa = tuple(log_uniform(rng, 0.5, 2) for _ in range(batteries + 1))
    detuning = tuple(float(rng.choice([0.0, rng.uniform(-1, 1)])) for _ in range(batteries + 1))
    point = Point(Network(kappa, edges, detuning), epsilon=log_uniform(rng, 0.1, 1.2), **a_bath(rng))
    qubits = (True, False) if qubit_charger else (False,) + (True,) * batteries
    d = max(enough_levels(point, qubits, ENOUGH))
    levels = few_right_plenty(rng, min(d, 24), 3)
    return point, [
        Asked({"charger": 2, "battery": c} if qubit_charger else {"charger": c, "battery": 2}) for c in levels
    ]


def small_networks(rng: Rng) -> tuple[Point, list[Asked]]:
    """Two Kerr batteries on a chain or a star, weakly driven."""
    directed, chained = rng.random() < 0.5, rng.random() < 0.5
    J = log_uniform(rng, 0.1, 1.0)
    edges = (an_edge(rng, 0, 1, J, directed), an_edge(rng, int(chained), 2, J, directed))
    network = Network((1.0, 1.0, 1.0), edges, tuple(rng.uniform(-0.5, 0.5, 3).tolist()))
    n_th = float(rng.choice([0.0, log_uniform(rng, 0.003, 0.02)]))
    point = Point(network, kerr=log_uniform(rng, 0.1, 1), kerr_charger=float(rng.choice([0.0, 0.3])), n_th=n_th)
    photons = np.max(branches(replace(point, kerr=0.0, kerr_charger=0.0, epsilon=1.0)))
    point = replace(point, epsilon=float(math.sqrt(rng.uniform(0.01, 0.12) / photons)))
    return point, [Asked(int(d)) for d in (3, 4, 5)]


def gaussian(rng: Rng) -> tuple[Point, list[Asked]]:
    """A linear network, whose moments are exact."""
    directed = rng.random() < 0.5
    network = Network((1.0, log_uniform(rng, 0.5, 2)), (an_edge(rng, 0, 1, log_uniform(rng, 0.1, 2), directed),))
    point = Point(network, epsilon=log_uniform(rng, 0.1, 0.8), **a_bath(rng))
    return point, [Asked(int(rng.integers(3, 12)), frame) for frame in ("lab", "displaced")]


FAMILIES: dict[str, tuple[int, Callable[[Rng], tuple[Point, list[Asked]]]]] = {
    "kerr-charger-qubit": (260, kerr_charger_qubit),
    "kerr-charger-two-qubits": (40, kerr_charger_two_qubits),
    "kerr-charger-linear": (110, kerr_charger_linear),
    "kerr-charger-bright": (25, kerr_charger_bright),
    "kerr-battery-directed": (60, kerr_battery_directed),
    "kerr-battery-reciprocal": (41, kerr_battery_reciprocal),
    "kerr-both": (40, kerr_both),
    "oscillator-and-qubits": (80, oscillator_and_qubits),
    "small-networks": (10, small_networks),
    "gaussian": (15, gaussian),
}


def draw(family: str, number: int) -> tuple[Point, list[Asked]]:
    """Return a network of a family, and what is to be asked about it: the first drawn that is not too large."""
    rng = np.random.default_rng((SEED, list(FAMILIES).index(family), number))
    while True:
        point, asked = FAMILIES[family][1](rng)
        models = [one.model(point) for one in asked]
        if max(model.dimension for model in models) > LARGEST:
            continue
        if is_one_driven_mode(point, models[0].qubits):
            return point, asked
        if math.prod(enough_levels(point, models[0].qubits, TAIL)) <= LARGEST_TRUE:
            return point, asked
