"""Protocols: what a network starts from, and what becomes of its drive and couplings in time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.physics.fock.levels import ROLES

Value = float | str
"""A number, or the name of the parameter that has it."""
Kind = Literal["vacuum", "thermal", "steady", "modes"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of time.

    Attributes
    ----------
    until : float
        Its end, in 1/omega since the beginning of the protocol; infinite for one that does not end.
    drive : (float, float)
        Multiples of epsilon at its beginning and at its end, linear in between; equal for one that does not end.
    coupling : float
        Multiple of J and Gamma of every edge, at least 0.
    """

    until: float = math.inf
    drive: tuple[float, float] = (1.0, 1.0)
    coupling: float = 1.0


@dataclass(frozen=True, slots=True)
class ModeState:
    """A displaced squeezed thermal state of one mode.

    ``<c> = amplitude``, and of the fluctuations ``<d^dag d> = occupation cosh 2r + sinh^2 r`` and
    ``<d d> = (2 occupation + 1) sinh r cosh r e^{i angle}`` with r = squeezing: what a lone lossy mode comes to in a
    bath of these n_th, r and theta_r, displaced.

    Attributes
    ----------
    amplitude : complex
    occupation, squeezing : float
        At least 0.
    angle : float
        In radians.
    """

    amplitude: complex = 0.0
    occupation: float = 0.0
    squeezing: float = 0.0
    angle: float = 0.0


OF_OSCILLATORS = ("amplitude", "squeezing")
"""What of a state a mode of two levels cannot have: it can only be thermal."""
QUBITS_BEGIN = "a qubit can only begin with an `occupation`"


@dataclass(frozen=True, slots=True)
class Initial:
    """The state at t = 0, without correlations but for `steady`.

    Attributes
    ----------
    kind : {'vacuum', 'thermal', 'steady', 'modes'}
        `thermal`: every mode with the bath's n_th photons; `steady`: the steady state as the parameters say, whatever
        the protocol does from then on; `modes`: a state of every mode.
    modes : tuple of ModeState
    """

    kind: Kind = "vacuum"
    modes: tuple[ModeState, ...] = ()


@dataclass(frozen=True, slots=True)
class Protocol:
    """Segments one after the other, from t = 0."""

    segments: tuple[Segment, ...] = (Segment(),)
    initial: Initial = field(default_factory=Initial)

    @property
    def is_plain(self) -> bool:
        """Whether nothing changes in it, and it starts from vacuum."""
        return self.initial.kind == "vacuum" and all(s.drive == (1.0, 1.0) and s.coupling == 1.0 for s in self.segments)


@dataclass(frozen=True, slots=True)
class SegmentTemplate:
    """A segment with names for some of its numbers; its end is a multiple of the template's unit of time."""

    until: Value = Segment().until
    drive: tuple[Value, Value] = Segment().drive
    coupling: Value = Segment().coupling


@dataclass(frozen=True, slots=True)
class Template:
    """What the protocols of many points have in common.

    Attributes
    ----------
    segments : tuple of SegmentTemplate
    kind : str
        As of `Initial`.
    states : dict
        Of 'charger', 'battery' (each of them) or the number of a mode, which goes before its role: what of `ModeState`
        is not 0.
    per_kappa : bool
        Whether times are multiples of 1/kappa, not of 1/omega.
    """

    segments: tuple[SegmentTemplate, ...] = (SegmentTemplate(),)
    kind: Kind = "vacuum"
    states: Mapping[str | int, Mapping[str, Value]] = field(default_factory=dict)
    per_kappa: bool = False

    def uses(self) -> Iterator[tuple[str, str, str]]:
        """Yield every name, what it stands for and of what: ``x, until, segment 1`` or ``a, amplitude, charger``."""
        for number, segment in enumerate(self.segments, start=1):
            keyed = (("until", segment.until), *(("drive", v) for v in segment.drive), ("coupling", segment.coupling))
            yield from ((value, key, f"segment {number}") for key, value in keyed if isinstance(value, str))
        for who, state in self.states.items():
            mode = f"mode {who}" if isinstance(who, int) else who
            yield from ((value, key, mode) for key, value in state.items() if isinstance(value, str))

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in it, in the order of the dimensions."""
        return tuple(dict.fromkeys(name for name, _, _ in self.uses()))

    def in_omega(self, until: float, kappa: Any) -> Any:
        """Return an end in 1/omega, divided as sampled times are: to the bit; for one kappa or an array of them."""
        return until / kappa if self.per_kappa else until

    def on_samples(self, times: FloatArray) -> "Template":
        """Return the same with `on_samples` of its ends."""
        segments = (
            s if isinstance(s.until, str) else replace(s, until=float(on_samples(s.until, times)))
            for s in self.segments
        )
        return replace(self, segments=tuple(segments))

    def at(self, values: Mapping[str, float], n_modes: int) -> Protocol:
        """Return the protocol of one point, by the values of its parameters; times among them are in 1/omega."""
        kappa = values["kappa"] if self.per_kappa else 1.0

        def number(value: Value) -> float:
            return values[value] if isinstance(value, str) else value

        segments = tuple(
            Segment(
                values[s.until] if isinstance(s.until, str) else self.in_omega(s.until, kappa),
                (number(s.drive[0]), number(s.drive[1])),
                number(s.coupling),
            )
            for s in self.segments
        )
        if self.kind != "modes":
            return Protocol(segments, Initial(self.kind))
        states = (self.state(mode) for mode in range(n_modes))
        modes = tuple(ModeState(**{key: number(value) for key, value in state.items()}) for state in states)
        return Protocol(segments, Initial("modes", modes))

    def state(self, mode: int) -> Mapping[str, Value]:
        """Return what of the state of a mode is not 0, if `kind` is 'modes'."""
        return self.states.get(mode, self.states.get(ROLES[min(mode, 1)], {}))


def on_samples(ends: float | FloatArray, times: FloatArray) -> FloatArray:
    """Return ends of segments, as the sampled time where one is the same but for rounding.

    Whether ``3 * 0.1`` is before the end at 0.3 or behind it then does not depend on its last digit: a sample at an end
    is of the segment that ends.
    """
    times = np.unique(times)
    nearest = times[np.searchsorted((times[1:] + times[:-1]) / 2, ends)]
    return np.where(np.isclose(ends, nearest, rtol=1e-14, atol=0.0), nearest, ends)
