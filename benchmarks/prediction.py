"""How fast, how exact and how large a prediction is, beside other tools.

    python benchmarks/prediction.py train 2d DATA/mc2d-u2os-fkhr-dna NAME
    python benchmarks/prediction.py train 3d DATA/restore3d-dna-widefield-confocal NAME
    python benchmarks/prediction.py run NAME IMAGE --size 4096 4096
    python benchmarks/prediction.py run NAME IMAGE --size 64 512 512

``train`` trains a BasicUNet of MONAI (BatchNorm, 32 to 256 features) on real images
first: on random weights a halo of 16 pixels would do. ``run`` predicts one image with
every tool in turn, in random order in each round, each in a process of its own, and
prints the medians of the ratios to one whole forward of PyTorch in the same round:
CPU seconds of all threads, which other work on the computer hardly disturbs. The
difference is the largest from that whole forward, in standard deviations of it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tiling_peers import (
    Bench,
    Run,
    bioimageio_core,
    cropped_tiles,
    dask_overlap,
    monai,
    padded_tiles,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEATURES = (32, 32, 64, 128, 256, 32)


def train(dimensions: str, data: Path, model: Path, steps: int) -> None:
    from napari_im2im.events import TrainingFinished
    from napari_im2im.images.reading import open_image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.loop import train_events

    if dimensions == "2d":
        pairs = [
            (open_image(path), open_image(str(path).replace("gfp", "dna")))
            for path in sorted(data.glob("*_gfp.tif"))
        ]
        patch = {"y": 128, "x": 128}
    else:
        files = [f"registered_{name}_zyx.tif" for name in ("widefield", "confocal")]
        source, target = (open_image(data / file, axes="zyx") for file in files)
        pairs = [(source, target)]
        patch = {"z": 16, "y": 48, "x": 48}
    with tempfile.TemporaryDirectory() as runs:
        config = TrainConfig(
            name=f"benchmark {dimensions}",
            output=Path(runs),
            patch=patch,
            batch_size=4 if dimensions == "2d" else 1,
            network={"name": "BasicUNet", "kwargs": {"features": FEATURES}},
            effort={"steps": steps},
            device="cpu",
        )
        for event in train_events(config, pairs):
            sys.stderr.write(f"{event}\n"[:200])
            if isinstance(event, TrainingFinished):
                shutil.copytree(event.package, model, dirs_exist_ok=True)


def ours(bench: Bench, engine: str = "auto", **options: Any) -> Run:
    import zarr

    from napari_im2im.events import PredictionStarted
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.prediction import predict_with
    from napari_im2im.models.runtimes import load_runtime

    runtime = load_runtime(bench.package, engine=engine, device="cpu")
    output = bench.folder / "result.zarr"
    config = PredictConfig(output=output, overwrite=True, **options)

    def run() -> np.ndarray:
        for event in predict_with(bench.package, runtime, config, [bench.image()]):
            if isinstance(event, PredictionStarted):
                plan = {"tile": dict(event.tile_shape), "halo": dict(event.halo)}
                plan |= {"tiles": event.tiles, "engine": event.engine}
                sys.stderr.write(f"{plan}\n")
                # All others get the tile of the first run with default settings.
                if not bench.plan and engine == "auto" and not options:
                    (bench.folder / "plan.json").write_text(json.dumps(plan))
        return np.asarray(zarr.open_group(output, mode="r")["0"][...])[None]

    return run


def pure_openvino(bench: Bench) -> Run:
    """The limit: every pixel once, in pieces that fit, without any halo."""
    from napari_im2im.models.runtimes import load_runtime

    runtime = load_runtime(bench.package, engine="openvino", device="cpu")
    tile = bench.tile()

    def run() -> np.ndarray:
        pixels = bench.pixels()
        channels = bench.package.outputs[0].axis("channel").size.size
        result = np.empty((1, channels, *pixels.shape[2:]), np.float32)
        for corner in np.ndindex(
            *(-(-n // t) for n, t in zip(pixels.shape[2:], tile, strict=True))
        ):
            part = (
                slice(i * t, (i + 1) * t) for i, t in zip(corner, tile, strict=True)
            )
            key = (slice(None), slice(None), *part)
            result[key] = runtime([pixels[key]])[0]
        return bench.finished(result)

    return run


TOOLS: dict[str, Callable[[Bench], Run]] = {
    "whole forward (PyTorch)": whole,
    "napari-im2im": ours,
    "napari-im2im, torch": lambda bench: ours(bench, engine="torch"),
    "OpenVINO without halo": pure_openvino,
    "MONAI 0.25": lambda bench: monai(bench, 0.25, "constant"),
    "MONAI 0.5 gaussian": lambda bench: monai(bench, 0.5, "gaussian"),
    "dask map_overlap": dask_overlap,
    "CAREamics tiling": cropped_tiles,
    "BiaPy tiling": padded_tiles,
    "bioimageio.core default": lambda bench: bioimageio_core(bench, None),
    "bioimageio.core best": lambda bench: bioimageio_core(bench, 60),
}


def one(model: Path, folder: Path, tool: str) -> None:
    """Run one tool once, in this process, and print what it took."""
    bench = Bench(model, folder)
    run = TOOLS[tool](bench)
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    took["peak"] = _peak()
    reference = folder / "whole.npy"
    if tool.startswith("whole"):
        np.save(reference, result.astype(np.float32))
    expected = np.load(reference, mmap_mode="r")
    difference = np.abs(result.reshape(expected.shape) - expected)
    took["difference"] = float(difference.max() / expected.std())
    print(json.dumps(took))


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_image(model: Path, data: Path, size: Sequence[int], path: Path) -> None:
    """Write an image of any size, mirrored from real pixels."""
    from napari_im2im.images.formats.ome_zarr import create_ome_zarr
    from napari_im2im.images.reading import open_image
    from napari_im2im.inference.tiling.tiles import reflected_positions
    from napari_im2im.models.package import load_package

    spec = load_package(model).inputs[0]
    source = open_image(data)
    channels = spec.axis("channel").size.size
    for axis in ("time", "channel"):
        if axis in source.axes and (axis == "time" or channels == 1):
            source = source.select(axis, 0)
    pixels = source.read()
    first = pixels.ndim - len(size)
    for axis, length in enumerate(size, start=first):
        positions = reflected_positions(0, length, pixels.shape[axis])
        pixels = np.take(pixels, positions, axis)
    array = create_ome_zarr(
        path,
        shape=pixels.shape,
        axes=source.axes,
        dtype=pixels.dtype,
        scale={},
        units={},
        chunks=(1,) * first + ((256, 256) if len(size) == 2 else (32, 128, 128)),
    )
    array[...] = pixels


def run_all(
    model: Path, data: Path, size: Sequence[int], rounds: int, tools: Sequence[str]
) -> None:
    """Run all tools in turn and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_image(model, data, size, folder / "image.zarr")
        found: dict[str, dict[int, dict[str, float]]] = {tool: {} for tool in tools}
        for number in range(rounds):
            first = list(tools[:2])
            rest = list(tools[2:])
            random.Random(number).shuffle(rest)
            # The whole result is what all are compared with, ours names the tile.
            for tool in first + rest:
                command = [sys.executable, __file__, "one", str(model), name, tool]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.stderr.write(f"{tool} failed: {done.stderr[-600:]}\n")
                    continue
                took = json.loads(done.stdout.splitlines()[-1])
                found[tool][number] = took
                sys.stderr.write(f"{number} {tool} {took}\n")
        print((folder / "plan.json").read_text())
        print(table(found))


