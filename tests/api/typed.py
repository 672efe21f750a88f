"""What type checkers see of the package: checked by mypy, not run. An error that is expected has its `type: ignore`."""

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import xarray as xr

import qbsweep as qb
from qbsweep import Run, run

done: Run = run({"name": "a"}, "out", workers=2)
assert_type(qb.sweep(name="a", sweep={"N": [1]}), qb.SweepSpec)
assert_type(done.report(), Path)
assert_type(qb.plan("sweep.yaml").points, int)
assert_type(qb.solve(qb.cascaded(2), epsilon=0.01), xr.Dataset)
names: Mapping[str, xr.Dataset] = done.analyze()

qb.run({"name": "a"}, workers="two")  # type: ignore[arg-type]
qb.open("a").reprt()  # type: ignore[attr-defined]
qb.nonsense()  # type: ignore[attr-defined]
