"""Several processes that train together."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_im2im.images.writing import save_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.sampling import PatchSampler
from napari_im2im.training.loop import train_events
from napari_im2im.training.processes import Processes, processes


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Processes()),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, Processes()),
        (
            {
                "TORCHELASTIC_RUN_ID": "x",
                "WORLD_SIZE": "8",
                "LOCAL_WORLD_SIZE": "4",
                "RANK": "5",
            },
            Processes(5, 8, 4, 2),
        ),
        (
            {
                "SLURM_STEP_NUM_TASKS": "6",
                "SLURM_STEP_NUM_NODES": "3",
                "SLURM_PROCID": "0",
            },
            Processes(0, 6, 2, 3),
        ),
    ],
)
def test_who_started_the_processes_is_believed(monkeypatch, environment, expected):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes() == expected
    assert processes().is_first == (expected.rank == 0)


def test_processes_share_a_batch(make_pair):
    from napari_im2im.training.data.samples import Sample

    source, target = make_pair((64, 64))
    arrays = [np.asarray(image.data)[None] for image in (source, target)]
    samples = [Sample(*arrays, "a")]
    whole = PatchSampler(samples, (16, 16), 6).batch(3)
    parts = [
        PatchSampler(samples, (16, 16), 6, share=slice(a, a + 3)).batch(3)
        for a in (0, 3)
    ]
    together = np.concatenate([part.input for part in parts])
    np.testing.assert_array_equal(together, whole.input)


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def job(tmp_path, make_pair):
    """Return the config of a short training on files."""
    for number in range(3):
        source, target = make_pair((64, 64), seed=number)
        save_image(source, tmp_path / f"{number}_in.ome.tif")
        save_image(target, tmp_path / f"{number}_out.ome.tif")
    return {
        "data": {
            "inputs": [str(tmp_path / "*_in.ome.tif")],
            "targets": [str(tmp_path / "*_out.ome.tif")],
        },
        "output": str(tmp_path),
        "patch": {"y": 32, "x": 32},
        # On CPUs a batch norm sees the patches of its own process alone.
        "network": {
            "name": "BasicUNet",
            "kwargs": {"features": [4, 4, 8, 8, 8, 4], "norm": "instance"},
        },
        "effort": {"steps": 12},
        "device": "cpu",
    }


def two_processes(config, tmp_path, program=()):
    """Train with torchrun; return what it says."""
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(config))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", "2"]
    if not program:
        installed = Path(sys.executable).with_name("napari-im2im")
        program = ("--no-python", str(installed))
    done = subprocess.run(
        [*launcher, *program, "train", "--config", str(tmp_path / "job.yaml")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def assert_same_curve(one, other):
    expected, found = rows(one), rows(other)
    assert len(expected) == len(found) >= 2
    for theirs, ours in zip(expected, found, strict=True):
        for name in ("step", "train_loss", "validation_loss", "pcc"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-3)


def test_two_processes_learn_like_one_with_twice_the_batch(tmp_path, job):
    one = TrainConfig.model_validate({**job, "name": "one", "batch_size": 4})
    list(train_events(one))
    done = two_processes({**job, "name": "two", "batch_size": 2}, tmp_path)
    assert done.stdout.split() == [str(tmp_path / "two" / "model")]
    assert not (tmp_path / "two-2").exists()
    assert_same_curve(tmp_path / "one", tmp_path / "two")


HUNGRY = """
import sys
import torch
from napari_im2im.cli import main
from napari_im2im.training.processes import processes
from napari_im2im.training.stepping import Stepper

rehearse = Stepper.rehearse

def hungry(self, step):
    if not processes().is_first and self.patches_at_once > 1:
        raise torch.OutOfMemoryError("CUDA out of memory")
    rehearse(self, step)

Stepper.rehearse = hungry
sys.exit(main())
"""


def test_where_one_process_is_short_of_memory_all_compute_less_at_once(tmp_path, job):
    (tmp_path / "hungry.py").write_text(HUNGRY)
    program = (str(tmp_path / "hungry.py"),)
    config = {**job, "name": "two", "batch_size": 2}
    done = two_processes(config, tmp_path, program)
    assert (
        "Memory was short. Patches of 32 × 32 pixels (y × x), 1 at a time, 2 in a "
        in (" ".join(done.stderr.split()))
    )
    one = TrainConfig.model_validate({**job, "name": "one", "batch_size": 4})
    list(train_events(one))
    # A step learns from as many patches as before.
    assert_same_curve(tmp_path / "one", tmp_path / "two")
