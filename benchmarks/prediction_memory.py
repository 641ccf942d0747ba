"""How much memory a prediction needs, and what a tile costs besides the network.

    python benchmarks/prediction_memory.py memory NAME IMAGE --gigabytes 0.25 8
    python benchmarks/prediction_memory.py overhead NAME IMAGE --size 4096

``memory`` predicts sparse images from Zarr to Zarr, each in a process of its own: four
squares of each hold pixels of IMAGE, the rest was never written, and is left out.
``overhead`` predicts one image twice, the second time with zeros in place of what the
network computes: what that takes is no part of the forward.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from collections.abc import Sequence

FILLED = 2
"""Squares along each axis that hold something."""


class Zeros:
    """A runtime that computes nothing."""

    def __init__(self, runtime: Any) -> None:
        self.engine, self.device = runtime.engine, runtime.device
        self.weights_format = runtime.weights_format
        self.share = runtime.share

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        return [np.zeros_like(inputs[0])]

    def part(
        self, inputs: Sequence[np.ndarray | None], keep: Sequence[Sequence[slice]]
    ) -> list[np.ndarray]:
        region = (slice(None), slice(None), *keep[0])
        return [np.zeros_like(inputs[0][region])]

    def close(self) -> None:
        """Nothing to free."""


def predict(model: Path, image: Any, folder: Path, *, network: bool = True) -> Any:
    """Predict to Zarr, and return what was planned and what it took."""
    from napari_im2im.events import PredictionStarted
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.prediction import predict_with
    from napari_im2im.models.package import load_package
    from napari_im2im.models.runtimes import load_runtime

    package = load_package(model)
    runtime: Any = load_runtime(package, device="cpu")
    runtime.share()
    config = PredictConfig(
        output=folder / "result.ome.zarr", overwrite=True, empty="skip"
    )
    took: dict[str, Any] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    chosen = runtime if network else Zeros(runtime)
    for event in predict_with(package, chosen, config, [image]):
        if isinstance(event, PredictionStarted):
            took |= {"tiles": event.tiles, "tile": dict(event.tile_shape)}
    took["cpu"] = time.process_time() - cpu
    took["wall"] = time.perf_counter() - wall
    took["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return took


def sparse_image(pixels: np.ndarray, size: int, path: Path) -> Any:
    """Return an image of ``size`` pixels along y and x, most of it never written."""
    from napari_im2im.images.image import Image
    from napari_im2im.inference.tiling.tiles import reflected_positions

    array = zarr.create_array(
        path, shape=(size, size), chunks=(512, 512), dtype=pixels.dtype, overwrite=True
    )
    part = 1024
    rows, columns = (reflected_positions(0, part, n) for n in pixels.shape)
    block = pixels[rows][:, columns]
    starts = np.linspace(0, size - part, FILLED).astype(int) // 512 * 512
    for y in starts:
        for x in starts:
            array[y : y + part, x : x + part] = block
    return Image(array, ("y", "x"), name=f"{array.nbytes / 1e9:.2f} GB")


def plane_of(path: Path) -> np.ndarray:
    """Return the first plane of an image file."""
    from napari_im2im.images.reading import open_image

    pixels = open_image(path).read()
    return pixels.reshape(-1, *pixels.shape[-2:])[0]


def measure(model: Path, data: Path, gigabytes: float) -> None:
    """Predict one sparse image, and print what it took."""
    pixels = plane_of(data)
    size = math.isqrt(int(gigabytes * 1e9 / pixels.dtype.itemsize))
    with tempfile.TemporaryDirectory() as name:
        image = sparse_image(pixels, size, Path(name) / "image.zarr")
        print(json.dumps({"size": size, **predict(model, image, Path(name))}))


def overhead(model: Path, data: Path, size: int) -> None:
    """Predict with the network and without."""
    from napari_im2im.images.image import Image
    from napari_im2im.inference.tiling.tiles import reflected_positions

    pixels = plane_of(data)
    rows, columns = (reflected_positions(0, size, n) for n in pixels.shape)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        array = zarr.create_array(
            folder / "image.zarr", data=pixels[rows][:, columns], chunks=(512, 512)
        )
        image = Image(array, ("y", "x"))
        for network in (True, False):
            took = predict(model, image, folder, network=network)
            print(json.dumps({"network": network, **took}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("memory", "one", "overhead"):
        command = commands.add_parser(name)
        command.add_argument("model", type=Path)
        command.add_argument("data", type=Path)
        if name == "overhead":
            command.add_argument("--size", type=int, default=4096)
        else:
            command.add_argument("--gigabytes", type=float, nargs="+", required=True)
    given = parser.parse_args()
    if given.command == "overhead":
        overhead(given.model, given.data, given.size)
    elif given.command == "one":
        measure(given.model, given.data, given.gigabytes[0])
    else:
        for gigabytes in given.gigabytes:
            own = [str(given.model), str(given.data), "--gigabytes", str(gigabytes)]
            subprocess.run([sys.executable, __file__, "one", *own], check=True)


if __name__ == "__main__":
    main()
