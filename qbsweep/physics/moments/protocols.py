"""Moments along protocols: drive and couplings change from segment to segment, and any Gaussian state may begin.

Within a time h of a segment, whose drive goes from ``l_0 epsilon`` to ``l_1 epsilon``::

    alpha -> U alpha + epsilon (l_0 z + (l_1 - l_0) y)     U = exp(M h)
    C     -> P + conj(U) (C - P) U^T                       z = int_0^h U(s) b ds,  b = -i e_0
    S     -> U S U^T + conj(Q) Y                           y = int_0^h U(h - s) b s/h ds
                                                           Y = int_0^h U(s) K_sq U(s)^T ds

No eigenvectors and no steps of an integrator appear: z, y and Y come from the exponentials of augmented matrices, once
for all equal spans of a segment. Everything is linear in epsilon, P and conj(Q), so one run serves all baths.

Amplitudes that nearly vanish have few digits of double precision. From matrices and a beginning in extended precision
they have more: `with_amplitudes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from qbsweep.arrays import Array, FloatArray
from qbsweep.physics.moments.flows import NONE, Flow, Matrices, as_pairs, as_real, flow_of, joined, pairs_of
from qbsweep.physics.moments.problem import EXTENDED, ROUNDING
from qbsweep.physics.moments.steps import norms, settled_noise, uniform_step

_EQUAL = 4 * float(np.finfo(float).eps)  # of a time: spans that differ by less are one, cut off by rounding


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """A segment of R runs: when it begins and ends, levels of the drive then, and the factor of the couplings: (R,)."""

    begin: FloatArray
    end: FloatArray
    levels: tuple[FloatArray, FloatArray]
    coupling: FloatArray

    def of(self, runs: Array | slice) -> "Leg":
        """Return that of some runs."""
        first, last = self.levels
        return Leg(self.begin[runs], self.end[runs], (first[runs], last[runs]), self.coupling[runs])

    @property
    def is_ramp(self) -> bool:
        """Whether the drive of any run changes."""
        return bool((self.levels[0] != self.levels[1]).any())

    def level(self, time: FloatArray) -> FloatArray:
        """Return the level of the drive, shape (R,)."""
        first, last = self.levels
        if not self.is_ramp:
            return first
        gone = np.divide(time - self.begin, self.end - self.begin, out=np.zeros_like(time), where=first != last)
        return np.asarray(first + (last - first) * np.clip(gone, 0.0, 1.0))


class Errors(NamedTuple):
    """Bounds of the errors of amplitudes, in units of a rounding in double precision.

    They travel as amplitudes do, at most: entry by entry with ``|U|``, which knows how fast each mode forgets, and as a
    whole with the norm of U, which knows that what oscillates does not grow.

    Attributes
    ----------
    each : ndarray, shape (R, n)
    whole : ndarray, shape (R,)
        Of the 2-norm.
    """

    each: FloatArray
    whole: FloatArray

    @classmethod
    def of(cls, each: FloatArray) -> "Errors":
        """Return the bounds of independent errors."""
        return cls(each, np.linalg.norm(each, axis=1))

    def after(self, flow: Flow, fresh: FloatArray) -> "Errors":
        """Return the bounds after a span that adds errors of its own, shape (R, n)."""
        whole = flow.norm * self.whole + np.linalg.norm(fresh, axis=1)
        return Errors(np.minimum(_acting(flow.size, self.each) + fresh, whole[:, None]), whole)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What R runs have come to.

    Attributes
    ----------
    driven : ndarray, shape (R, n)
        Amplitudes for epsilon = 1, but for what the beginning has left.
    begun : ndarray, shape (R, n), or None
        What the initial amplitudes have left; None if there are none.
    U : ndarray, shape (R, n, n), or None
        From the beginning until now; None if no fluctuations were wanted.
    pairs : ndarray, shape (R, n, n), or None
        S over conj(Q), but for what the beginning has left; None if not wanted.
    level : ndarray, shape (R,)
        Of the drive.
    of_driven, of_begun : Errors
        Of the two.
    turned : ndarray, shape (R,)
        Relative error of U and of `pairs`, in units of a rounding.
    """

    driven: Array
    begun: Array | None
    U: Array | None
    pairs: Array | None
    level: FloatArray
    of_driven: Errors
    of_begun: Errors | None
    turned: FloatArray


