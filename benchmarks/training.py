"""What a step of training costs beside a bare loop and beside others.

    python benchmarks/training.py steps --dimensions 2 --blocks 12
    python benchmarks/training.py share --augmentation heavy

``steps``: the same network, batch and patch, learning from the same 16 images, takes
steps by turns in one process, a block of each contender in each round; the ratio to the
bare loop is the median of the rounds' ratios. On a CPU the seconds are those of all
threads, so that a busy computer does no harm. The bare loop has its batches as
normalised tensors in memory. Validations, packages and checkpoints are not in the
steps. CAREamics and BiaPy have a U-Net of their own, each beside a bare loop of it.
``share``: what making a batch (patches, augmentation, normalisation) adds to learning
it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_peers import PEERS, Turn

from napari_im2im.events import MetricsLogged, Progress
from napari_im2im.images.image import Image
from napari_im2im.models.networks import build_network
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.devices import open_fabric
from napari_im2im.training.loop import train_events
from napari_im2im.training.preparation import prepare
from napari_im2im.training.runs.folder import RunFolder
from napari_im2im.training.trainer import Trainer

SHAPES = {2: (512, 512), 3: (32, 160, 160)}
PATCHES = {2: {"y": 128, "x": 128}, 3: {"z": 16, "y": 64, "x": 64}}
AXES = {2: ("y", "x"), 3: ("z", "y", "x")}
IMAGES = 16
WARM = 3
"""Steps before the first that counts."""

Contender = Callable[[argparse.Namespace], Iterator[float]]
"""Takes a step at each turn, and yields the seconds that it took."""


def clock() -> float:
    """Return CPU seconds of all threads; where a GPU computes, seconds."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def images(dimensions: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    shape = SHAPES[dimensions]
    inputs = [random.integers(0, 9999, shape).astype(np.uint16) for _ in range(IMAGES)]
    noise = random.integers(0, 99, shape).astype(np.uint16)
    return [(x, 3 * x + noise) for x in inputs]


def config(options: argparse.Namespace, **values: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "name": "speed",
            "output": tempfile.mkdtemp(),
            "spatial_axes": "".join(AXES[options.dimensions]),
            "patch": PATCHES[options.dimensions],
            "batch_size": options.batch,
            "network": {"size": "medium"},
            "augmentation": options.augmentation,
            "effort": {"steps": 100_000},
            "device": options.device,
            "precision": "32-true",
            **values,
        }
    )


def ours(options: argparse.Namespace) -> Iterator[float]:
    pairs = [
        tuple(Image(a, AXES[options.dimensions], {}, {}, name=f"{i}") for a in pair)
        for i, pair in enumerate(images(options.dimensions))
    ]
    events = train_events(config(options), pairs)
    while True:
        started, plain = clock(), True
        for event in events:
            if isinstance(event, Progress) and event.activity == "Training":
                break
            plain = plain and (
                isinstance(event, MetricsLogged) and {*event.values} == {"train_loss"}
            )
        synchronize(options)
        # What came with more than a step (a validation) is no step.
        if plain:
            yield clock() - started


def network(options: argparse.Namespace) -> torch.nn.Module:
    made = build_network(
        config(options).network,
        spatial_axes=AXES[options.dimensions],
        in_channels=1,
        out_channels=1,
        scale={},
    ).to(options.device)
    return laid_out(made, options)


def laid_out(thing: Any, options: argparse.Namespace) -> Any:
    if options.dimensions == 3:
        return thing
    return thing.to(memory_format=torch.channels_last)


def learn(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    optimizer.zero_grad()
    loss = torch.nn.functional.l1_loss(model(batch[0]), batch[1])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def bare(
    options: argparse.Namespace, model: torch.nn.Module | None = None
) -> Iterator[float]:
    random = np.random.default_rng(0)
    patch = tuple(PATCHES[options.dimensions].values())
    batches = [
        tuple(
            torch.from_numpy(random.normal(size=(options.batch, 1, *patch)))
            .float()
            .to(options.device)
            for _ in range(2)
        )
        for _ in range(8)
    ]
    if model is None:
        model = network(options)
        batches = [tuple(laid_out(t, options) for t in batch) for batch in batches]
    model = model.to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for step in range(10**9):
        started = clock()
        learn(model, optimizer, batches[step % 8])
        synchronize(options)
        yield clock() - started


def monai_data(options: argparse.Namespace) -> Any:
    from monai.data import CacheDataset, DataLoader
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        NormalizeIntensityd,
        RandFlipd,
        RandRotate90d,
        RandSpatialCropd,
    )

    keys = ("x", "y")
    steps = [
        EnsureChannelFirstd(keys, channel_dim="no_channel"),
        NormalizeIntensityd(keys),
        RandSpatialCropd(
            keys, tuple(PATCHES[options.dimensions].values()), random_size=False
        ),
    ]
    if options.augmentation != "none":
        plane = (options.dimensions - 2, options.dimensions - 1)
        steps += [
            RandFlipd(keys, prob=0.5, spatial_axis=options.dimensions - 1),
            RandRotate90d(keys, prob=0.75, spatial_axes=plane),
        ]
    data = [
        {"x": x.astype(np.float32), "y": y.astype(np.float32)}
        for x, y in images(options.dimensions)
    ]
    dataset = CacheDataset(data, Compose(steps), progress=False)
    return DataLoader(dataset, batch_size=options.batch, shuffle=True, num_workers=0)


