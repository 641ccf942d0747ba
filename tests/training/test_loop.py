from __future__ import annotations

import csv
import math
import signal
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
import yaml

from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.events import (
    Message,
    MetricsLogged,
    NewBest,
    Preview,
    Progress,
    TrainingFinished,
    TrainingStarted,
)
from napari_im2im.images.image import Image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import EffortConfig, TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.runs import folder as run_folder
from napari_im2im.training.stepping import Stepper

TINY = {
    "name": "BasicUNet",
    "kwargs": {"features": [4, 4, 8, 8, 8, 4]},
}


def tiny(output) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        output=output,
        patch={"y": 32, "x": 32},
        batch_size=4,
        network=TINY,
        effort={"steps": 14},
        device="cpu",
    )


@pytest.fixture
def config(tmp_path) -> TrainConfig:
    return tiny(tmp_path)


@pytest.fixture(scope="module")
def pairs(make_pair):
    return [make_pair((64, 64), seed=n, name=f"field {n}") for n in range(3)]


@pytest.fixture(scope="module")
def events(pairs, tmp_path_factory):
    """Return the events of a training to its end, for tests that only read it."""
    return list(train_events(tiny(tmp_path_factory.mktemp("whole")), pairs))


@pytest.fixture(scope="module")
def whole(events):
    """Return the folder of that training."""
    return events[-1].run_folder


def check(package):
    from bioimageio.core import test_model as check_model

    with warnings.catch_warnings():
        # bioimageio.core leaves files open.
        warnings.simplefilter("ignore")
        return check_model(package / "rdf.yaml").status


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def validation_losses(run):
    with (run / "metrics.csv").open() as file:
        return {row["step"]: row["validation_loss"] for row in csv.DictReader(file)}


def final_weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["network"]


