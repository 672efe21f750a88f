#!/usr/bin/env bash
# h5netcdf installs without a library that writes HDF5 (h5py is an extra since 1.8); xarray lists the engine all the same, and
# to_netcdf raises ImportError only when the dataset is to be written.
# What to do: require h5py beside h5netcdf, and look for both before choosing the engine.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'xarray==2026.9.0' 'h5netcdf==1.8.2'
"$folder/env/bin/python" -W ignore - "$folder/x.nc" <<'PYTHON'
import sys

import h5netcdf
import xarray

listed = "h5netcdf" in xarray.backends.list_engines()
try:
    xarray.Dataset({"energy": ("J", [1.0, 2.0])}).to_netcdf(sys.argv[1], engine="h5netcdf")
    said = "written"
except Exception as error:
    said = type(error).__name__
print(f"xarray {xarray.__version__}, h5netcdf {h5netcdf.__version__}: engine listed {listed}, to_netcdf: {said}")
sys.exit(not (listed and said == "ImportError"))
PYTHON
