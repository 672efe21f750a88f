#!/usr/bin/env bash
# LocalCluster(dashboard_address=None) of distributed disables the pages of the dashboard only: its web server still takes port
# 8787 and answers. Of two clusters on a machine the second warns of the port, which fails where warnings are errors.
# What to do: dashboard_address="127.0.0.1:0", a free port that only this machine reaches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'distributed==2026.8.0' 'bokeh==3.9.2'
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import sys
import urllib.request

import distributed

with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
    port = cluster.scheduler.http_server.port
    said = urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30).read().decode()
print(f"distributed {distributed.__version__}: dashboard_address=None, and port {port} answers '{said}'")
sys.exit(not (said == "ok" and port))
PYTHON