def monai(options: argparse.Namespace) -> Iterator[float]:
    loader, model = monai_data(options), network(options)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    while True:
        iterator = iter(loader)
        for _ in range(len(loader)):
            started = clock()
            batch = next(iterator)
            pair = tuple(
                laid_out(batch[key].as_tensor().to(options.device), options)
                for key in ("x", "y")
            )
            learn(model, optimizer, pair)
            synchronize(options)
            yield clock() - started


def lightning(options: argparse.Namespace) -> Iterator[float]:
    import pytorch_lightning

    class Module(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network(options)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            x, y = (laid_out(batch[k].as_tensor(), options) for k in ("x", "y"))
            loss = torch.nn.functional.l1_loss(self.network(x), y)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    turn = Turn()
    trainer = pytorch_lightning.Trainer(
        accelerator=options.device,
        devices=1,
        max_epochs=-1,
        gradient_clip_val=1.0,
        callbacks=[turn.callback(pytorch_lightning.Callback)],
        enable_progress_bar=False,
        enable_checkpointing=False,
        logger=False,
    )
    return turn.steps(lambda: trainer.fit(Module(), monai_data(options)), clock)


def peer(name: str, options: argparse.Namespace) -> dict[str, Iterator[float]]:
    """Return the steps of one of the others, and of a bare loop of its network."""
    made = PEERS[name](
        options,
        "".join(AXES[options.dimensions]),
        list(PATCHES[options.dimensions].values()),
        images(options.dimensions),
    )
    return {
        f"{BARE}, network of {name}": bare(options, made.network()),
        name: made.turn.steps(made.fit, clock),
    }


BARE = "bare loop"
CONTENDERS: dict[str, Contender] = {
    "napari-im2im": ours,
    "MONAI CacheDataset": monai,
    "MONAI CacheDataset, Lightning Trainer": lightning,
}


def synchronize(options: argparse.Namespace) -> None:
    if options.device == "cuda":
        torch.cuda.synchronize()


def steps(options: argparse.Namespace) -> None:
    tables: list[dict[str, Iterator[float]]] = [{BARE: bare(options)}]
    for name, contender in CONTENDERS.items():
        if options.only in name:
            tables[0][name] = contender(options)
    for name in PEERS:
        if options.only in name:
            try:
                tables.append(peer(name, options))
            except ImportError as error:
                print(f"{name} is left out: {error}", flush=True)
    # What prints its progress shall not print into the table.
    table = os.fdopen(os.dup(1), "w")
    for runs in tables:
        for run in runs.values():
            for _ in range(WARM):
                next(run)
    seconds: list[dict[str, list[float]]] = [{n: [] for n in runs} for runs in tables]
    for _ in range(options.blocks):
        for runs, taken in zip(tables, seconds, strict=True):
            for name, run in runs.items():
                block = [next(run) for _ in range(options.block)]
                taken[name].append(float(np.median(block)))
    print("| | CPU s a step | times the bare loop |\n|---|---|---|", file=table)
    for taken in seconds:
        reference = np.array(next(iter(taken.values())))
        for name, values in taken.items():
            ratios = np.array(values) / reference
            spread = (
                f"{np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})"
            )
            print(f"| {name} | {np.median(values):.3f} | {spread} |", file=table)
    table.flush()


def share(options: argparse.Namespace) -> None:
    """Print CPU seconds of making a batch and of learning it."""
    job = config(options)
    pairs = [
        tuple(Image(a, AXES[options.dimensions], {}, {}, name=f"{i}") for a in pair)
        for i, pair in enumerate(images(options.dimensions)[:6])
    ]
    preparation = prepare(job, pairs, on_cpu=True)
    run = RunFolder.create(Path(tempfile.mkdtemp()), job)
    trainer = Trainer(preparation, run, open_fabric(job))
    seconds: dict[str, list[float]] = {"batch": [], "learning": []}
    for step in range(2 * options.block):
        started = clock()
        batch = trainer.batches.batch(step)
        seconds["batch"].append(clock() - started)
    for _ in range(options.block):
        started = clock()
        trainer.learner.learn(batch, trainer.loss, 1)
        seconds["learning"].append(clock() - started)
    made, learned = (float(np.median(each)) for each in seconds.values())
    print(f"| {made:.4f} | {learned:.3f} | {(made + learned) / learned:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("steps", "share"))
    parser.add_argument("--dimensions", type=int, choices=(2, 3), default=2)
    parser.add_argument("--augmentation", default="standard")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--block", type=int, default=3, help="steps of one at a turn")
    parser.add_argument("--only", default="", help="part of a name: that and its loop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8, help="patches in a step")
    options = parser.parse_args()
    {"steps": steps, "share": share}[options.what](options)


if __name__ == "__main__":
    main()
