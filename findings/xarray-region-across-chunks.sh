#!/usr/bin/env bash
# to_zarr(region=...) refuses dask arrays whose chunks do not fit those of the store, but writes data in memory across their
# borders without a word: each such chunk is read, changed and written again, so that two processes lose each other's points.
# What to do: let one writer own whole chunks; here a block of points is one chunk of every variable.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'xarray==2026.9.0' 'zarr==3.1.6' 'dask==2026.8.0'
"$folder/env/bin/python" -W ignore - "$folder/data.zarr" <<'PYTHON'
import sys

import numpy as np
import xarray as xr

path = sys.argv[1]
xr.Dataset({"energy": ("J", np.zeros(8))}).to_zarr(path, encoding={"energy": {"chunks": (4,)}})
part, region = xr.Dataset({"energy": ("J", np.ones(3))}), {"J": slice(3, 6)}
part.to_zarr(path, region=region)
try:
    part.chunk(J=3).to_zarr(path, region=region)
    lazy = "written as well"
except ValueError:
    lazy = "refused"
values = xr.open_zarr(path)["energy"].values
print(f"xarray {xr.__version__}: a region across two chunks is written from memory ({values.sum():g} points), as dask array {lazy}")
sys.exit(not (values[3:6].all() and lazy == "refused"))
PYTHON
