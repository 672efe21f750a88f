"""Parameters and variables, each declared once: names, units, limits, meaning.

The sweep file, its JSON Schema, the allocation and labels of the dataset and the documentation all
read these two tables.
"""

from dataclasses import dataclass
from typing import Literal

from qbsweep.physics.disorder import DISTRIBUTIONS, MAX_SEED
from qbsweep.physics.topologies import COUPLINGS, REALIZATIONS, TOPOLOGIES

SOLVERS = ("moments", "lindblad")
TRUNCATED = ("lindblad",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One physical or numerical parameter of a sweep.

    Attributes
    ----------
    name, long_name, units : str
    kind : {'choice', 'int', 'float', 'levels'}
        `levels` is a whole number, 'auto' or a mapping of roles, kept as a label.
    default : str, float or None
        None means that the sweep file must give it.
    choices : tuple of str
        Valid values of a choice.
    minimum, maximum : float or None
        Inclusive limits of a number.
    positive : bool
        The number must be above 0.
    scales : tuple of str
        Values of `unit:` accepted besides the parameter's own units.
    default_unit : str
        The unit of the default; without, the parameter's own units.
    meaning : str
        One line for the schema and the documentation.
    label : str
        Short one for the axes of narrow figures; without, they show the `long_name`.
    part : {'network', 'setting', 'value'}
        What it decides: the network that a solver is called for, or how the solver is to work (a call for each value of
        either), or a number that a solver is given many of at once, as an axis of a product.
    solvers : tuple of str
        Those whose results depend on it.
    rests : bool
        Nothing has it at its default: a sweep that fixes it there is the same as one made before the parameter was.
    """

    name: str
    kind: Literal["choice", "int", "float", "levels"]
    long_name: str
    meaning: str
    units: str = "1"
    default: str | float | None = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    positive: bool = False
    scales: tuple[str, ...] = ()
    default_unit: str = ""
    label: str = ""
    part: Literal["network", "setting", "value"] = "value"
    solvers: tuple[str, ...] = SOLVERS
    rests: bool = False


MAX_BATTERIES = 10_000
MAX_RATIO = 1e6  # a cooperative jump so fast leaves no other number of the network a digit
MAX_SQUEEZING = 300.0  # sinh^2 r leaves double precision at r = 355

# The order is that of the dataset's dimensions.
PARAMETERS = {
    p.name: p
    for p in (
        Parameter(
            "topology",
            "choice",
            "network topology",
            f"{', '.join(f'{t.name} ({t.label})' for t in TOPOLOGIES.values())}, or the name of one of `networks`",
            choices=tuple(TOPOLOGIES),
            part="network",
        ),
        Parameter(
            "coupling",
            "choice",
            "coupling type",
            "nonreciprocal edges have Gamma = 2 J and cancel the backward amplitude",
            default="nonreciprocal",
            choices=COUPLINGS,
            part="network",
        ),
        Parameter(
            "realization",
            "choice",
            "realization of the nonreciprocal phases",
            "theta = pi/2 with p = 1, or theta = 0 with complex p; they differ in squeezed baths only",
            default="phase-half-pi",
            choices=REALIZATIONS,
            part="network",
        ),
        Parameter(
            "gamma_ratio",
            "float",
            "cooperative dissipation over twice the coupling",
            "Gamma / (2 J) of every cooperative jump: 1 cancels the backward amplitude, 0 is reciprocal",
            default=1.0,
            minimum=0,
            maximum=MAX_RATIO,
            label="Γ / (2J)",
            part="network",
            rests=True,
        ),
        Parameter(
            "phase_error",
            "float",
            "error of the coupling phases",
            "added to the realization's theta on every edge",
            units="rad",
            default=0.0,
            label="phase error",
            part="network",
            rests=True,
        ),
        Parameter(
            "spread_distribution",
            "choice",
            "distribution of the disorder",
            "x of every edge or mode: uniform on [-1, 1], or normal with standard deviation 1",
            default="uniform",
            choices=DISTRIBUTIONS,
            part="setting",
            rests=True,
        ),
        Parameter(
            "solver",
            "choice",
            "solver",
            "moments is exact for Gaussian networks, lindblad truncates the Fock space",
            default="moments",
            choices=SOLVERS,
            part="setting",
        ),
        Parameter(
            "engine",
            "choice",
            "engine of the Lindblad solver",
            "auto is the fast engine, qutip the reference",
            default="auto",
            choices=("auto", "fast", "qutip"),
            part="setting",
            solvers=TRUNCATED,
        ),
        Parameter(
            "frame",
            "choice",
            "frame of the Lindblad solver",
            "lab truncates the state as it is, displaced only its fluctuations around alpha(t)",
            default="lab",
            choices=("lab", "displaced"),
            part="setting",
            solvers=TRUNCATED,
        ),
        Parameter(
            "fock_levels",
            "levels",
            "Fock levels per mode",
            "of the Lindblad solver: a number, auto, or {charger: ..., battery: ...} where 2 makes a qubit",
            default="auto",
            label="Fock levels per mode",
            part="setting",
            solvers=TRUNCATED,
        ),
        Parameter(
            "tolerance",
            "float",
            "tolerated truncation error",
            "a Lindblad point with a larger truncation_error is suspect",
            default=1e-3,
            positive=True,
            part="setting",
            solvers=TRUNCATED,
        ),
        Parameter(
            "memory",
            "float",
            "memory a point may take",
            "limit of a Lindblad point: auto climbs up to it, a plan beyond it is refused",
            units="GB",
            default=2.0,
            positive=True,
            maximum=10_000,  # no machine has more, and a plan would have to look at matrices that none can hold
            part="setting",
            solvers=TRUNCATED,
        ),
        Parameter(
            "N",
            "int",
            "number of batteries",
            "the network has N + 1 modes, mode 0 is the charger",
            minimum=1,
            maximum=MAX_BATTERIES,
            label="number of batteries N",
            part="network",
        ),
        Parameter(
            "J",
            "float",
            "coherent coupling",
            "coupling of every edge, or a multiple of J_op (10)",
            units="omega",
            minimum=0,
            scales=("J_op",),
            label="coupling J",
        ),
        Parameter(
            "kappa",
            "float",
            "local loss rate",
            "loss rate of every battery, and of the charger unless `kappa_charger` is given",
            units="omega",
            positive=True,
            label="loss rate κ",
        ),
        Parameter(
            "kappa_charger",
            "float",
            "local loss rate of the charger",
            "loss rate of mode 0 in place of kappa",
            units="omega",
            default=1.0,
            default_unit="kappa",
            positive=True,
            scales=("kappa",),
            label="charger loss κ₀",
            rests=True,
        ),
        Parameter(
            "detuning",
            "float",
            "detuning of every mode from the drive",
            "added to the detunings that a network of one's own has",
            units="omega",
            default=0.0,
            scales=("kappa",),
            label="detuning Δ",
            rests=True,
        ),
        Parameter(
            "spread_J",
            "float",
            "relative disorder of the couplings",
            "J_e -> J_e (1 + spread_J x_e) on every edge, Gamma follows",
            default=0.0,
            minimum=0,
            label="disorder of J",
            rests=True,
        ),
        Parameter(
            "spread_kappa",
            "float",
            "relative disorder of the losses",
            "kappa_m -> kappa_m (1 + spread_kappa x_m) on every mode",
            default=0.0,
            minimum=0,
            label="disorder of κ",
            rests=True,
        ),
        Parameter(
            "spread_detuning",
            "float",
            "disorder of the detunings",
            "Delta_m -> Delta_m + spread_detuning x_m on every mode",
            units="omega",
            default=0.0,
            minimum=0,
            scales=("kappa", "J"),
            label="disorder of Δ",
            rests=True,
        ),
        Parameter(
            "seed",
            "int",
            "seed of the disorder",
            "one draw of the whole network, the same x for every J, kappa, ... and N",
            default=0,
            minimum=0,
            maximum=MAX_SEED,
            label="seed",
            rests=True,
        ),
        Parameter(
            "epsilon",
            "float",
            "drive strength",
            "amplitude of the charger's drive",
            units="omega",
            minimum=0,
            label="drive ε",
        ),
        Parameter(
            "omega",
            "float",
            "mode frequency",
            "unit of the stored energy: energies are multiplied by it",
            default=1.0,
            positive=True,
        ),
        Parameter(
            "n_th",
            "float",
            "thermal photon number of the bath",
            "mean photon number of the bath",
            default=0.0,
            minimum=0,
            label="thermal photons n_th",
        ),
        Parameter(
            "r",
            "float",
            "squeezing strength of the bath",
            "squeezing strength of the bath",
            default=0.0,
            minimum=0,
            maximum=MAX_SQUEEZING,
            label="squeezing strength r",
        ),
        Parameter(
            "theta_r",
            "float",
            "squeezing angle of the bath",
            "squeezing angle of the bath; energies and ergotropies of a uniform bath do not depend on it",
            units="rad",
            default=0.0,
            label="squeezing angle",
        ),
        Parameter(
            "kerr",
            "float",
            "Kerr nonlinearity of the batteries",
            "K of K/2 b^dag b^dag b b on every battery; needs solver lindblad",
            units="omega",
            default=0.0,
            solvers=TRUNCATED,
        ),
        Parameter(
            "kerr_charger",
            "float",
            "Kerr nonlinearity of the charger",
            "K of K/2 a^dag a^dag a a on the charger; needs solver lindblad",
            units="omega",
            default=0.0,
            solvers=TRUNCATED,
        ),
    )
}

VALUES = tuple(p.name for p in PARAMETERS.values() if p.part == "value")
"""Parameters that a solver is given as axes of a product; the dimensions of a grid end with them."""
CALLS = tuple(p.name for p in PARAMETERS.values() if p.part != "value")
"""Parameters that a solver is called once for each value of; the dimensions of a grid begin with them."""
