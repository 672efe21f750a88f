"""What changed between the sweep of a run directory and a new one."""

from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.sweeps.axes import Scalar
from qbsweep.sweeps.spec import SweepSpec

_SHOWN = 3


def check_extends(old: SweepSpec, new: SweepSpec, where: Path) -> None:
    """Raise QbsweepError with what changed, unless `new` only adds axis values to `old`."""
    changes = [*_axis_changes(old, new), *_other_changes(old, new)]
    if changes:
        raise QbsweepError(
            f"{where} holds another sweep: {'; '.join(changes)}. Only axis values may be added; "
            "undo the change or give another --out"
        )


def _axis_changes(old: SweepSpec, new: SweepSpec) -> list[str]:
    changes = []
    for name in (*old.axes, *old.fixed):
        if name not in new.parameters:
            continue  # of a protocol that has changed
        before = old.axes.get(name) or old.fixed[name]
        after = new.axes.get(name) or new.fixed[name]
        kept = set(after.keys)
        missing = [key for key in before.keys if key not in kept]
        if old.differs_in_unit(new, name):
            changes.append(f"the unit of `{name}` was {before.unit} and is {after.unit}")
        elif name in old.axes and name not in new.axes:
            changes.append(f"`{name}` was an axis and is fixed")
        elif missing and name in new.fixed:
            changes.append(f"`{name}` was {before.values[0]} and is {after.values[0]}")
        elif missing:
            changes.append(f"`{name}` no longer has {_listed(missing)}")
    return changes


def _listed(values: list[Scalar]) -> str:
    more = f" and {len(values) - _SHOWN} more values" if len(values) > _SHOWN else ""
    return ", ".join(str(value) for value in values[:_SHOWN]) + more


def _other_changes(old: SweepSpec, new: SweepSpec) -> list[str]:
    changes = []
    if old.outputs != new.outputs:
        changes.append(f"`outputs` were {', '.join(old.outputs)} and are {', '.join(new.outputs)}")
    if (old.times and old.times.digest) != (new.times and new.times.digest):
        changes.append("`times` changed")
    if old.protocol != new.protocol:
        changes.append("`protocol` or `initial` changed")
    changes += [f"network `{name}` changed" for name, form in old.networks.items() if new.networks.get(name) != form]
    return changes
