"""Judge the verdict on nonlinear points: `python tests/benchmarks/record.py verdicts`, half an hour on one core.

Random points are solved as a sweep solves them and held against truths that `verdict_points.py` found and stored. A
point is right if no energy or ergotropy is off by more than the tolerance, in the sense of `truncation_error`. A false
ok is off by more than twice that and has status ok; a needless suspect is right; one that is neither is a near miss.
Bistable are points with three classical fixed points. Times are the processor's; the bare solve, of the points of every
third network with fixed levels, is that at the same levels, without anything that only the verdict needs.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from qbsweep.physics.fock.levels import levels_label  # noqa: E402
from qbsweep.physics.fock.model import FockModel, Levels, fock_model  # noqa: E402
from qbsweep.physics.fock.point import solve_model  # noqa: E402
from qbsweep.physics.fock.verdict import TOLERANCE, truncation_error  # noqa: E402
from qbsweep.physics.network import Edge, Network  # noqa: E402
from qbsweep.solvers.interface import Points, Setting, values_of  # noqa: E402
from qbsweep.solvers.lindblad import solve_lindblad  # noqa: E402
from qbsweep.solvers.status import STATUS_NAMES, VERDICT_NAMES  # noqa: E402

POINTS = Path(__file__).with_name("verdict_points.jsonl")
VALUES = ("epsilon", "n_th", "r", "kerr", "kerr_charger")
FIRST_LEVELS = 4  # stand for those of a climb where a model is wanted
KINDS = ("right, ok", "needless suspect", "caught", "near miss", "FALSE OK", "failed")


@dataclass(frozen=True, slots=True)
class Point:
    """A network, its drive and its bath; every jump's amplitudes are 1."""

    network: Network
    epsilon: float = 0.0
    n_th: float = 0.0
    r: float = 0.0
    kerr: float = 0.0
    kerr_charger: float = 0.0

    @property
    def kerr_of_modes(self) -> tuple[float, ...]:
        return (self.kerr_charger,) + (self.kerr,) * self.network.n_batteries

    def model(self, levels: Levels, frame: str = "lab") -> FockModel:
        """Return its master equation at some Fock levels."""
        return fock_model(
            self.network, levels, epsilon=self.epsilon, n_th=self.n_th, r=self.r, kerr=self.kerr_of_modes, frame=frame
        )

    def to_json(self) -> dict[str, Any]:
        network = self.network
        edges = [[e.u, e.v, e.J, e.theta, e.Gamma] for e in network.edges]
        given = {"kappa": network.kappa, "detuning": network.detuning, "edges": edges}
        return given | {name: getattr(self, name) for name in VALUES}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Point":
        edges = tuple(Edge(int(u), int(v), *rest) for u, v, *rest in given["edges"])
        network = Network(tuple(given["kappa"]), edges, tuple(given["detuning"]))
        return cls(network, **{name: given[name] for name in VALUES})


@dataclass(frozen=True, slots=True)
class Asked:
    """How a point is to be solved, in the words of a sweep file."""

    levels: int | str | dict[str, int]
    frame: str = "lab"
    memory: float = 2.0

    @property
    def settings(self) -> dict[str, Setting]:
        levels = levels_label(self.levels) if isinstance(self.levels, dict) else str(self.levels)
        chosen: dict[str, Setting] = {"fock_levels": levels, "frame": self.frame, "memory": self.memory}
        return chosen | {"engine": "auto", "tolerance": TOLERANCE}

    def model(self, point: Point) -> FockModel:
        """Return the model of these levels, or of the first of a climb."""
        return point.model(FIRST_LEVELS if isinstance(self.levels, str) else self.levels, self.frame)


