"""The schedulers that jobs can be submitted to."""

from collections.abc import Mapping

from qbsweep.slurm import commands
from qbsweep.slurm.interface import Scheduler

SLURM = "slurm"
SCHEDULERS: Mapping[str, Scheduler] = {SLURM: commands}
"""By the names that profiles give them."""
