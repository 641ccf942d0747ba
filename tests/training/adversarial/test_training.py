"""Whole trainings against a discriminator."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from pydantic import ValidationError

from napari_im2im.events import MetricsLogged, NewBest, Progress, TrainingStarted
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
    job = {**JOB, **PIX2PIX, **rich, "output": tmp_path}
    config = TrainConfig.model_validate(job)
    whole = list(train_events(config, pairs))[-1].run_folder
    run = cut_off_at(13, config, pairs, monkeypatch)
    list(train_events(TrainConfig(resume=run), pairs))
    assert curve(run) == curve(whole)
    names = ("network", "discriminators", "average")
    assert_equal_states(checkpoint(run), checkpoint(whole), names)


def test_a_model_is_fine_tuned_against_a_discriminator(pairs, tmp_path):
    plain = TrainConfig.model_validate({**JOB, "output": tmp_path})
    package = list(train_events(plain, pairs))[-1].package
    job = {**JOB, **PIX2PIX, "output": tmp_path, "start_from": package}
    del job["network"]
    finished = list(train_events(TrainConfig.model_validate(job), pairs))[-1]
    rows = curve(finished.run_folder)
    assert rows[0]["step"] == "0"
    assert math.isnan(float(rows[0]["adversarial_loss"]))
    assert float(rows[-1]["adversarial_loss"]) > 0


def test_a_discriminator_compares_images_alone():
    with pytest.raises(ValidationError, match=r"adversarial\.weight goes with the tas"):
        TrainConfig(task="semantic", adversarial={"weight": 1})
