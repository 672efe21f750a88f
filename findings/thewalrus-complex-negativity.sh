#!/usr/bin/env bash
# log_negativity of The Walrus takes the eigenvalues of Omega V, which is not normal: of a strongly squeezed state rounding
# moves them off the axis, and what is returned is a complex number, without a warning.
# What to do: take those of a Hermitian matrix, i V^(1/2) Omega V^(1/2); or the real part, and trust fewer digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'thewalrus==0.21.0'
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import thewalrus
from scipy.linalg import block_diag
from thewalrus.quantum import is_valid_cov, log_negativity

r = 4.0  # two-mode squeezed vacuum; its logarithmic negativity is 2 r
c, s = np.cosh(2 * r), np.sinh(2 * r)
cov = block_diag([[c, s], [s, c]], [[c, -s], [-s, c]])  # x, x, p, p; hbar = 2, so the vacuum has 1
found = log_negativity(cov, split=1)
print(f"thewalrus {thewalrus.__version__}: log_negativity of two-mode squeezing r = {r:g} is {found:.10g}, not {2 * r:g}")
sys.exit(not (is_valid_cov(cov) and np.iscomplexobj(found) and found.imag != 0))
PYTHON
