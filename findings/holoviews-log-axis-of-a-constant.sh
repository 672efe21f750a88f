#!/usr/bin/env bash
# A constant positive curve on a logarithmic axis: HoloViews pads its range by one linear unit to either side, so below 1 the
# lower end is negative, and is replaced by 0.01: a curve under that is outside its own plot.
# What to do: give a range around the data whenever it spans none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'holoviews==1.23.2' 'bokeh==3.9.2'
"$folder/env/bin/python" -W ignore - 2>/dev/null <<'PYTHON'
import sys

import holoviews as hv

hv.extension("bokeh")
y = 0.00326
plot = hv.render(hv.Curve([(x, y) for x in range(1, 6)]).opts(logy=True))
low, high = plot.y_range.start, plot.y_range.end
print(f"holoviews {hv.__version__}: a constant of {y} on a log axis is drawn from {low:g} to {high:g}: outside the plot")
sys.exit(not low > y)
PYTHON
