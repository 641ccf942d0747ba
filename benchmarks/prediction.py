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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = (32, 32, 64, 128, 256, 32)
Network = Callable[[np.ndarray], np.ndarray]


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


class Bench:
    """One model and one image, for one tool."""

    def __init__(self, model: Path, folder: Path) -> None:
        from napari_im2im.models.package import load_package

        self.folder = folder
        self.package = load_package(model)
        self.source = folder / "image.zarr"
        plan = folder / "plan.json"
        self.plan = json.loads(plan.read_text()) if plan.exists() else {}
        self.axes = self.package.inputs[0].axis_names[2:]

    def image(self) -> Any:
        from napari_im2im.images.reading import open_image

        return open_image(self.source)

    def pixels(self) -> np.ndarray:
        """Return the image, preprocessed, with the axes of the model."""
        from napari_im2im.inference.steps import apply, bind

        spec = self.package.inputs[0]
        pixels = self.image().read(axes=spec.axis_names)
        return apply([bind(step, spec.axis_names) for step in spec.steps], pixels)

    def finished(self, result: np.ndarray) -> np.ndarray:
        from napari_im2im.inference.steps import apply, bind

        spec = self.package.outputs[0]
        return apply([bind(step, spec.axis_names) for step in spec.steps], result)

    def torch_network(self) -> Any:
        from napari_im2im.models.runtimes.torch_engine import load_network

        return load_network(self.package).eval()

    def tile(self) -> tuple[int, ...]:
        return tuple(self.plan["tile"][axis] for axis in self.axes)

    def halo(self) -> tuple[int, ...]:
        return tuple(max(self.plan["radius"][axis]) for axis in self.axes)


Run = Callable[[], np.ndarray]


def whole(bench: Bench) -> Run:
    import torch

    network = bench.torch_network()

    def run() -> np.ndarray:
        with torch.inference_mode():
            return bench.finished(network(torch.from_numpy(bench.pixels())).numpy())

    return run


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
                known = bench.package.config["receptive_field"]["radius"]
                plan |= {"radius": known, "tiles": event.tiles, "engine": event.engine}
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


def monai(bench: Bench, overlap: float, mode: str) -> Run:
    import torch
    from monai.inferers import sliding_window_inference

    network, tile = bench.torch_network(), bench.tile()

    def run() -> np.ndarray:
        with torch.inference_mode():
            result = sliding_window_inference(
                torch.from_numpy(bench.pixels()),
                tile,
                1,
                network,
                overlap=overlap,
                mode=mode,
            )
        return bench.finished(result.numpy())

    return run


def dask_overlap(bench: Bench) -> Run:
    import dask.array as da
    import torch

    network, tile, halo = bench.torch_network(), bench.tile(), bench.halo()
    depth = {i: -(-h // 16) * 16 for i, h in enumerate(halo)}
    chunks = tuple(
        max(64, t - 2 * d) for t, d in zip(tile, depth.values(), strict=True)
    )

    def forward(block: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(np.array(block[None, None]))).numpy()[0, 0]

    def run() -> np.ndarray:
        pixels = bench.pixels()[0, 0]
        small = [min(c, n) for c, n in zip(chunks, pixels.shape, strict=True)]
        depths = {i: d if small[i] < pixels.shape[i] else 0 for i, d in depth.items()}
        lazy = da.from_array(pixels, chunks=tuple(small))
        result = lazy.map_overlap(
            forward, depth=depths, boundary="none", dtype=np.float32, meta=pixels[:0]
        ).compute(scheduler="single-threaded")
        return bench.finished(np.asarray(result)[None, None])

    return run


def bioimageio_core(bench: Bench, block: int | None) -> Run:
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model

    description = bench.package.description
    pipeline = create_prediction_pipeline(
        description,
        weight_format="pytorch_state_dict",
        default_blocksize_parameter=block or 10,
    )

    def run() -> np.ndarray:
        raw = bench.image().read(axes=bench.package.inputs[0].axis_names)
        sample = create_sample_for_model(
            description, inputs={str(description.inputs[0].id): raw}
        )
        result = pipeline.predict_sample_with_blocking(sample)
        return np.asarray(next(iter(result.members.values())).data)

    return run


def cropped_tiles(bench: Bench) -> Run:
    """The tiling of CAREamics: an overlap of 48, halved; the last tile is shifted."""
    import torch

    network = bench.torch_network()
    overlap = 48

    def starts(size: int, tile: int) -> list[int]:
        if size <= tile:
            return [0]
        found = list(range(0, size - tile, tile - overlap))
        return [*found, size - tile]

    def run() -> np.ndarray:
        pixels = bench.pixels()
        sizes = pixels.shape[2:]
        tile = [min(t, n) for t, n in zip(bench.tile(), sizes, strict=True)]
        tile = [min(t, 512) for t in tile]
        result = np.empty_like(pixels)
        every = [starts(n, t) for n, t in zip(sizes, tile, strict=True)]
        for index in np.ndindex(*map(len, every)):
            key, inner, outer = [], [], []
            for axis, i in enumerate(index):
                start, size, length = every[axis][i], sizes[axis], tile[axis]
                low = start + overlap // 2 if start else 0
                high = start + length - overlap // 2 if start + length < size else size
                key.append(slice(start, start + length))
                outer.append(slice(low, high))
                inner.append(slice(low - start, high - start))
            with torch.inference_mode():
                part = torch.from_numpy(np.array(pixels[(0, 0, *key)])[None, None])
                result[(0, 0, *outer)] = network(part).numpy()[(0, 0, *inner)]
        return bench.finished(result)

    return run


TOOLS: dict[str, Callable[[Bench], Run]] = {
    "whole forward (PyTorch)": whole,
    "napari-im2im": ours,
    "napari-im2im, halo exact": lambda bench: ours(bench, halo="exact"),
    "napari-im2im, torch": lambda bench: ours(bench, engine="torch"),
    "OpenVINO without halo": pure_openvino,
    "MONAI 0.25": lambda bench: monai(bench, 0.25, "constant"),
    "MONAI 0.5 gaussian": lambda bench: monai(bench, 0.5, "gaussian"),
    "dask map_overlap": dask_overlap,
    "CAREamics tiling": cropped_tiles,
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
    from napari_im2im.images.ome_zarr import create_ome_zarr
    from napari_im2im.images.reading import open_image
    from napari_im2im.inference.tiling import reflected_positions
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
        found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
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
                found[tool].append(took)
                sys.stderr.write(f"{number} {tool} {took}\n")
        print((folder / "plan.json").read_text())
        print(table(found))


def table(found: dict[str, list[dict[str, float]]]) -> str:
    whole_runs = next(iter(found.values()))
    rows = [
        "| tool | CPU s | speed-up | peak GB | largest difference (std) |",
        "|---|---|---|---|---|",
    ]
    for tool, runs in found.items():
        if not runs:
            rows.append(f"| {tool} | failed | | | |")
            continue
        ratios = [w["cpu"] / r["cpu"] for w, r in zip(whole_runs, runs, strict=False)]
        cpu = statistics.median(r["cpu"] for r in runs)
        peak = statistics.median(r["peak"] for r in runs) / 1e9
        worst = max(r["difference"] for r in runs)
        ratio = statistics.median(ratios)
        rows.append(f"| {tool} | {cpu:.1f} | {ratio:.2f} | {peak:.2f} | {worst:.1e} |")
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
