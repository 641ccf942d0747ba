"""Other ways to predict an image with a network, for `prediction.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[[], np.ndarray]


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
        from napari_im2im.inference.processing.steps import apply, bind

        spec = self.package.inputs[0]
        pixels = self.image().read(axes=spec.axis_names)
        return apply([bind(step, spec.axis_names) for step in spec.steps], pixels)

    def finished(self, result: np.ndarray) -> np.ndarray:
        from napari_im2im.inference.processing.steps import apply, bind

        spec = self.package.outputs[0]
        return apply([bind(step, spec.axis_names) for step in spec.steps], result)

    def torch_network(self) -> Any:
        from napari_im2im.models.runtimes.torch_engine import load_network

        return load_network(self.package).eval()

    def tile(self) -> tuple[int, ...]:
        return tuple(self.plan["tile"][axis] for axis in self.axes)

    def halo(self) -> tuple[int, ...]:
        known = self.package.config["receptive_field"]["radius"]
        return tuple(max(known[axis]) for axis in self.axes)


def whole(bench: Bench) -> Run:
    import torch

    network = bench.torch_network()

    def run() -> np.ndarray:
        with torch.inference_mode():
            return bench.finished(network(torch.from_numpy(bench.pixels())).numpy())

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


def padded_tiles(bench: Bench) -> Run:
    """The tiling of BiaPy: 32 pixels of padding are cut off; the last tile is shifted.

    Where tiles overlap for that, they are averaged; the image is mirrored first.
    """
    import torch

    network = bench.torch_network()
    padding = 32

    def run() -> np.ndarray:
        pixels = bench.pixels()[0, 0]
        sizes = pixels.shape
        tile = [min(t, n) for t, n in zip(bench.tile(), sizes, strict=True)]
        around = [0 if t == n else padding for t, n in zip(tile, sizes, strict=True)]
        mirrored = np.pad(pixels, [(p, p) for p in around], mode="reflect")
        inner = [t - 2 * p for t, p in zip(tile, around, strict=True)]
        total, count = np.zeros((2, *sizes), np.float32)
        numbers = [-(-n // i) for n, i in zip(sizes, inner, strict=True)]
        for index in np.ndindex(*numbers):
            starts = [
                min(i * step, size - step)
                for i, step, size in zip(index, inner, sizes, strict=True)
            ]
            key = tuple(slice(s, s + t) for s, t in zip(starts, tile, strict=True))
            with torch.inference_mode():
                part = network(torch.from_numpy(mirrored[key].copy()[None, None]))
            core = tuple(slice(p, p + i) for p, i in zip(around, inner, strict=True))
            where = tuple(slice(s, s + i) for s, i in zip(starts, inner, strict=True))
            total[where] += part.numpy()[0, 0][core]
            count[where] += 1
        return bench.finished((total / count)[None, None])

    return run
