"""Protocols: what a network starts from, and what becomes of its drive and couplings in time."""

import math
from dataclasses import dataclass, field
from typing import Literal


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


@dataclass(frozen=True, slots=True)
class Initial:
    """The state at t = 0, without correlations but for `steady`.

    Attributes
    ----------
    kind : {'vacuum', 'thermal', 'steady', 'modes'}
        `thermal`: every mode with the bath's n_th photons; `steady`: the steady state of the first segment's couplings
        at its first level of the drive; `modes`: a state of every mode.
    modes : tuple of ModeState
    """

    kind: Literal["vacuum", "thermal", "steady", "modes"] = "vacuum"
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
