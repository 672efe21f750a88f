#!/usr/bin/env bash
# A page made with Bokeh's inline resources carries all its scripts, until Panel has been imported in the same process: then
# the head asks for one more script by a relative address that exists on a Panel server only.
# What to do: write `Resources(...).js_raw` into the page yourself, as the report here does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'panel==1.9.4' 'bokeh==3.9.2'
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import re
import sys

from bokeh.resources import Resources


def outside():
    return re.findall(r'<script[^>]* src="([^"]+)"', Resources(mode="inline").render())


before = outside()
import panel

after = outside()
print(f"panel {panel.__version__}: inline Bokeh resources ask for {len(before)} files before its import, after it for {len(after)}")
sys.exit(not (before == [] and len(after) == 1 and after[0].startswith("static/extensions/panel")))
PYTHON
