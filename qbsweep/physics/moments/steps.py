"""What the moments do from one time of a grid to the next."""

from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array
from qbsweep.physics.moments.exponential import Step, congruent, step

_UNEQUAL = 1e-12  # of a time: by how much it may miss its place in a uniform grid
_GONE = 1e-20  # what remains of the beginning and adds nothing any more


def uniform_step(times: Array) -> Array | None:
    """Return the step of uniform grids ``0, h, 2h, ...``, shape (P,), or None if they are not such."""
    if times.shape[1] < 2:
        return None
    last = times[:, -1]
    difference = last[:, None] * np.linspace(0.0, 1.0, times.shape[1])
    difference -= times
    # Relative to each time as well: what has entered of a long grid by its first times is as small as these.
    allowed = np.minimum(_UNEQUAL * times, 5 * np.finfo(float).eps * last[:, None])
    if np.all(np.abs(difference, out=difference) <= allowed):
        return np.asarray(last / (times.shape[1] - 1))
    return None


@dataclass(frozen=True, slots=True)
class Steps:
    """What the moments do from one time of a grid to the next.

    Attributes
    ----------
    each : list of Step
        Of a uniform grid only the first, which all others equal.
    count : int
        How many times the grid has.
    is_uniform : bool
        Whether the times are 0, h, 2h...
    """

    each: list[Step]
    count: int
    is_uniform: bool

    def of(self, members: Array) -> "Steps":
        """Return the steps of some members."""
        return Steps([one.of(members) for one in self.each], self.count, self.is_uniform)

    def driven(self) -> Array:
        """Return ``z(t)`` from 0 at every time, shape (P, q, T)."""
        first = self.each[0].driven
        result = np.zeros((*first.shape, self.count), dtype=first.dtype)
        if not self.is_uniform:
            z = np.zeros_like(first)
            for index, step in enumerate(self.each):
                result[..., index] = z = (step.flow @ z[..., None])[..., 0] + step.driven
            return result
        power, z, filled = self.each[0].flow, first[..., None], 1
        while filled < self.count:
            fresh = min(filled, self.count - filled)
            target = result[..., filled : filled + fresh]
            np.matmul(power, result[..., :fresh], out=target)
            target += z
            filled += fresh
            if filled < self.count:
                power, z = power @ power, z + power @ z
        return result

    def propagated(self, start: Array) -> Array:
        """Return ``U(t) v`` at every time, shape (P, ..., q, T), for vectors v of shape (P, ..., q)."""
        between = (slice(None), *(None,) * (start.ndim - 2))
        result = np.empty((*start.shape, self.count), dtype=np.result_type(start, self.each[0].flow))
        if not self.is_uniform:
            for index, step in enumerate(self.each):
                start = (step.flow[between] @ start[..., None])[..., 0]
                result[..., index] = start
            return result
        result[..., 0] = start
        power, filled = self.each[0].flow[between], 1
        while filled < self.count:
            fresh = min(filled, self.count - filled)
            np.matmul(power, result[..., :fresh], out=result[..., filled : filled + fresh])
            filled += fresh
            if filled < self.count:
                power = power @ power
        return result


def steps_of(F: Array, D: Array | None, times: Array) -> Steps:
    """Return the steps of a grid for a drive of mode 0: one exponential for a uniform one from 0, else one a time."""
    # The unit of the drive makes it no larger than the rest.
    unit = norms(F)[:, None]
    drive = np.zeros(F.shape[:2], dtype=F.dtype)
    drive[:, 0] = unit[:, 0]
    uniform = uniform_step(times)
    gaps = np.diff(times, axis=1, prepend=0.0) if uniform is None else uniform[:, None]
    each = []
    for gap in gaps.T:
        h = gap[:, None, None]
        found = step(F * h, drive * gap[:, None], None if D is None else D * h[..., None])
        each.append(found._replace(driven=found.driven / unit, reached=found.reached / unit))
    return Steps(each, times.shape[1], uniform is not None)


def norms(F: Array) -> Array:
    """Largest column sums, shape (P,)."""
    return np.asarray(np.abs(F).sum(axis=1).max(axis=1))


def settled_noise(F: Array, D: Array, lifetime: Array) -> Array:
    """V in the steady state, shape (P, k, q, q), by doubling what happens within a lifetime, shape (P,).

    Not within a step of the grid: of a short one ``e^{Fh}`` is 1 to rounding, and V would be known to 1/h only.
    """
    h = lifetime[:, None, None]
    first = step(F * h, np.zeros(F.shape[:2], dtype=F.dtype), D * h[..., None])
    assert first.noise is not None
    V, E = first.noise, first.flow
    active = np.arange(len(V))
    while len(active):
        V[active] += congruent(E[active][:, None], V[active])
        E[active] = E[active] @ E[active]
        active = active[np.abs(E[active]).max(axis=(1, 2)) > _GONE]
    return V
