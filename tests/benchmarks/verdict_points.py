"""Find the truths of random nonlinear points: `python tests/benchmarks/verdict_points.py`, half an hour on one core.

They are appended to `verdict_points.jsonl`, a line for every network of `verdict_families.py`; a network that is there
already is not solved again.

The truth of a network is its steady state at levels that hold every classical branch and all but a share `TAIL` of the
energy around it; where the solution shows more than that near its end it is solved again with 1.3 times the levels.
These are enough, whatever levels are judged: ``--check 20`` solves every 20th network again, at three times the most
levels that are asked of it, and prints how far the stored truth is from that. A directed network whose charger is
linear is exactly one driven mode; a directed Kerr charger does not feel its battery, and is held against the closed
form of Drummond and Walls.
"""

import argparse
import json
import math
from dataclasses import asdict, replace

import mpmath
import numpy as np
from verdict_families import (
    FAMILIES,
    LARGEST_TRUE,
    TAIL,
    branches,
    draw,
    enough_levels,
    is_directed,
    is_one_driven_mode,
    reduced,
)
from verdict_truths import Truth, driven_kerr, energies, solve, tail
from verdicts import POINTS, Asked, Point, lines

from qbsweep.physics.fock.exact import exact_values
from qbsweep.physics.fock.verdict import truncation_error
from qbsweep.physics.matrices import drift_matrix

CONVERGED = 1e-9  # norm of the Liouvillian applied to a truth
CLOSED_FORM = 1e-6  # relative difference to the closed form from which a numerical truth is not believed


def closed_form_photons(Delta: float, K: float, epsilon: float, kappa: float) -> float:
    """Photons of one driven Kerr mode in vacuum (Drummond and Walls 1980), ``K/2 a^dag^2 a^2``, in 60 digits."""
    with mpmath.workdps(60):
        c, z = 2 * mpmath.mpc(Delta, -kappa / 2) / K, 2 * mpmath.mpf(epsilon) / K
        norm = mpmath.hyper([], [c, mpmath.conj(c)], 2 * z**2)
        above = mpmath.hyper([], [c + 1, mpmath.conj(c) + 1], 2 * z**2)
        return float((abs(z / c) ** 2 * above / norm).real)


def truth_of(point: Point, qubits: tuple[bool, ...]) -> Truth:
    """Return the truth of a network in the way that suits it."""
    if not (any(point.kerr_of_modes) or any(qubits)):
        energy, ergotropy = exact_values(point.model((3,) * len(qubits)), None)
        return Truth(energy[:, 0].tolist(), ergotropy[:, 0].tolist(), "moments", [], 0.0, [])
    if is_one_driven_mode(point, qubits):
        return _driven_battery(point)
    levels = enough_levels(point, qubits, TAIL)
    for _ in range(4):
        found = solve(point.model(levels))
        if max(found.tails) <= 100 * TAIL:
            break
        levels = tuple(
            math.ceil(1.3 * d) if share > 100 * TAIL else d for d, share in zip(levels, found.tails, strict=True)
        )
    if found.residual > CONVERGED or max(found.tails) > 100 * TAIL:
        unknown = [math.nan] * len(qubits)
        found = replace(found, energy=unknown, ergotropy=unknown, how="not found")
    if point.n_th == point.r == 0 and is_directed(point.network) and point.kerr_charger:
        return _checked_charger(point, found)
    return found


def _driven_battery(point: Point) -> Truth:
    """A linear charger in vacuum is coherent and feels nothing of what it drives: the battery is one driven mode."""
    drift, force, _, _ = reduced(point, 1)
    charger = abs(point.epsilon / drift_matrix(point.network)[0, 0]) ** 2
    levels = enough_levels(point, (False, False), TAIL)[1]
    state, residual = driven_kerr(-drift.imag, point.kerr, abs(force), -2 * drift.real, levels)
    energy, ergotropy = energies(state)
    return Truth([charger, energy], [charger, ergotropy], "one driven mode", [levels], residual, [tail(state)])


def _checked_charger(point: Point, found: Truth) -> Truth:
    """Believe a solution whose charger, which is alone, has the photons of the closed form; else only these."""
    drift = drift_matrix(point.network)[0, 0]
    photons = closed_form_photons(-drift.imag, point.kerr_charger, point.epsilon, -2 * drift.real)
    if abs(found.energy[0] - photons) <= CLOSED_FORM * photons:
        return replace(found, how="joint, closed form of the charger")
    unknown = [math.nan] * (len(found.energy) - 1)
    return replace(found, energy=[photons, *unknown], ergotropy=[math.nan, *unknown], how="closed form of the charger")


def check(every: int) -> None:
    """Compare stored truths with solutions of three times the levels that are judged, and the time allows."""
    worst, count = 0.0, 0
    for line in lines()[::every]:
        point, truth = Point.from_json(line["point"]), line["truth"]
        models = [asked.model(point) for asked in (Asked(**one) for one in line["asked"]) if asked.levels != "auto"]
        model = max(models, key=lambda one: one.dimension)
        tripled = model.with_levels(tuple(d if q else 3 * d for d, q in zip(model.levels, model.qubits, strict=True)))
        if tripled.dimension > 2 * LARGEST_TRUE or np.isnan(truth["ergotropy"]).any() or tripled.gaussian:
            continue
        found = solve(tripled)
        error = truncation_error(
            *(np.array(truth[name]) for name in ("energy", "ergotropy")),
            np.array(found.energy),
            np.array(found.ergotropy),
        )
        print(
            line["family"],
            line["number"],
            truth["levels"],
            tripled.levels,
            f"residual {found.residual:.0e} off by {error:.1e}",
            flush=True,
        )
        worst, count = max(worst, error), count + 1
    print(f"{count} truths are off by {worst:.1e} at most")


def main() -> None:
    """Find the truths that are missing, family by family in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", type=int, metavar="N", help="solve every N-th network again at three times the levels"
    )
    every = parser.parse_args().check
    if every:
        check(every)
        return
    known = {(line["family"], line["number"]) for line in lines()}
    wanted = [(number / count, family, number) for family, (count, _) in FAMILIES.items() for number in range(count)]
    for _, family, number in sorted(wanted):
        if (family, number) not in known:
            find(family, number)


def find(family: str, number: int) -> None:
    """Append a network, what is asked of it, and its truth."""
    point, asked = draw(family, number)
    truth = truth_of(point, asked[0].model(point).qubits)
    found = len(branches(point)) if sum(map(bool, point.kerr_of_modes)) == 1 else None
    line = {"family": family, "number": number, "point": point.to_json(), "fixed_points": found}
    line |= {"asked": [asdict(one) for one in asked], "truth": asdict(truth)}
    with POINTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    tail = max(truth.tails, default=0.0)
    print(family, number, truth.how, truth.levels, f"residual {truth.residual:.0e} tail {tail:.0e}", flush=True)


if __name__ == "__main__":
    main()
