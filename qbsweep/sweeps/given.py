"""A sweep as Python gives it: keyword arguments, a dictionary, a sweep file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qbsweep.errors import QbsweepError
from qbsweep.physics.network import Edge, Network
from qbsweep.sweeps.spec import SweepSpec, load_spec, spec_of

Source = SweepSpec | Mapping[str, Any] | str | os.PathLike[str]
"""What describes a sweep: itself, the content of a sweep file as a dictionary, or the path of one."""


def sweep(source: Source | None = None, /, **keywords: Any) -> SweepSpec:
    """Describe a sweep and check it; nothing is computed.

    Parameters
    ----------
    source : SweepSpec, dict, str or path, optional
        The content of a sweep file as a dictionary, or the path of one.
    **keywords
        Instead of `source`, its keys: `name`, `parameters`, `sweep`, `times`, `outputs`, `networks`, `protocol`,
        `initial`. Numbers and values of axes may be numpy arrays; a network may be a `Network`.

    Returns
    -------
    SweepSpec

    Raises
    ------
    QbsweepError
        With every mistake, a sentence each.

    Examples
    --------
    >>> chain = sweep(name="chain", parameters={"topology": "cascaded", "kappa": 0.003, "epsilon": 0.01},
    ...               sweep={"N": [1, 2, 3], "J": np.geomspace(1e-4, 1e-1, 201)})
    """
    if source is None:
        return spec_of(_plain(keywords))
    if keywords:
        raise QbsweepError("a sweep is given by one dictionary or file, or by keyword arguments, not by both")
    if isinstance(source, SweepSpec):
        return source
    if isinstance(source, Mapping):
        return spec_of(_plain(source))
    if isinstance(source, (str, os.PathLike)):
        return load_spec(Path(source))
    kind = type(source).__name__
    raise QbsweepError(f"a sweep must be a dictionary, the path of a file, or keyword arguments, but is a {kind}")


def _plain(value: Any) -> Any:
    """Return a value as YAML would have it: lists, dictionaries and Python scalars."""
    if isinstance(value, Mapping):
        return {_key(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Network):
        return network_form(value)
    if isinstance(value, (list, tuple, range)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic) or hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    return value


def _key(key: Any) -> Any:
    plain = _plain(key)
    return str(key) if isinstance(plain, list) else plain


def network_form(network: Network) -> dict[str, Any]:
    """Write a network as an entry of `networks`: its J and Gamma are multiples of the sweep's J, its kappa likewise.

    Raises
    ------
    QbsweepError
        If an edge has amplitudes p other than 1, which a sweep takes from `realization`.
    """
    for edge in network.edges:
        if edge.Gamma and (edge.p_u, edge.p_v) != (1, 1):
            raise QbsweepError(
                f"edge ({edge.u}, {edge.v}) of a network in a sweep must have p_u = p_v = 1, "
                f"but has {edge.p_u:g} and {edge.p_v:g}; the amplitudes of a sweep are those of its `realization`"
            )
    form: dict[str, Any] = {"edges": [_edge_form(edge) for edge in network.edges], "kappa": list(network.kappa)}
    if any(network.detuning):
        form["detuning"] = list(network.detuning)
    return form


def _edge_form(edge: Edge) -> dict[str, Any]:
    return {"modes": [edge.u, edge.v], "J": edge.J, "theta": edge.theta, "Gamma": edge.Gamma}
