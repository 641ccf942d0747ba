"""Whole trainings against a discriminator."""

from __future__ import annotations

import csv
import math
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from napari_im2im.events import (
    Message,
    MetricsLogged,
    NewBest,
    Preview,
    Progress,
    TrainingStarted,
)
from napari_im2im.images.writing import save_image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.runs import folder as run_folder

JOB = {
    "name": "tiny",
    "patch": {"y": 32, "x": 32},
    "batch_size": 2,
    "network": {"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}},
    "effort": {"steps": 22},
    "device": "cpu",
}
PIX2PIX = {"adversarial": {"weight": 0.1, "channels": 4}}


@pytest.fixture
def pairs(make_pair):
    return [make_pair((64, 64), seed=n, name=f"field {n}") for n in range(3)]


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def curve(run):
    """Return all columns of the metrics but the time."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_same_curve(run, other):
    """Compare to the last digits: sums depend on where arrays lie in memory."""
    for mine, theirs in zip(curve(run), curve(other), strict=True):
        numbers = {k: float(v) if v else None for k, v in theirs.items()}
        assert {k: float(v) if v else None for k, v in mine.items()} == pytest.approx(
            numbers, rel=1e-12
        )


def checkpoint(run):
    path = run / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)


def cut_off_at(step, config, pairs, monkeypatch):
    """Train, and end behind a step as a process does that is killed."""
    events = train_events(config, pairs)
    run = next(e for e in events if isinstance(e, TrainingStarted)).run_folder
    next(e for e in events if isinstance(e, Progress) and e.done == step)
    with monkeypatch.context() as patched:
        # What is killed saves nothing.
        patched.setattr(run_folder.RunFolder, "save_checkpoint", lambda *_, **__: None)
        events.close()
    return run


def assert_equal_states(one, other, names):
    for name in names:
        pairs = zip(one[name].values(), other[name].values(), strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_pairs_and_a_discriminator(pairs, tmp_path):
    config = TrainConfig.model_validate({**JOB, **PIX2PIX, "output": tmp_path})
    events = list(train_events(config, pairs))
    rows = curve(tmp_path / "tiny")
    for name in ("train_loss", "adversarial_loss", "discriminator_loss"):
        assert all(math.isfinite(float(row[name])) for row in rows)
    # What is best is best by the distance from the targets.
    logged = [e.values for e in of(MetricsLogged, events) if "pcc" in e.values]
    losses = [values["validation_loss"] for values in logged]
    assert of(NewBest, events)[-1].value == min(losses)
    assert losses[-1] < losses[0]
    assert (events[-1].package / "rdf.yaml").exists()


def test_both_networks_go_on_where_they_were_cut_off(pairs, tmp_path, monkeypatch):
    rich = {"optimizer": {"accumulate": 2, "ema": 0.9, "schedule": "plateau"}}
    job = {**JOB, **PIX2PIX, **rich, "output": tmp_path, "effort": {"steps": 13}}
    config = TrainConfig.model_validate(job)
    whole = list(train_events(config, pairs))[-1].run_folder
    run = cut_off_at(11, config, pairs, monkeypatch)
    list(train_events(TrainConfig(resume=run), pairs))
    assert_same_curve(run, whole)
    names = ("network", "discriminators", "average")
    assert_equal_states(checkpoint(run), checkpoint(whole), names)


def test_a_model_is_fine_tuned_against_a_discriminator(pairs, tmp_path):
    short = {"output": tmp_path, "effort": {"steps": 3}}
    plain = TrainConfig.model_validate({**JOB, **short})
    package = list(train_events(plain, pairs))[-1].package
    job = {**JOB, **PIX2PIX, "output": tmp_path, "start_from": package}
    job["effort"] = {"steps": 3}
    del job["network"]
    finished = list(train_events(TrainConfig.model_validate(job), pairs))[-1]
    rows = curve(finished.run_folder)
    assert rows[0]["step"] == "0"
    assert math.isnan(float(rows[0]["adversarial_loss"]))
    assert float(rows[-1]["adversarial_loss"]) > 0


def test_a_discriminator_compares_images_alone():
    with pytest.raises(ValidationError, match=r"goes with the tasks image and"):
        TrainConfig(task="semantic", adversarial={"weight": 1})


UNPAIRED = {
    "task": "unpaired",
    "adversarial": {"channels": 4},
    "optimizer": {"ema": 0.8, "learning_rate": 0.005},
}


@pytest.fixture
def sets(make_pair):
    """Return inputs and targets of other fields and sizes, as many as there are."""
    inputs = [make_pair((64, 64), seed=n, name=f"phase {n}")[0] for n in range(3)]
    targets = [make_pair((48, 80), seed=9 + n, name=f"dna {n}")[1] for n in range(2)]
    return [*zip(inputs, [*targets, targets[0]], strict=True)]


def test_two_sets_of_images_that_do_not_pair(sets, tmp_path):
    config = TrainConfig.model_validate({**JOB, **UNPAIRED, "output": tmp_path})
    events = list(train_events(config, sets))
    started, finished = of(TrainingStarted, events)[0], events[-1]
    assert (started.training_images, started.validation_images) == (3, 2)
    assert "phase" in started.validation
    assert "dna" in started.validation
    notes = [event.text for event in of(Message, events)]
    assert any("the newest is kept, a moving average" in note for note in notes)
    # The newest is kept, whatever was measured.
    logged = [e for e in of(MetricsLogged, events) if "texture distance" in e.values]
    assert [e.step for e in of(NewBest, events)] == [e.step for e in logged]
    losses = [e.values["validation_loss"] for e in logged]
    assert losses[-1] < losses[0]
    preview = of(Preview, events)[-1]
    assert preview.input.mean() < 400
    assert min(preview.target.min(), preview.prediction.mean()) > 400
    package = load_package(finished.package)
    assert package.config["task"] == {"name": "unpaired"}
    assert package.text.startswith("Translates input into target, learned without")
    kept = torch.load(finished.package / "weights.pt", weights_only=True)
    average = checkpoint(finished.run_folder)["average"]
    name = next(iter(kept))
    assert torch.equal(kept[name], average[f"module.there.{name}"])


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from napari_im2im.training.loop import train_events
from napari_im2im.training.runs.folder import read_config
for event in train_events(read_config(Path(sys.argv[1]))):
    if getattr(event, "done", 0) == 11 and event.activity == "Training":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_all_four_networks_go_on_where_a_process_was_killed(sets, tmp_path):
    for letter, side in (("A", 0), ("B", 1)):
        for image in {pair[side].name: pair[side] for pair in sets}.values():
            save_image(image, tmp_path / "data" / letter / f"{image.name}.ome.tif")
    job = {**JOB, **UNPAIRED, "output": str(tmp_path)}
    job |= {"optimizer": {"accumulate": 2, "ema": 0.9}, "effort": {"steps": 13}}
    job |= {"data": {"folder": str(tmp_path / "data")}}
    whole = list(train_events(TrainConfig.model_validate(job)))[-1].run_folder
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "job.yaml")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    run = tmp_path / "tiny-2"
    # What came since isn't learned from.
    save_image(sets[0][0].renamed("new"), tmp_path / "data" / "A" / "new.ome.tif")
    list(train_events(TrainConfig(resume=run)))
    assert_same_curve(run, whole)
    names = ("network", "discriminators", "average")
    assert_equal_states(checkpoint(run), checkpoint(whole), names)


def test_stacks_of_other_channels_without_identity(make_pair, tmp_path):
    source, _ = make_pair((16, 48, 48), "zyx")
    _, target = make_pair((20, 48, 48), "zyx", seed=1)
    both = np.stack([np.asarray(target.data), 9000 - np.asarray(target.data)])
    target = replace(target, data=both, axes=("channel", "z", "y", "x"))
    job = {**JOB, **UNPAIRED, "output": tmp_path, "effort": {"steps": 2}}
    job |= {"patch": {"z": 16, "y": 16, "x": 16}, "spatial_axes": "zyx"}
    finished = list(train_events(TrainConfig.model_validate(job), [(source, target)]))
    tensor = load_package(finished[-1].package).outputs[0]
    assert tensor.axis("channel").size.size == 2


@pytest.mark.parametrize(
    ("values", "cure"),
    [
        ({"adversarial": {"weight": 0}}, "set adversarial.weight above 0"),
        ({"start_from": "model"}, "leave out start_from"),
        ({"effort": {"patience": 3}}, "name a measure in effort.monitor"),
        ({"optimizer": {"schedule": "plateau"}}, "name a measure in effort.monitor"),
        ({"data": {"inputs": ["a"], "cost_maps": ["b"]}}, "leave them out"),
        ({"loss": {"ssim": 1}}, "has no loss 'ssim'"),
    ],
)
def test_what_does_not_suit_is_refused(values, cure):
    with pytest.raises(ValidationError, match=cure):
        TrainConfig.model_validate({"task": "unpaired", **values})