def test_a_training_learns_and_leaves_a_package(config, pairs, tmp_path):
    config.effort.steps = 40
    events = list(train_events(config, pairs))
    (started,) = of(TrainingStarted, events)
    assert (started.training_images, started.validation_images) == (2, 1)
    assert started.run_folder == tmp_path / "tiny"
    assert run_folder.RunFolder.open(started.run_folder)[1].network.size == "small"
    logged = [e.values for e in of(MetricsLogged, events) if "pcc" in e.values]
    assert logged[-1]["validation_loss"] < 0.75 * logged[0]["validation_loss"]
    assert logged[-1]["pcc"] > 0.8
    assert [e.done for e in of(Progress, events)][-1] == 40
    finished = events[-1]
    assert isinstance(finished, TrainingFinished)
    assert finished.metrics["validation_loss"] == min(
        v["validation_loss"] for v in logged
    )
    with (started.run_folder / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(logged)
    assert check(finished.package) == "passed"


def test_previews_are_in_the_units_of_the_images(events, pairs):
    preview = of(Preview, events)[-1]
    assert preview.input.shape == preview.target.shape == preview.prediction.shape
    assert 1500 < preview.prediction.mean() < 6000
    held_out = [pair for pair in pairs if np.isin(preview.target, pair[1].data).all()]
    assert held_out


def test_several_channels_in_3d(config, make_pair):
    source, target = make_pair((16, 48, 32), "zyx", scale={"z": 2, "y": 0.5, "x": 0.5})
    both = np.stack([np.asarray(target.data), 65535 - np.asarray(target.data)])
    target = replace(
        target,
        data=both,
        axes=("channel", "z", "y", "x"),
        channel_names=("DAPI", "NFH"),
    )
    small = config.model_copy(
        update={
            "patch": {"z": 16, "y": 16, "x": 16},
            "loss": {"l1": 0.5, "ssim": 0.5},
            "input_normalization": "percentile",
            "target_normalization": "percentile",
            "effort": EffortConfig(steps=8),
        }
    )
    events = list(train_events(small, [(source, target)]))
    assert "separate strip" in of(TrainingStarted, events)[0].validation
    assert {"pcc DAPI", "psnr NFH"} <= set(events[-1].metrics)
    assert check(events[-1].package) == "passed"


def test_the_seed_decides(config, pairs, whole):
    again = list(train_events(config, pairs))[-1].run_folder
    first, second = final_weights(whole), final_weights(again)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(config, pairs, whole):
    events = train_events(config, pairs)
    run = next(e for e in events if isinstance(e, TrainingStarted)).run_folder
    next(e for e in events if isinstance(e, Progress) and e.done == 12)
    events.close()
    assert "halo" in load_package(run / "model").config
    resumed = list(train_events(TrainConfig(resume=run), pairs))
    assert of(Progress, resumed)[1].done == 13
    assert resumed[-1].run_folder == run
    expected, weights = final_weights(whole), final_weights(run)
    assert all(torch.equal(expected[name], weights[name]) for name in expected)
    whole_table, table = (validation_losses(folder) for folder in (whole, run))
    assert len(table) >= 2
    common = whole_table.keys() & table.keys()
    assert all(table[step] == whole_table[step] for step in common)


def test_a_killed_training_goes_on_from_its_last_checkpoint(
    config, pairs, whole, monkeypatch
):
    events = train_events(config, pairs)
    run = next(e for e in events if isinstance(e, TrainingStarted)).run_folder
    next(e for e in events if isinstance(e, Progress) and e.done == 13)
    with monkeypatch.context() as patched:
        # What is killed saves nothing.
        patched.setattr(run_folder.RunFolder, "save_checkpoint", lambda *_, **__: None)
        events.close()
    list(train_events(TrainConfig(resume=run), pairs))
    expected, weights = final_weights(whole), final_weights(run)
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


RICH = {
    "augmentation": "heavy",
    "optimizer": {
        "schedule": "plateau",
        "plateau_patience": 1,
        "accumulate": 2,
        "ema": 0.9,
        "learning_rate": 0.02,
    },
    "effort": {"steps": 40, "monitor": "pcc"},
}


def rich(config):
    """Return a config in which everything has a state of its own."""
    values = config.model_dump(exclude={"augmentation", "optimizer", "effort"})
    return TrainConfig.model_validate({**values, **RICH})


def curve(run):
    """Return all columns of the metrics but the time."""
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def killed_at(config, folder, steps):
    """Run a training in a process of its own; kill it hard behind some steps."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    code = (
        "import os, signal, sys, numpy, torch\n"
        "torch.set_num_threads(1)\n"
        "from napari_im2im.images.image import Image\n"
        "from napari_im2im.training.loop import train_events\n"
        "from napari_im2im.training.runs.folder import read_config\n"
        "from pathlib import Path\n"
        "folder, steps = Path(sys.argv[1]), int(sys.argv[2])\n"
        "arrays = numpy.load(folder / 'pairs.npy')\n"
        "pairs = [tuple(Image(a, ('y', 'x'), {}, {}, name=str(i)) for a in pair)"
        " for i, pair in enumerate(arrays)]\n"
        "for event in train_events(read_config(folder / 'config.yaml'), pairs):\n"
        "    if getattr(event, 'done', 0) == steps and event.activity == 'Training':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(steps)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_process_that_is_killed_goes_on_with_the_same_curve(config, pairs, tmp_path):
    arrays = np.stack([[np.asarray(image.data) for image in pair] for pair in pairs])
    np.save(tmp_path / "pairs.npy", arrays)
    pairs = [
        tuple(Image(a, ("y", "x"), {}, {}, name=str(i)) for a in pair)
        for i, pair in enumerate(arrays)
    ]
    config = rich(config)
    whole = list(train_events(config, pairs))[-1].run_folder
    ended = killed_at(config, tmp_path, 24)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    run = tmp_path / "tiny-2"
    assert len(curve(run)) == 2
    assert "halo" not in load_package(run / "model").config
    finished = list(train_events(TrainConfig(resume=run), pairs))[-1]
    assert "halo" in load_package(run / "model").config
    assert finished.reason == "all steps done"
    assert curve(run) == curve(whole)
    expected, state = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (whole, run)
    )
    assert state["plateau"] == expected["plateau"]
    for key in ("network", "average"):
        pairs = zip(expected[key].values(), state[key].values(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_a_training_killed_in_its_first_steps_can_be_resumed(config, pairs, whole):
    events = train_events(config, pairs)
    run = next(e for e in events if isinstance(e, TrainingStarted)).run_folder
    next(e for e in events if isinstance(e, Progress) and e.done == 1)
    del events
    list(train_events(TrainConfig(resume=run), pairs))
    expected, weights = final_weights(whole), final_weights(run)
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


def test_the_average_of_the_weights_is_what_is_kept(config, pairs):
    config.optimizer.ema = 0.99
    finished = list(train_events(config, pairs))[-1]
    state = torch.load(
        finished.run_folder / "checkpoints" / "last.ckpt", weights_only=True
    )
    kept = torch.load(finished.package / "weights.pt", weights_only=True)
    name = next(iter(kept))
    assert torch.equal(kept[name], state["average"][f"module.{name}"])
    assert not torch.equal(kept[name], state["network"][name])


def test_the_best_may_be_best_by_a_metric(config, pairs):
    config.effort.monitor = "ssim"
    events = list(train_events(config, pairs))
    logged = [e.values["ssim"] for e in of(MetricsLogged, events) if "ssim" in e.values]
    best = of(NewBest, events)[-1]
    assert best.metric == "ssim"
    assert best.value == max(logged)
    config.effort.monitor = "beauty"
    with pytest.raises(ConfigError, match=r"no metric 'beauty'.*choose from valid"):
        list(train_events(config, pairs))


def test_a_finished_training_can_be_extended(config, pairs):
    run = list(train_events(config, pairs))[-1].run_folder
    longer = TrainConfig(resume=run, effort={"steps": 16})
    assert of(Progress, train_events(longer, pairs))[-1].done == 16


def test_other_images_are_refused_on_resuming(whole, make_pair):
    others = [make_pair((64, 64), seed=n + 9) for n in range(3)]
    with pytest.raises(DataError, match="not the images that tiny learned from"):
        list(train_events(TrainConfig(resume=whole), others))


def test_it_stops_without_improvement(config, pairs):
    effort = {"steps": 500, "patience": 2}
    still = {"learning_rate": 1e-12}
    events = list(
        train_events(
            TrainConfig(
                **config.model_dump(exclude={"effort", "optimizer", "network"}),
                network=TINY | {"kwargs": TINY["kwargs"] | {"norm": "instance"}},
                effort=effort,
                optimizer=still,
            ),
            pairs,
        )
    )
    assert "no improvement in 2 validations" in events[-1].reason
    assert of(Progress, events)[-1].done < 100


def test_a_network_without_exact_tiles_says_so(config, pairs):
    config.effort = EffortConfig(steps=1)
    exact = [m.text for m in of(Message, train_events(config, pairs))]
    config.network = config.network.model_copy(
        update={"kwargs": TINY["kwargs"] | {"norm": "instance"}}
    )
    told = [m.text for m in of(Message, train_events(config, pairs))]
    assert not any("blended" in text for text in exact)
    assert sum("on the whole image along y: images that" in text for text in told) == 1


def test_a_loss_that_is_no_number_at_once_promises_no_model(config, pairs, monkeypatch):
    learn = Stepper.learn

    def diverge(self, step):
        return learn(self, step) * math.nan

    monkeypatch.setattr(Stepper, "learn", diverge)
    messages = []
    training = train_events(config, pairs)
    with pytest.raises(DataError, match=r"without a model .* smaller learning rate"):
        messages.extend(e for e in training if isinstance(e, Message))
    (warning,) = [m.text for m in messages if m.level == "warning"]
    assert "is kept" not in warning
    assert "learning rate" not in warning  # said once
    assert "The patch with the largest loss in that step is" in warning


def test_a_loss_that_is_no_number_stops_and_keeps_best_and_patch(
    config, pairs, monkeypatch
):
    learn = Stepper.learn

    def diverge(self, step):
        return learn(self, step) * (math.nan if step > 11 else 1)

    monkeypatch.setattr(Stepper, "learn", diverge)
    events = list(train_events(config, pairs))
    (warning,) = [m.text for m in of(Message, events) if m.level == "warning"]
    assert "NaN in step 13" in warning
    assert "smaller learning rate" in warning
    assert events[-1].reason == "the loss is no number any more"
    assert (events[-1].package / "rdf.yaml").exists()
    saved = events[-1].run_folder / "diverged" / "step-13-input.tif"
    assert str(saved) in warning
    patch = tifffile.imread(saved)
    assert patch.shape == (1, 1, 32, 32)
    assert np.isin(patch, np.stack([pair[0].data for pair in pairs])).all()


def test_short_memory_makes_batches_smaller_and_says_so(config, pairs, monkeypatch):
    learn = Stepper.learn

    def hungry(self, step):
        if self.patches_at_once * math.prod(self.patch.values()) > 2 * 32 * 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return learn(self, step)

    monkeypatch.setattr(Stepper, "learn", hungry)
    events = list(train_events(config, pairs))
    warnings = [m.text for m in of(Message, events) if m.level == "warning"]
    assert warnings == [
        "Memory was short. Patches of 32 × 32 pixels (y × x), 2 at a time, 4 in a step."
    ]
    assert isinstance(events[-1], TrainingFinished)


def test_a_full_disk_keeps_the_best_model(config, pairs, monkeypatch):
    events = train_events(config, pairs)
    best = next(e for e in events if isinstance(e, NewBest))

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.os, "fsync", full)
    with pytest.raises(ModelError, match="No space left on device"):
        list(events)
    assert (best.package / "rdf.yaml").exists()


def test_nothing_is_written_for_images_that_do_not_fit(config, make_pair, tmp_path):
    source, _ = make_pair((64, 64))
    _, target = make_pair((64, 60))
    with pytest.raises(DataError, match="crop"):
        list(train_events(config, [(source, target)]))
    assert not list(tmp_path.iterdir())


def test_an_image_smaller_than_the_patch_names_the_cure(config, make_pair):
    with pytest.raises(DataError, match=r"largest patch that fits is \{y: 16, x: 32\}"):
        list(train_events(config, [make_pair((20, 90))]))


def test_an_unknown_device_is_refused(config, pairs):
    other = config.model_copy(update={"device": "abacus"})
    with pytest.raises(ConfigError, match="can't run on abacus"):
        list(train_events(other, pairs))


def test_a_time_budget_ends_a_training(config, pairs):
    timed = TrainConfig(
        **config.model_dump(exclude={"effort"}), effort={"seconds": 3.0}
    )
    events = list(train_events(timed, pairs))
    assert isinstance(events[-1], TrainingFinished)
    last = of(Progress, events)[-1]
    assert last.done == last.total
