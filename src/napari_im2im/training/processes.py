"""How many processes train together, as whoever started them says.

Imports nothing heavy, so that the command line knows before a job starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """A process among all that train together.

    Parameters
    ----------
    rank
        Its number, from 0 on; the first one writes and talks.
    count
        How many there are.
    on_this_computer
        How many of them run here.
    computers
        How many computers take part.
    """

    rank: int = 0
    count: int = 1
    on_this_computer: int = 1
    computers: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes and talks."""
        return self.rank == 0


def processes() -> Processes:
    """Return what ``torchrun`` or SLURM's ``srun`` says, else a single process."""
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        count = int(environment["WORLD_SIZE"])
        here = int(environment["LOCAL_WORLD_SIZE"])
        return Processes(int(environment["RANK"]), count, here, max(1, count // here))
    # A batch script has SLURM_NTASKS too; only a step of srun has a rank of its own.
    if "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
        count = int(environment["SLURM_STEP_NUM_TASKS"])
        nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
        rank = int(environment["SLURM_PROCID"])
        return Processes(rank, count, max(1, count // nodes), nodes)
    return Processes()