@dataclass(frozen=True, slots=True)
class Case:
    """A point that is asked for, and the truth about it."""

    family: str
    number: int
    point: Point
    asked: Asked
    is_bistable: bool
    energy: np.ndarray
    ergotropy: np.ndarray


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: one of `KINDS`, who vouches for it, its error, the times with and without verdict."""

    case: Case
    kind: str
    verdict: str
    error: float
    seconds: float
    bare: float


def lines() -> list[dict[str, Any]]:
    """Return what is stored, a mapping for every network."""
    return [json.loads(line) for line in POINTS.read_text().splitlines()] if POINTS.exists() else []


def cases() -> Iterator[Case]:
    """Yield all stored points whose truth is known."""
    for line in lines():
        energy, ergotropy = (np.array(line["truth"][name], dtype=float) for name in ("energy", "ergotropy"))
        if np.isnan(energy).all():
            continue
        point, is_bistable = Point.from_json(line["point"]), (line["fixed_points"] or 1) > 1
        for asked in (Asked(**one) for one in line["asked"]):
            yield Case(line["family"], line["number"], point, asked, is_bistable, energy, ergotropy)


def judge(case: Case, *, timed: bool = True) -> Outcome:
    """Solve a case as a sweep does, and hold it against the truth."""
    point, asked = case.point, case.asked
    values = {name: getattr(point, name) for name in VALUES} | {"J": 1, "kappa": 1, "omega": 1, "theta_r": 0}
    start = time.process_time()
    solved = solve_lindblad(Points(point.network, values_of(values), asked.settings), ("energy", "ergotropy"))
    seconds = time.process_time() - start
    assert solved.status is not None
    status = STATUS_NAMES[int(solved.status.values.item())]
    if status == "failed":
        return Outcome(case, "failed", "none", np.inf, seconds, np.nan)
    energy, ergotropy = (solved.arrays[name].values.reshape(-1) for name in ("energy", "ergotropy"))
    error = truncation_error(energy, ergotropy, *_known(case, energy, ergotropy))
    if error <= TOLERANCE:
        kind = "right, ok" if status == "ok" else "needless suspect"
    elif status == "suspect":
        kind = "caught"
    else:
        kind = "FALSE OK" if error > 2 * TOLERANCE else "near miss"
    bare = _bare_seconds(case) if timed and asked.levels != "auto" else np.nan
    return Outcome(case, kind, VERDICT_NAMES[int(solved.arrays["verdict"].values.item())], error, seconds, bare)


def _known(case: Case, energy: np.ndarray, ergotropy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the truth, and the values themselves where it is not known."""
    known = np.where(np.isnan(case.energy), energy, case.energy)
    return known, np.where(np.isnan(case.ergotropy), ergotropy, case.ergotropy)


def _bare_seconds(case: Case) -> float:
    model = case.asked.model(case.point)
    start = time.process_time()
    solve_model(model)
    return time.process_time() - start


def table(name: str, groups: dict[str, list[Outcome]]) -> str:
    """Return the counts of every group, and of all."""
    rows = [f"{name:26} {'points':>7} {'bistable':>9} " + " ".join(f"{kind:>16}" for kind in KINDS)]
    everything = [outcome for group in groups.values() for outcome in group]
    for label, group in [*groups.items(), ("all", everything)]:
        count = Counter(outcome.kind for outcome in group)
        bistable = sum(outcome.case.is_bistable for outcome in group)
        rows.append(f"{label:26} {len(group):7} {bistable:9} " + " ".join(f"{count[kind]:16}" for kind in KINDS))
    return "\n".join(rows)


def grouped(outcomes: Iterable[Outcome], key: Any) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return groups


def spread(values: list[float]) -> str:
    """Return the median, and where the middle nine tenths lie."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.3g} (5 % below {low:.3g}, 5 % above {high:.3g})"


def report(outcomes: list[Outcome]) -> None:
    print("\nnonlinear points held against their truths, by family")
    print(table("family", grouped(outcomes, lambda outcome: outcome.case.family)))
    print("\nthe same by verdict")
    print(table("verdict", grouped(outcomes, lambda outcome: outcome.verdict)))
    count = Counter(outcome.kind for outcome in outcomes)
    right = count["right, ok"] + count["needless suspect"]
    print("\nin short, with times of the processor")
    needless = 100 * count["needless suspect"] / max(right, 1)
    print(f"{count['FALSE OK']} false oks; {needless:.1f} % of the right points are suspect")
    timed = [outcome for outcome in outcomes if outcome.bare > 0]
    ratios = [outcome.seconds / outcome.bare for outcome in timed]
    total = sum(outcome.seconds for outcome in timed) / sum(outcome.bare for outcome in timed)
    print(f"time of a point of fixed levels, verdict included, over that of the bare solve: {spread(ratios)}")
    print(f"the same of the sums over {len(timed)} points: {total:.3g}")
    print(f"seconds of a point: {spread([outcome.seconds for outcome in outcomes])}")
    for outcome in outcomes:
        if outcome.kind == "FALSE OK":
            print(
                f"FALSE OK: {outcome.case.family} {outcome.case.number} {outcome.case.asked} off by {outcome.error:.2g}"
            )


def main() -> None:
    """Judge all stored points, or every n-th."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="judge every n-th point only")
    chosen = list(cases())[:: parser.parse_args().every]
    judge(chosen[0])  # compiles
    report([judge(case, timed=case.number % 3 == 0) for case in chosen])


if __name__ == "__main__":
    main()
