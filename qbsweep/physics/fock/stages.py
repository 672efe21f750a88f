"""The stages of a protocol: spans of time in which a model stands still, or its drive alone changes, linearly."""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qbsweep.arrays import FloatArray
from qbsweep.physics.fock.model import FockModel, Storage
from qbsweep.physics.fock.terms import gauge_phases, is_real
from qbsweep.physics.network import scaled
from qbsweep.physics.protocol import ModeState, Protocol, Segment

REAL = 1e-14  # imaginary part of an initial state that is rounding
UNCHANGED = Protocol()


@dataclass(frozen=True, slots=True)
class Stage:
    """A span of time.

    Attributes
    ----------
    begin, end : float
        In 1/omega.
    model : FockModel
        Without a protocol; of the stage's couplings, at the larger of its drives.
    drives : (float, float)
        At its beginning and its end, in units of omega.
    """

    begin: float
    end: float
    model: FockModel
    drives: tuple[float, float]

    @property
    def length(self) -> float:
        """Its duration, in 1/omega."""
        return self.end - self.begin

    @property
    def slope(self) -> float:
        """By how much the drive grows per time, in units of omega squared."""
        return (self.drives[1] - self.drives[0]) / self.length

    @property
    def is_ramp(self) -> bool:
        """Whether the density matrix feels a drive that changes."""
        return self.drives[0] != self.drives[1] and self.model.frame == "lab"

    def models(self) -> list[FockModel]:
        """Return its models at the beginning and the end, as if they stood still."""
        return [replace(self.model, epsilon=drive, storage=None) for drive in dict.fromkeys(self.drives)]


def before(model: FockModel) -> FockModel:
    """Return the model as its parameters say: a protocol with a steady beginning begins with its steady state."""
    return model if model.protocol is None else replace(model, protocol=None)


def last(model: FockModel) -> FockModel:
    """Return the model that a protocol ends with, as if it stood still: the one of its steady state."""
    if model.protocol is None:
        return model
    segment = model.protocol.segments[-1]
    return _still(model, segment, segment.drive[1])


def stages(model: FockModel, end: float) -> list[Stage]:
    """Return the stages from time 0 to `end`, which the last segment is continued to, with one storage for all."""
    found, begin, held = [], 0.0, storage(model)
    segments = _protocol(model).segments
    for segment in segments:
        if begin < min(segment.until, end):
            found.append(_stage(model, segment, begin, segment.until, held))
        begin = segment.until
    if begin < end:
        still = replace(segments[-1], drive=(segments[-1].drive[1],) * 2)
        found.append(_stage(model, still, begin, end, held))
    if found and found[-1].end > end:
        found[-1] = _cut(found[-1], end)
    return found


def drives_at(model: FockModel, times: Sequence[float] | FloatArray | None) -> FloatArray:
    """Return the drive at all times, in units of omega; the last one for the steady state, shape (1,)."""
    if times is None:
        return np.array([last(model).epsilon])
    grid = np.asarray(times, dtype=float)
    if model.protocol is None:
        return np.full(len(grid), model.epsilon)
    found = np.full(len(grid), model.epsilon * model.protocol.segments[0].drive[0])
    for stage in stages(model, float(grid[-1])):
        inside = (grid > stage.begin) & (grid <= stage.end)
        found[inside] = stage.drives[0]
        if stage.drives[0] != stage.drives[1]:
            found[inside] += stage.slope * (grid[inside] - stage.begin)
    return found


def standing(model: FockModel) -> list[FockModel]:
    """Return the models of all segments at their first and last drives, each once, as if they stood still.

    That of a steady beginning is among them.
    """
    segments = _standing(model)
    return list(dict.fromkeys(_still(model, segment, level) for segment in segments for level in segment.drive))


def storage(model: FockModel) -> Storage:
    """Return how the density matrix of a protocol is held: in one gauge, real or in blocks only if all stages are."""
    segments = _standing(model)
    levels = [level for segment in segments for level in segment.drive]
    strongest = max(segments, key=lambda segment: segment.coupling)
    phases = tuple(_phases(model, _still(model, strongest, max(levels, key=abs))).tolist())
    free = Storage(phases, real=True, blocks=True)
    every = standing(model)
    blocks = all(one.conserves_number for one in every) and not any(
        state.squeezing or (state.amplitude and model.frame == "lab") for state in _states(model)
    )
    real = all(is_real(one, phases) for one in every) and all(
        _is_real_state(state, phase, model.frame) for state, phase in zip(_states(model), phases, strict=False)
    )
    return replace(free, real=real, blocks=blocks)


def _protocol(model: FockModel) -> Protocol:
    return UNCHANGED if model.protocol is None else model.protocol


def _standing(model: FockModel) -> tuple[Segment, ...]:
    """Return the segments, and beside them what a steady beginning is one of."""
    protocol = _protocol(model)
    return protocol.segments + ((Segment(),) if protocol.initial.kind == "steady" else ())


def _states(model: FockModel) -> tuple[ModeState, ...]:
    return _protocol(model).initial.modes


def _still(model: FockModel, segment: Segment, level: float) -> FockModel:
    network = scaled(model.network, segment.coupling, 1.0)
    return replace(model, network=network, epsilon=model.epsilon * level, protocol=None)


def _stage(model: FockModel, segment: Segment, begin: float, end: float, held: Storage) -> Stage:
    still = replace(_still(model, segment, max(segment.drive, key=abs)), storage=held)
    drives = (model.epsilon * segment.drive[0], model.epsilon * segment.drive[1])
    return Stage(begin, end, still, drives)


def _cut(stage: Stage, end: float) -> Stage:
    """Return the beginning of a stage."""
    if math.isinf(stage.end):
        return replace(stage, end=end)
    return replace(stage, end=end, drives=(stage.drives[0], stage.drives[0] + stage.slope * (end - stage.begin)))


def _phases(model: FockModel, reference: FockModel) -> FloatArray:
    """Return the gauge of a protocol: that of its strongest drive and coupling.

    Where neither drive nor bath has a phase, the one of the initial state decides.
    """
    phases = gauge_phases(reference)
    if reference.drive or reference.anomaly:
        return phases
    for phase, state in zip(phases, _states(model), strict=False):
        if model.frame == "lab" and state.amplitude:
            return np.asarray(phases + cmath.phase(state.amplitude) - phase)
        if state.squeezing:
            return np.asarray(phases + state.angle / 2 - phase)
    return phases


def _is_real_state(state: ModeState, phase: float, frame: str) -> bool:
    amplitude = complex(state.amplitude) * cmath.exp(-1j * phase) if frame == "lab" else 0j
    pairs = math.sinh(state.squeezing) * cmath.exp(1j * (state.angle - 2 * phase))
    return abs(amplitude.imag) <= REAL * abs(amplitude) and abs(pairs.imag) <= REAL * abs(pairs)
