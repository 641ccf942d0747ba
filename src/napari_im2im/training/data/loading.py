"""Reading the pixels of a training: into memory, or to where patches are read from."""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.events import Progress
from napari_im2im.images.blocks import image_blocks
from napari_im2im.images.identity import identity
from napari_im2im.training.data.array_cache import ArrayCache, release
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.subset import MOST_PIXELS, every_few_rows
from napari_im2im.training.data.weights import counted_region, pixel_weights
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example
    from napari_im2im.training.data.normalization import ImageScaling
    from napari_im2im.training.data.samples import Layout

Role = Literal["input", "target", "cost_map"]

IN_MEMORY_BYTES = 500_000_000
"""Sets up to this size are read into memory each time."""

_RELEASED_BYTES = 2**25
"""So much may be written before its memory is given back."""

_LEAST_MEASURED = 2**20
"""Images of so many pixels a channel are measured in full, however many there are."""

_READERS = 4
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class _Job:
    """One image to be read, with its axes in an order that makes samples."""

    image: Image
    role: Role
    order: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.image.sizes.get(axis, 1) for axis in self.order)

    @property
    def bytes(self) -> int:
        """Size of the decoded pixels; nothing for those that are in memory."""
        if isinstance(self.image.data, np.ndarray):
            return 0
        return math.prod(self.shape) * min(self.image.dtype.itemsize, 4)


