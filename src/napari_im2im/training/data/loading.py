"""The pixels of a training as samples, if there is something to learn in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.training.data.array_cache import release
from napari_im2im.training.data.decoding import JobKey, ReadingJob, Role, read_all
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.subset import MOST_PIXELS, every_few_rows
from napari_im2im.training.data.weights import counted_region, pixel_weights
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_im2im.events import Progress
    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example
    from napari_im2im.training.data.normalization import ImageScaling
    from napari_im2im.training.data.samples import Layout

_LEAST_MEASURED = 2**20
"""Images of so many pixels a channel are measured in full, however many there are."""

_NAMED_AT_MOST = 3


def load_samples(
    examples: Sequence[Example],
    layout: Layout,
    config: TrainConfig,
    scaling: ImageScaling | None = None,
) -> Generator[Progress, None, list[list[Sample]]]:
    """Read the pixels: one list of samples for each example.

    With ``scaling``, the samples are normalised by the statistics of the whole image
    that they are of, in large sets those of every few rows.

    Sets larger than `decoding.IN_MEMORY_BYTES` are decoded once into files, which
    later trainings find again, and from which patches are read.

    Yields
    ------
    Progress
        After each image that isn't in memory.

    Returns
    -------
    list of list of Sample
        Pixels keep their dtype; 64-bit ones become int32 where that is exact, else
        float32. Images of which no pixel counts have no samples.

    Raises
    ------
    DataError
        If pixels are not finite, or there is nothing to learn in them.
    ImageError
        If a file can't be decoded.
    """
    jobs = [_jobs(example, layout, config) for example in examples]
    unique = {_key(job): job for group in jobs for job in group.values()}
    arrays = yield from read_all(unique, config.data.cache_gigabytes)
    loaded = []
    for example, group in zip(examples, jobs, strict=True):
        found = {role: arrays[_key(job)] for role, job in group.items()}
        if TASKS[config.task].paired and _equal(found["input"], found["target"]):
            raise DataError(
                f"The input {example.input.name} and its target {example.target.name} "
                "are the same image, so there is nothing to learn: choose another "
                "target."
            )
        samples = _samples(example, found, layout)
        if scaling is not None and samples:
            most = max(MOST_PIXELS // len(examples), _LEAST_MEASURED)
            whole = _as_samples(found["input"], layout, "input")
            measured = scaling.of_image(every_few_rows(list(whole), most))
            samples = [replace(sample, scaling=measured) for sample in samples]
            release(found["input"])
        loaded.append(samples)
    _check_loaded(examples, loaded)
    for array in arrays.values():
        release(array)
    return loaded


def _jobs(
    example: Example, layout: Layout, config: TrainConfig
) -> dict[Role, ReadingJob]:
    jobs: dict[Role, ReadingJob] = {}
    roles: tuple[Role, Role] = ("input", "target")
    for role in roles:
        image: Image = getattr(example, role)
        chosen = getattr(config.data, f"{role}_channels")
        if not TASKS[config.task].paired:
            chosen = config.data.input_channels
        if chosen is not None and "channel" in image.axes:
            image = image.select("channel", chosen)
        jobs[role] = ReadingJob(image, role, _order(role, layout))
    if example.cost_map is not None:
        order = _order("target", layout)
        jobs["cost_map"] = ReadingJob(example.cost_map, "cost_map", order)
    return jobs


def _order(role: str, layout: Layout) -> tuple[str, ...]:
    """Return the axes in the order in which they become samples and channels."""
    if layout.spatial_axes[0] == "z" or role in layout.folded:
        return ("time", "channel", "z", "y", "x")
    return ("time", "z", "channel", "y", "x")


def _key(job: ReadingJob) -> JobKey:
    return (id(job.image.data), job.order, job.image.shape, job.role == "cost_map")


def _samples(
    example: Example, arrays: dict[Role, np.ndarray], layout: Layout
) -> list[Sample]:
    source = _as_samples(arrays["input"], layout, "input")
    target = _as_samples(arrays["target"], layout, "target")
    if "cost_map" not in arrays:
        return [Sample(x, y, example.name) for x, y in zip(source, target, strict=True)]
    assert example.cost_map is not None
    cost_map = pixel_weights(arrays["cost_map"], example.cost_map.name)
    shape = list(arrays["target"].shape)
    shape[_order("target", layout).index("channel")] = 1
    if "target" in layout.folded:
        shape[2] = 1
    weights = _as_samples(np.broadcast_to(cost_map, shape), layout, "target")
    samples = [
        Sample(x, y, example.name, w)
        for x, y, w in zip(source, target, weights, strict=True)
        if w.any()
    ]
    region = counted_region(samples)
    return [sample.crop(region) for sample in samples]


def _as_samples(array: np.ndarray, layout: Layout, role: Role) -> np.ndarray:
    """Return five axes as ``(sample, c, [z,] y, x)``; what is on disk isn't copied."""
    one, two, three, *plane = array.shape
    if layout.spatial_axes[0] == "z":
        return array
    if role in layout.folded:
        return array.reshape(one, two * three, *plane)
    return array.reshape(one * two, three, *plane)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two images are the same; looks no further than it must."""
    return one.shape == other.shape and all(
        np.array_equal(one[plane], other[plane]) for plane in np.ndindex(one.shape[:-2])
    )


def constant_inputs(loaded: Sequence[Sequence[Sample]]) -> list[str]:
    """Name the images whose input has one value in all pixels, in a sentence."""
    names = [
        samples[0].name
        for samples in loaded
        if all(
            _constant([sample.input for sample in samples], channel)
            for channel in range(len(samples[0].input))
        )
    ]
    if not names:
        return []
    shown = ", ".join(names[:_NAMED_AT_MOST]) + ", …" * (len(names) > _NAMED_AT_MOST)
    return [
        "Nothing can be learned from inputs with the same value in every pixel: leave "
        f"them out ({shown})."
    ]


def _check_loaded(
    examples: Sequence[Example], loaded: Sequence[Sequence[Sample]]
) -> None:
    samples = [sample for group in loaded for sample in group]
    if not samples:
        raise DataError(
            f"The cost map {_first(examples).name} is 0 everywhere, as are all others, "
            "so no pixel counts: give weights above 0 to what is to be learned."
        )
    arrays = [sample.input for sample in samples]
    if all(_constant(arrays, channel) for channel in range(len(arrays[0]))):
        others = ", like all others," if len(examples) > 1 else ""
        raise DataError(
            f"The input {examples[0].input.name}{others} has the same value, "
            f"{arrays[0].flat[0]:g}, in every pixel, so there is nothing to learn: "
            "choose another input."
        )


def _first(examples: Sequence[Example]) -> Image:
    return next(e.cost_map for e in examples if e.cost_map is not None)


def _constant(arrays: Sequence[np.ndarray], channel: int) -> bool:
    """Return whether a channel has one value; looks no further than it must."""
    first = arrays[0][channel].flat[0]
    return all((row == first).all() for array in arrays for row in array[channel])