def at_rest(begun: Array, level: FloatArray, *, fluctuations: bool, squeezing: bool) -> Moments:
    """Return the beginning from a state without correlations, of amplitudes (R, n), at a level of the drive (R,)."""
    (runs, n), is_displaced = begun.shape, bool(begun.any())
    zero = np.zeros((runs, n, n), dtype=complex)
    return Moments(
        driven=np.zeros((runs, n), dtype=begun.dtype),
        begun=begun if is_displaced else None,
        U=zero + np.eye(n) if fluctuations else None,
        pairs=zero if squeezing else None,
        level=level,
        of_driven=Errors.of(np.zeros((runs, n))),
        of_begun=Errors.of(np.abs(begun)) if is_displaced else None,
        turned=np.zeros(runs),
    )


def settled(matrices: Matrices, rest: Moments) -> tuple[Moments, Array]:
    """Return the beginning from the steady state, not from rest, and which runs have one, shape (R,)."""
    whole = np.ones_like(rest.level)
    exact = joined(matrices.drift, whole)
    M = np.asarray(exact, dtype=complex)
    decay = -np.linalg.eigvals(M).real.max(axis=1)
    relaxes = decay > 1e-13 * norms(M)
    exact[~relaxes] = M[~relaxes] = -np.eye(M.shape[-1])  # of no use, but finite
    source = np.zeros((*M.shape[:2], 1), dtype=complex)
    source[:, 0] = 1j
    alpha, moved = np.zeros_like(source, dtype=exact.dtype), np.linalg.solve(M, source)
    for _ in range(1 if exact.dtype == M.dtype else 3):
        alpha += moved
        moved = np.linalg.solve(M, np.asarray(source - exact @ alpha, dtype=complex))
    driven = (alpha + moved)[..., 0]
    pairs = rest.pairs
    if pairs is not None:
        D = as_pairs(joined(matrices.pairs, whole))
        pairs = pairs_of(settled_noise(as_real(M), D[:, None], 1 / np.where(relaxes, decay, 1.0))[:, 0])
    error = Errors.of(np.abs(driven) + np.abs(moved[..., 0]) / float(np.finfo(exact.real.dtype).eps))
    start = replace(rest, driven=driven, pairs=pairs, of_driven=error)
    return start, relaxes


def moments_along(matrices: Matrices, legs: Sequence[Leg], times: FloatArray, start: Moments) -> Iterator[Moments]:
    """Yield the moments at every time.

    Parameters
    ----------
    matrices : Matrices
    legs : sequence of Leg
    times : ndarray, shape (R, T)
        Ascending, at least 0, in 1/omega.
    start : Moments
        At t = 0.
    """
    step = uniform_step(times)
    spans = [_Spans(matrices, leg, step, start.pairs is not None) for leg in legs]
    now, moments = np.zeros(len(times)), start
    for time in times.T:
        for leg, of_leg in zip(legs, spans, strict=True):
            begin, end = np.maximum(now, leg.begin), np.minimum(time, leg.end)
            runs = np.flatnonzero(end > begin)
            if len(runs):
                moments = _advanced(moments, of_leg, runs, begin, end)
        now = time
        yield moments


def with_amplitudes(moments: Moments, better: Moments) -> Moments:
    """Return moments with the amplitudes of others in extended precision, and what is wrong of these."""

    def of(errors: Errors | None) -> Errors | None:
        return errors and Errors(*((part * (EXTENDED / ROUNDING)).astype(float) for part in errors))

    of_driven = of(better.of_driven)
    assert of_driven is not None
    return replace(moments, driven=better.driven, begun=better.begun, of_driven=of_driven, of_begun=of(better.of_begun))


class _Spans:
    """Flows of spans within a segment, of every run the latest: on a grid of equal steps all are the same.

    The step of the grid itself: a difference of two late times that stands for many others is wrong many times over.
    """

    def __init__(self, matrices: Matrices, leg: Leg, step: FloatArray | None, pairs: bool) -> None:
        self.leg, self.step = leg, step
        self.drift = joined(matrices.drift, leg.coupling)
        self.noise = joined(matrices.pairs, leg.coupling) if pairs else None
        self.rate = norms(self.drift)
        self.known = np.full(len(leg.begin), np.nan, dtype=self.rate.dtype)
        self.flow: Flow | None = None

    @property
    def is_extended(self) -> bool:
        """Whether the matrices are in more than double precision."""
        return self.drift.dtype != np.dtype(complex)

    def of(self, runs: Array, spans: FloatArray, end: FloatArray) -> Flow:
        """Return the flows of some runs, for the spans that end there."""
        if self.step is not None:
            step = self.step[runs]
            spans = np.where(np.abs(spans - step) <= _EQUAL * end, step, spans)
        new = ~(np.abs(spans - self.known[runs]) <= _EQUAL * end)
        if new.any():
            some = runs[new]
            noise = None if self.noise is None else self.noise[some]
            found = flow_of(self.drift[some], noise, spans[new], is_ramp=self.leg.is_ramp)
            self.flow = found if len(some) == len(self.known) else _placed(self.flow, found, some, len(self.known))
            self.known[some] = spans[new]
        assert self.flow is not None
        return self.flow if len(runs) == len(self.known) else Flow(*(_taken(part, runs) for part in self.flow))


