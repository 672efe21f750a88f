"""What a declaration of a parameter says."""

from dataclasses import dataclass
from typing import Literal

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
