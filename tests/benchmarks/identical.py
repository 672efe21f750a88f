"""Compare the datasets of the workflows with those of another build, bit for bit.

    python tests/benchmarks/identical.py OTHER/runs [WORKFLOW ...]

`OTHER/runs` holds run directories that the other build has made of the same workflows. Every variable but the time that
a point took must be equal to the last bit, and so must every coordinate that both have; the rest is listed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).parents[2]
WORKFLOWS = ("quickstart", "fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "convergence", "settling")
TIMINGS = ("solve_seconds",)


def differences(ours: xr.Dataset, theirs: xr.Dataset) -> list[str]:
    """What is not the same, a sentence each."""
    found = []
    for name in sorted({*ours.data_vars, *theirs.data_vars} - {*TIMINGS}):
        if name not in ours or name not in theirs:
            found.append(f"variable {name} is missing {'here' if name not in ours else 'there'}")
        elif not same(ours[name], theirs[name]):
            found.append(f"variable {name} differs")
    found += [f"coordinate {n} differs" for n in ours.coords if n in theirs.coords and not same(ours[n], theirs[n])]
    return found


def same(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Whether dimensions, type, bits and labels are equal."""
    if (one.dims, one.dtype, one.shape) != (other.dims, other.dtype, other.shape):
        return False
    labels = all(one.attrs.get(key) == other.attrs.get(key) for key in ("units", "long_name"))
    if one.dtype.kind == "f":
        return labels and np.ascontiguousarray(one.values).tobytes() == np.ascontiguousarray(other.values).tobytes()
    return labels and bool((one.values == other.values).all())


def main() -> int:
    """Compare what is named, by default all; returns how many differ."""
    other, names = Path(sys.argv[1]), sys.argv[2:] or WORKFLOWS
    bad = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            command = [
                sys.executable,
                "-m",
                "qbsweep",
                "run",
                str(ROOT / "workflows" / f"{name}.yaml"),
                "--out",
                str(out),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            ours = xr.open_zarr(out / "data.zarr", chunks=None).load()
        theirs = xr.open_zarr(other / name / "data.zarr", chunks=None).load()
        found = differences(ours, theirs)
        gone, new = ({*map(str, a.coords)} - {*map(str, b.coords)} for a, b in ((theirs, ours), (ours, theirs)))
        told = "; ".join(found) or f"equal, {ours['status'].size:,} points, {len(ours.data_vars)} variables"
        told += f"; without the coordinates {', '.join(sorted(gone))}" if gone else ""
        told += f"; with the coordinates {', '.join(sorted(new))}" if new else ""
        print(f"{name}: {told}", flush=True)
        bad += bool(found)
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
