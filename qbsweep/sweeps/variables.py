"""Variables of the dataset, each declared once: names, units, dimensions, meaning."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from qbsweep.sweeps.parameter import SOLVERS, TRUNCATED


@dataclass(frozen=True, slots=True)
class Variable:
    """One data variable of the dataset.

    Attributes
    ----------
    name, long_name, units : str
    extra_dims : tuple of str
        Dimensions after those of the grid: `mode`, `time`.
    dtype : str
    fill : float or int
        Value of a point that has not been solved.
    group : {'scalar', 'mode', 'time', 'verdict', 'always'}
        One number of the steady state, one per mode, or one per time, which needs `times`; `verdict` variables come
        with their solver, `always` ones cannot be left out.
    asked : bool
        Whether an output is computed only where a sweep asks for it; the others are the default ones.
    given_units : str
        Units where `omega` itself is given.
    label : str
        Short one for the axes of narrow figures; without, they show the `long_name`.
    solvers : tuple of str
        Those that compute it; points of another one hold the fill value.
    """

    name: str
    long_name: str
    group: Literal["scalar", "mode", "time", "verdict", "always"]
    units: str = "omega"
    extra_dims: tuple[str, ...] = ()
    dtype: str = "float64"
    fill: float | int = float("nan")
    label: str = ""
    solvers: tuple[str, ...] = SOLVERS
    asked: bool = False
    given_units: str = "[omega]"


VARIABLES = {
    v.name: v
    for v in (
        Variable("energy_charger", "steady-state energy of the charger", "scalar", label="charger energy"),
        Variable("energy_terminal", "steady-state energy of the terminal battery", "scalar", label="terminal energy"),
        Variable(
            "ergotropy_terminal", "steady-state ergotropy of the terminal battery", "scalar", label="terminal ergotropy"
        ),
        Variable(
            "energy_batteries",
            "steady-state energy summed over the batteries",
            "scalar",
            label="energy of all batteries",
        ),
        Variable("energy", "steady-state energy", "mode", extra_dims=("mode",), label="energy", asked=True),
        Variable("ergotropy", "steady-state ergotropy", "mode", extra_dims=("mode",), label="ergotropy", asked=True),
        Variable(
            "ergotropy_batteries",
            "steady-state ergotropy summed over the batteries",
            "scalar",
            label="ergotropy of all batteries",
            asked=True,
        ),
        Variable(
            "ergotropy_register",
            "steady-state work that Gaussian unitaries extract from all batteries jointly; "
            "bounds their ergotropy from below",
            "scalar",
            label="joint Gaussian ergotropy",
            asked=True,
        ),
        Variable(
            "log_negativity",
            "steady-state logarithmic negativity of the charger against the batteries, in nats",
            "scalar",
            units="1",
            label="logarithmic negativity",
            asked=True,
        ),
        Variable("purity", "steady-state purity of the whole network", "scalar", units="1", label="purity", asked=True),
        Variable(
            "energy_variance_terminal",
            "steady-state variance of the energy of the terminal battery",
            "scalar",
            units="omega^2",
            label="variance of the terminal energy",
            asked=True,
            given_units="[omega]^2",
        ),
        Variable(
            "drive_power",
            "steady-state rate at which the drive gives energy",
            "scalar",
            units="omega^2",
            label="power of the drive",
            asked=True,
            given_units="[omega] omega",
        ),
        Variable(
            "ergotropy_incoherent_terminal",
            "steady-state ergotropy of the terminal battery without the coherences of its levels",
            "scalar",
            label="incoherent terminal ergotropy",
            solvers=TRUNCATED,
            asked=True,
        ),
        Variable("energy_t", "energy from vacuum at t = 0", "time", extra_dims=("mode", "time"), label="energy"),
        Variable(
            "ergotropy_t", "ergotropy from vacuum at t = 0", "time", extra_dims=("mode", "time"), label="ergotropy"
        ),
        Variable(
            "ergotropy_register_t",
            "work that Gaussian unitaries extract from all batteries jointly, from vacuum at t = 0; "
            "bounds their ergotropy from below",
            "time",
            extra_dims=("time",),
            label="joint Gaussian ergotropy",
            asked=True,
        ),
        Variable(
            "log_negativity_t",
            "logarithmic negativity of the charger against the batteries, in nats, from vacuum at t = 0",
            "time",
            units="1",
            extra_dims=("time",),
            label="logarithmic negativity",
            asked=True,
        ),
        Variable(
            "energy_variance_t",
            "variance of the energy, from vacuum at t = 0",
            "time",
            units="omega^2",
            extra_dims=("mode", "time"),
            label="variance of the energy",
            asked=True,
            given_units="[omega]^2",
        ),
        Variable(
            "drive_power_t",
            "rate at which the drive gives energy, from vacuum at t = 0",
            "time",
            units="omega^2",
            extra_dims=("time",),
            label="power of the drive",
            asked=True,
            given_units="[omega] omega",
        ),
        Variable(
            "truncation_error",
            "largest relative error of energy and ergotropy over modes and times",
            "verdict",
            units="1",
            label="truncation error",
            solvers=TRUNCATED,
        ),
        Variable(
            "top_population",
            "largest population of a mode's highest level",
            "verdict",
            units="1",
            label="highest-level population",
            solvers=TRUNCATED,
        ),
        Variable(
            "levels_used",
            "Fock levels used, largest over modes",
            "verdict",
            units="1",
            dtype="int16",
            fill=0,
            solvers=TRUNCATED,
        ),
        Variable(
            "levels_needed",
            "Fock levels that should meet the tolerance, of suspect-branches that hold every branch, 0 if unknown",
            "verdict",
            units="1",
            dtype="int16",
            fill=0,
            solvers=TRUNCATED,
        ),
        Variable(
            "numerical_error",
            "estimated error by rounding and iteration: largest relative one (moments), of rho in the trace norm "
            "(lindblad)",
            "verdict",
            units="1",
            dtype="float32",
            label="numerical error",
        ),
        Variable("verdict", "who vouches for the point", "verdict", units="1", dtype="int8", fill=0),
        Variable(
            "solve_seconds",
            "solver time, the point's share of its block",
            "always",
            units="s",
            dtype="float32",
        ),
        # Written last, after everything else of the block: the only thing a resumed run looks at.
        Variable("status", "state of the point", "always", units="1", dtype="int8", fill=0),
    )
}

OUTPUTS = tuple(v.name for v in VARIABLES.values() if v.group in ("scalar", "mode", "time"))
VERDICT = tuple(v.name for v in VARIABLES.values() if v.group == "verdict")
STEADY_SCALARS = tuple(v.name for v in VARIABLES.values() if v.group == "scalar")
TIME_RESOLVED = tuple(v.name for v in VARIABLES.values() if v.group == "time")
DEFAULT_SCALARS = tuple(name for name in STEADY_SCALARS if not VARIABLES[name].asked)
DEFAULT_IN_TIME = tuple(name for name in TIME_RESOLVED if not VARIABLES[name].asked)


def computed_by(solvers: Iterable[object]) -> tuple[str, ...]:
    """Return the names of the variables that some of the solvers compute, those of the verdict included."""
    return _computed_by(frozenset(solvers))


@cache  # a block asks for it once a call of a solver
def _computed_by(solvers: frozenset[object]) -> tuple[str, ...]:
    return tuple(v.name for v in VARIABLES.values() if solvers & set(v.solvers) and v.group != "always")