def table(found: dict[str, dict[int, dict[str, float]]]) -> str:
    whole_runs = next(iter(found.values()))
    rows = [
        "| tool | CPU s | wall s | times whole | peak GB | difference (std) |",
        "|---|---|---|---|---|---|",
    ]
    for tool, runs in found.items():
        if not runs:
            rows.append(f"| {tool} | failed | | | | |")
            continue
        ratio = statistics.median(
            whole_runs[number]["cpu"] / run["cpu"]
            for number, run in runs.items()
            if number in whole_runs
        )
        cpu, wall, peak = (
            statistics.median(run[key] for run in runs.values())
            for key in ("cpu", "wall", "peak")
        )
        worst = max(run["difference"] for run in runs.values())
        rows.append(
            f"| {tool} | {cpu:.1f} | {wall:.1f} | {ratio:.2f} | {peak / 1e9:.2f} | "
            f"{worst:.1e} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("dimensions", choices=["2d", "3d"])
    training.add_argument("data", type=Path)
    training.add_argument("model", type=Path)
    training.add_argument("--steps", type=int, default=120)
    running = commands.add_parser("run")
    running.add_argument("model", type=Path)
    running.add_argument("data", type=Path, help="An image to mirror to the size.")
    running.add_argument("--size", type=int, nargs="+", required=True)
    running.add_argument("--rounds", type=int, default=3)
    running.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    single = commands.add_parser("one")
    single.add_argument("model", type=Path)
    single.add_argument("folder", type=Path)
    single.add_argument("tool", choices=TOOLS)
    given = parser.parse_args()
    if given.command == "train":
        train(given.dimensions, given.data, given.model, given.steps)
    elif given.command == "run":
        run_all(given.model, given.data, given.size, given.rounds, given.tools)
    else:
        one(given.model, given.folder, given.tool)


if __name__ == "__main__":
    main()