def load_samples(
    examples: Sequence[Example],
    layout: Layout,
    config: TrainConfig,
    scaling: ImageScaling | None = None,
) -> Generator[Progress, None, list[list[Sample]]]:
    """Read the pixels: one list of samples for each example.

    With ``scaling``, the samples are normalised by the statistics of the whole image
    that they are of, in large sets those of every few rows.

    Sets that are larger than `IN_MEMORY_BYTES` are decoded once into files, which
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
    arrays = yield from _read_all(unique, config.data.cache_gigabytes)
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


def _jobs(example: Example, layout: Layout, config: TrainConfig) -> dict[Role, _Job]:
    jobs: dict[Role, _Job] = {}
    roles: tuple[Role, Role] = ("input", "target")
    for role in roles:
        image: Image = getattr(example, role)
        chosen = getattr(config.data, f"{role}_channels")
        if not TASKS[config.task].paired:
            chosen = config.data.input_channels
        if chosen is not None and "channel" in image.axes:
            image = image.select("channel", chosen)
        jobs[role] = _Job(image, role, _order(role, layout))
    if example.cost_map is not None:
        order = _order("target", layout)
        jobs["cost_map"] = _Job(example.cost_map, "cost_map", order)
    return jobs


def _order(role: str, layout: Layout) -> tuple[str, ...]:
    """Return the axes in the order in which they become samples and channels."""
    if layout.spatial_axes[0] == "z" or role in layout.folded:
        return ("time", "channel", "z", "y", "x")
    return ("time", "z", "channel", "y", "x")


def _key(job: _Job) -> tuple[Any, ...]:
    return (id(job.image.data), job.order, job.image.shape, job.role == "cost_map")


def _read_all(
    jobs: dict[tuple[Any, ...], _Job], cache_gigabytes: float
) -> Generator[Progress, None, dict[tuple[Any, ...], np.ndarray]]:
    total = sum(job.bytes for job in jobs.values())
    cache = None
    if total > IN_MEMORY_BYTES:
        cache = ArrayCache(int(cache_gigabytes * 1e9))
    reader = _Reader(cache)
    reader.make_room(list(jobs.values()))
    arrays: dict[tuple[Any, ...], np.ndarray] = {}
    workers = min(_READERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="im2im-read")
    try:
        futures: dict[Future[np.ndarray], tuple[Any, ...]] = {
            pool.submit(reader.read, job): key for key, job in jobs.items()
        }
        for done in as_completed(futures):
            key = futures[done]
            arrays[key] = done.result()
            if jobs[key].bytes:
                yield Progress(len(arrays), len(jobs), "Reading images")
    finally:
        reader.stopped = True
        pool.shutdown(cancel_futures=True)
    return arrays


class _Reader:
    """Reads images into memory, or through a cache on disk."""

    def __init__(self, cache: ArrayCache | None) -> None:
        self.cache = cache
        self.stopped = False

    def make_room(self, jobs: Sequence[_Job]) -> None:
        """See that what isn't decoded yet fits."""
        if self.cache is not None:
            missing = [job for job in jobs if self._find(job) is None]
            if missing:
                self.cache.make_room(sum(job.bytes for job in missing))

    def read(self, job: _Job) -> np.ndarray:
        """Return the pixels of an image, with five axes in the job's order."""
        if isinstance(job.image.data, np.ndarray):
            pixels = job.image.read(axes=job.order)
            _check_finite(pixels, job)
            return pixels.astype(_dtype(pixels), copy=False)
        array = self._find(job)
        return self._decode(job) if array is None else array

    def _find(self, job: _Job) -> np.ndarray | None:
        name = None if self.cache is None else self._name(job)
        return None if self.cache is None or name is None else self.cache.find(name)

    def _name(self, job: _Job) -> str | None:
        known = identity(job.image)
        order = "".join(axis[0] for axis in job.order)
        return None if known is None else f"{known[:40]}-{order}"

    def _decode(self, job: _Job) -> np.ndarray:
        dtype = job.image.dtype
        if dtype.itemsize <= 4:
            return self._fill(job, dtype.newbyteorder("="))
        if dtype.kind in "ui":
            with contextlib.suppress(OverflowError):
                return self._fill(job, np.dtype(np.int32))
        return self._fill(job, np.dtype(np.float32))

    def _fill(self, job: _Job, dtype: np.dtype) -> np.ndarray:
        if self.cache is None:
            array = np.empty(job.shape, dtype)
            self._copy(job, array)
            return array
        name = self._name(job)
        kept = name or f"once-{uuid.uuid4().hex}"
        with self.cache.create(kept, job.shape, dtype) as mapped:
            self._copy(job, mapped)
            # Windows renames no file that is still mapped.
            del mapped
        found = self.cache.find(kept)
        if found is None:
            raise DataError(
                f"The decoded {job.image.name} is gone from {self.cache.folder}: start "
                "again."
            )
        if name is None:
            self.cache.forget(kept)
        return found

    def _copy(self, job: _Job, array: np.ndarray) -> None:
        """Read an image block by block into an array."""
        written = 0
        for block in image_blocks(job.image):
            if self.stopped:
                raise DataError("Reading was stopped.")
            region = dict(zip(job.image.axes, block, strict=True))
            pixels = job.image.read(region, axes=job.order)
            _check_finite(pixels, job)
            if array.dtype == np.int32 and abs(pixels).max(initial=0) >= 2**31:
                raise OverflowError
            # Zeros are there already.
            if not isinstance(array, np.memmap) or pixels.any():
                array[tuple(region.get(a, slice(None)) for a in job.order)] = pixels
            written += pixels.nbytes
            if written > _RELEASED_BYTES:
                release(array)
                written = 0


def _dtype(pixels: np.ndarray) -> np.dtype:
    """Return how pixels are kept: whole numbers may be labels, and stay exact."""
    if pixels.dtype.itemsize <= 4:
        return pixels.dtype
    whole = pixels.dtype.kind in "ui" and abs(pixels).max(initial=0) < 2**31
    return np.dtype(np.int32 if whole else np.float32)


def _check_finite(pixels: np.ndarray, job: _Job) -> None:
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return
    count = int(np.count_nonzero(~np.isfinite(pixels)))
    raise DataError(
        f"The {job.role.replace('_', ' ')} {job.image.name} has {count} pixels that "
        "are NaN or infinite: replace them (e.g. with numpy.nan_to_num) or choose "
        "another image."
    )


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
