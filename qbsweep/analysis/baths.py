"""Squeezed baths against vacuum, ergotropy against energy."""

import xarray as xr

from qbsweep.analysis.declaration import Analysis, Picture
from qbsweep.analysis.inputs import good_values, in_memory, ratio_of
from qbsweep.analysis.outputs import labelled, masked_points


def ergotropy_fraction(ds: xr.Dataset) -> xr.Dataset:
    """Return which part of the terminal energy is extractable: ``ergotropy / energy`` at every point, 0/0 being NaN."""
    ds = in_memory(ds, ("energy_terminal", "ergotropy_terminal"), "ergotropy_fraction")
    energy, good = good_values(ds, "energy_terminal")
    ergotropy, also = good_values(ds, "ergotropy_terminal")
    good = good & also
    text = "ergotropy over energy of the terminal battery"
    fraction = ratio_of(ergotropy.where(good), energy.where(good))
    variables = {
        "ergotropy_fraction": (fraction, "1", text),
        "masked_points": masked_points(good),
    }
    return labelled(ds, variables, "ergotropy_fraction")


def enhancement(ds: xr.Dataset) -> xr.Dataset:
    """Compare squeezed baths with the one at r = 0 (Fig. 6): ``E(r) / E(0)`` of the terminal battery.

    Returns
    -------
    Dataset
        `enhancement` of the energy; where the dataset has the ergotropy, `ergotropy_enhancement` and
        `ergotropy_fraction` too; `masked_points`.
    """
    ENHANCEMENT.require(ds)
    optional = [name for name in ("ergotropy_terminal",) if name in ds]
    ds = in_memory(ds, ("energy_terminal", *optional), "enhancement")
    energy, good = good_values(ds, "energy_terminal")
    text = "of the terminal battery in a squeezed bath over that at r = 0"
    variables = {"enhancement": (ratio_of(energy, energy.sel(r=0.0, drop=True)), "1", f"energy {text}")}
    if "ergotropy_terminal" in ds:
        ergotropy, also = good_values(ds, "ergotropy_terminal")
        good = good & also
        ratio = ratio_of(ergotropy, ergotropy.sel(r=0.0, drop=True))
        variables["ergotropy_enhancement"] = (ratio, "1", f"ergotropy {text}")
        fraction = ratio_of(ergotropy.where(good), energy.where(good))
        variables["ergotropy_fraction"] = (fraction, "1", "ergotropy over energy of the terminal battery")
    variables["masked_points"] = masked_points(good)
    return labelled(ds, variables, "enhancement")


ENHANCEMENT = Analysis(
    enhancement,
    axes={"r": (0.0,)},
    pictures=(
        Picture("enhancement", ("r",), level=1.0),
        Picture("ergotropy_enhancement", ("r",), level=1.0),
    ),
    labels={"enhancement": "energy enhancement", "ergotropy_enhancement": "ergotropy enhancement"},
)
ERGOTROPY_FRACTION = Analysis(
    ergotropy_fraction,
    axes={},
    pictures=(Picture("ergotropy_fraction", ("r", "n_th", "J", "N"), below=0.999),),
    labels={"ergotropy_fraction": "ergotropy / energy"},
)
ANALYSES = (ENHANCEMENT, ERGOTROPY_FRACTION)
