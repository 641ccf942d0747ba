"""Several processes that train together."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def test_two_processes_learn_like_one_with_twice_the_batch(tmp_path, make_pair):
    for number in range(3):
        source, target = make_pair((64, 64), seed=number)
        save_image(source, tmp_path / f"{number}_in.ome.tif")
        save_image(target, tmp_path / f"{number}_out.ome.tif")
    config = {
        "data": {
            "inputs": [str(tmp_path / "*_in.ome.tif")],
            "targets": [str(tmp_path / "*_out.ome.tif")],
        },
        "output": tmp_path,
        "patch": {"y": 32, "x": 32},
        # A batch norm would see half of the batch in each process.
        "network": {
            "name": "BasicUNet",
            "kwargs": {"features": [4, 4, 8, 8, 8, 4], "norm": "instance"},
        },
        "effort": {"steps": 12},
        "device": "cpu",
    }
    one = TrainConfig.model_validate({**config, "name": "one", "batch_size": 4})
    list(train_events(one))
    words = ["train", "--name", "two", "--batch_size", "2", "--output", str(tmp_path)]
    words += ["--data.inputs", *config["data"]["inputs"]]
    words += ["--data.targets", *config["data"]["targets"]]
    words += ["--patch.y", "32", "--patch.x", "32", "--device", "cpu"]
    words += ["--network.name", "BasicUNet", "--effort.steps", "12"]
    words += ["--network.kwargs.features", "[4, 4, 8, 8, 8, 4]"]
    words += ["--network.kwargs.norm", "instance"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    program = Path(sys.executable).with_name("napari-im2im")
    launcher += ["--nproc-per-node", "2", "--no-python", str(program)]
    done = subprocess.run(
        [*launcher, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [str(tmp_path / "two" / "model")]
    assert not (tmp_path / "two-2").exists()
    expected, found = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(expected) == len(found) >= 2
    for theirs, ours in zip(expected, found, strict=True):
        for name in ("step", "train_loss", "validation_loss", "pcc"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-3)
