"""What is trained: this project and its peers, for the same time on the same pairs.

A tool is a function of a set and the options; it returns a result for each test image,
in the units of the targets. Seconds are CPU seconds, so that other work on the computer
takes nothing from anybody; they count from the first step, validations included. The
peers get the patches and batches that we choose on a CPU; otherwise CAREamics has its
own defaults, and BiaPy the settings of its templates.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from quality_floors import classes, read

from napari_im2im.api import predict
from napari_im2im.events import Event, MetricsLogged, Progress, TrainingFinished
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.examples import Example
from napari_im2im.training.loop import train_events

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from quality_sets import ImageSet, Pair

# All tools look at this clock, so that all train for as many CPU seconds.
time.monotonic = time.process_time

PATCHES = {2: [128, 128], 3: [16, 64, 64]}
BATCHES = {2: 8, 3: 2}


def told(text: str) -> None:
    print(text, flush=True)


def dimensions(found: ImageSet) -> int:
    return 3 if "z" in found.training[0].input.axes else 2


def patch_of(found: ImageSet) -> list[int]:
    """Return the patch, no larger than the images along any axis."""
    axes = ("z", "y", "x")[-dimensions(found) :]
    pairs = [*found.training, *found.validation]
    least = [min(pair.input.sizes[axis] for pair in pairs) for axis in axes]
    usual = PATCHES[len(axes)]
    return [min(n, m // 16 * 16) for n, m in zip(usual, least, strict=True)]


def ours(found: ImageSet, options: argparse.Namespace) -> list[np.ndarray]:
    """Train with default settings, but for what ``--config`` says."""
    folder = options.out or Path(tempfile.mkdtemp())
    config = TrainConfig.model_validate(
        {
            "name": options.set,
            "task": found.task,
            "output": folder,
            "effort": {"seconds": options.seconds, "steps": options.steps},
            "seed": options.seed,
            **found.settings,
            **options.config,
        }
    )
    examples = [
        Example(*pair, part=role if found.validation else None)
        for role, pairs in (("train", found.training), ("val", found.validation))
        for pair in pairs
    ]
    started, steps = time.monotonic(), 0
    for event in train_events(config, examples):
        if isinstance(event, Progress) and event.activity == "Training":
            steps = event.done
        watch(event, started)
    assert isinstance(event, TrainingFinished)
    told(f"napari-im2im: {steps} steps, {time.monotonic() - started:.0f} s in all")
    results = [np.asarray(predict(event.package, p.input)) for p in found.testing]
    semantic = found.task == "semantic"
    return [classes(found, each) if semantic else each for each in results]


def watch(event: Event, started: float) -> None:
    if isinstance(event, MetricsLogged) and "validation_loss" in event.values:
        values = ", ".join(f"{k} {v:.3g}" for k, v in list(event.values.items())[:8])
        told(f"{time.monotonic() - started:6.0f} s, step {event.step}: {values}")


def careamics(found: ImageSet, options: argparse.Namespace) -> list[np.ndarray]:
    """Train CARE, or Noise2Void where there are no targets."""
    from careamics import CAREamist
    from careamics.config import (
        create_advanced_care_config,
        create_advanced_n2v_config,
    )
    from lightning.pytorch.callbacks import Callback

    class Stop(Callback):
        started = 0.0

        def on_train_start(self, *_: object) -> None:
            self.started = time.monotonic()

        def on_train_batch_end(self, trainer: Any, *_: object) -> None:
            late = time.monotonic() - self.started > options.seconds
            trainer.should_stop = trainer.should_stop or late

    inputs, targets = (
        [[plain(read(pair[side])) for pair in pairs] for side in (0, 1)]
        for pairs in (found.training, found.validation)
    )
    learns_pairs = found.task == "image"
    count = {"n_channels_in": read(found.training[0].input).shape[0]}
    several = count["n_channels_in"] > 1 or len(found.names) > 1
    if learns_pairs:
        count["n_channels_out"] = len(found.names)
    create = create_advanced_care_config if learns_pairs else create_advanced_n2v_config
    config = create(
        experiment_name="quality",
        data_type="array",
        axes=("C" if several else "") + "ZYX"[-dimensions(found) :],
        patch_size=patch_of(found),
        batch_size=BATCHES[dimensions(found)],
        num_epochs=100_000,
        num_workers=0,
        seed=options.seed + 1,  # 0 is none
        **(count if several else {}),
    )
    stop = Stop()
    trainer = CAREamist(
        config,
        work_dir=tempfile.mkdtemp(),
        callbacks=[stop],
        enable_progress_bar=False,
    )
    trainer.train(
        train_data=inputs[0],
        val_data=targets[0],
        **(
            {"train_data_target": inputs[1], "val_data_target": targets[1]}
            if learns_pairs
            else {}
        ),
    )
    told(f"CAREamics: {trainer.trainer.global_step} steps")
    results = []
    for pair in found.testing:
        pixels = plain(read(pair.input))
        # Its network takes whole images of multiples of 4 pixels.
        space = pixels.shape[-dimensions(found) :]
        margins = [(0, 0)] * (pixels.ndim - len(space)) + [(0, -n % 4) for n in space]
        result = trainer.predict(np.pad(pixels, margins, mode="reflect"))[0][0]
        results.append(np.asarray(result)[(..., *(slice(n) for n in space))])
    return results


def plain(pixels: np.ndarray) -> np.ndarray:
    """Return a single channel without its axis, float32."""
    return pixels.astype(np.float32)[0 if len(pixels) == 1 else slice(None)]


def biapy(found: ImageSet, options: argparse.Namespace) -> list[np.ndarray]:
    """Train BiaPy, in a Python of its own: it needs other versions than we do."""
    folder = Path(tempfile.mkdtemp())
    for role in ("training", "validation", "testing"):
        for number, pair in enumerate(getattr(found, role)):
            write_biapy(found, pair, folder / role, f"{number:03}.tif")
    settings = {
        "task": found.task,
        "classes": len(found.names),
        "patch": patch_of(found),
        "batch": BATCHES[dimensions(found)],
        "seconds": options.seconds,
        "seed": options.seed,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("quality_biapy.py")
    with (folder / "log.txt").open("w") as log:
        command = [options.biapy, script, folder]
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    told((folder / "told.txt").read_text())
    files = sorted((folder / "result").glob("*.tif"))
    return [np.squeeze(tifffile.imread(file)) for file in files]


def write_biapy(found: ImageSet, pair: Pair, folder: Path, name: str) -> None:
    target = pair.target.read()
    if found.task == "semantic":
        target = classes(found, pair.target.read()).astype(np.uint8)
    for word, pixels in (("x", pair.input.read()), ("y", target.astype(np.uint16))):
        (folder / word).mkdir(parents=True, exist_ok=True)
        axes = "".join(pair.input.axes).upper()
        tifffile.imwrite(
            folder / word / name, pixels, imagej=True, metadata={"axes": axes}
        )


TOOLS: dict[str, Callable[[ImageSet, argparse.Namespace], list[np.ndarray]]] = {
    "napari-im2im": ours,
    "CAREamics": careamics,
    "BiaPy": biapy,
}