def _taken(part: Any, runs: Array) -> Any:
    return None if part is None else part[runs]


def _placed(flow: Flow | None, found: Flow, runs: Array, count: int) -> Flow:
    """Put what was found of some runs beside what is known of the others."""
    if flow is None:
        parts: list[Any] = [None if part is None else np.zeros((count, *part.shape[1:]), part.dtype) for part in found]
        flow = Flow(*parts)
    for old, new in zip(flow, found, strict=True):
        if old is not None:
            old[runs] = new
    return flow


def _advanced(moments: Moments, spans: _Spans, runs: Array, begin: FloatArray, end: FloatArray) -> Moments:
    """Return the moments after these runs went from one time to another within a segment."""
    one = Moments(*(_some(getattr(moments, name), runs) for name in Moments.__slots__))
    leg, gap = spans.leg.of(runs), (end - begin)[runs]
    flow = spans.of(runs, gap, end[runs])
    first, last = leg.level(begin[runs]), leg.level(end[runs])
    driven = _acting(flow.U, one.driven) + first[:, None] * flow.z
    if flow.y is not None:
        driven += (last - first)[:, None] * flow.y
    begun = None if one.begun is None else _acting(flow.U, one.begun)
    if spans.is_extended:  # to the times themselves, by whose rounding equal spans differ
        late, M = (gap - spans.known[runs])[:, None], spans.drift[runs]
        slope = _acting(M, driven)
        slope[:, 0] -= 1j * last
        if flow.y is not None:
            slope -= ((last - first) / gap)[:, None] * flow.y
        driven += late * slope
        begun = None if begun is None else begun + late * _acting(M, begun)
    turns = spans.rate[runs] * gap
    kept = np.clip(flow.norm, NONE, 1 - 1e-3)
    # A phase is as uncertain as what it has turned by, within what is remembered.
    fresh = (2 + turns * np.where(flow.norm < 1 - 1e-3, (1 - kept) / -np.log(kept), 1.0))[:, None]
    highest = np.maximum(np.abs(first), np.abs(last))[:, None]
    of_driven = fresh * (_acting(flow.size, np.abs(one.driven)) + highest * flow.reached)
    after = Moments(
        driven=driven,
        begun=begun,
        U=None if one.U is None else flow.U @ one.U,
        pairs=None if one.pairs is None or flow.Y is None else _congruent(flow.U, one.pairs) + flow.Y,
        level=last,
        of_driven=one.of_driven.after(flow, of_driven),
        of_begun=_left_error(one, flow, fresh),
        turned=one.turned + 2 + turns,
    )
    if len(runs) == len(moments.level):
        return after
    return Moments(*(_put(getattr(moments, name), getattr(after, name), runs) for name in Moments.__slots__))


def _left_error(moments: Moments, flow: Flow, fresh: FloatArray) -> Errors | None:
    """Return the error of what the initial amplitudes have left."""
    if moments.begun is None or moments.of_begun is None:
        return None
    return moments.of_begun.after(flow, fresh * _acting(flow.size, np.abs(moments.begun)))


def _some(part: Any, runs: Array) -> Any:
    return Errors(*(one[runs] for one in part)) if isinstance(part, Errors) else _taken(part, runs)


def _put(old: Any, new: Any, runs: Array) -> Any:
    if old is None:
        return None
    if isinstance(old, Errors):
        return Errors(*(_put(one, other, runs) for one, other in zip(old, new, strict=True)))
    result = old.copy()
    result[runs] = new
    return result


def _acting(U: Array, vectors: Array) -> Array:
    return np.asarray((U @ vectors[..., None])[..., 0])


def _congruent(U: Array, X: Array) -> Array:
    return np.asarray(U @ X @ np.swapaxes(U, 1, 2))
