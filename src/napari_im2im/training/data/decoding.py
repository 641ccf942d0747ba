"""Reading the pixels of a training: into memory, or to where patches are read from."""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.events import Progress
from napari_im2im.images.blocks import image_blocks
from napari_im2im.images.identity import identity
from napari_im2im.training.data.array_cache import ArrayCache, release

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_im2im.images.image import Image

Role = Literal["input", "target", "cost_map"]

JobKey = tuple[Any, ...]
"""Tells an image in an order of axes from all others."""

IN_MEMORY_BYTES = 500_000_000
"""Sets up to this size are read into memory each time."""

_RELEASED_BYTES = 2**25
"""So much may be written before its memory is given back."""

_READERS = 4


@dataclass(frozen=True)
class ReadingJob:
    """One image to be read, with its axes in an order that makes samples."""

    image: Image
    role: Role
    order: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis of the order."""
        return tuple(self.image.sizes.get(axis, 1) for axis in self.order)

    @property
    def bytes(self) -> int:
        """Size of the decoded pixels; nothing for those that are in memory."""
        if isinstance(self.image.data, np.ndarray):
            return 0
        return math.prod(self.shape) * min(self.image.dtype.itemsize, 4)


def read_all(
    jobs: Mapping[JobKey, ReadingJob], cache_gigabytes: float
) -> Generator[Progress, None, dict[JobKey, np.ndarray]]:
    """Read images, several at once; large sets through a cache on disk.

    Parameters
    ----------
    jobs
        What to read.
    cache_gigabytes
        Most space that all decoded images may take.

    Yields
    ------
    Progress
        After each image that isn't in memory.

    Returns
    -------
    dict
        For each job an array with five axes in its order.

    Raises
    ------
    DataError
        If pixels are not finite, or the cache is too small.
    ImageError
        If a file can't be decoded.
    """
    total = sum(job.bytes for job in jobs.values())
    cache = None
    if total > IN_MEMORY_BYTES:
        cache = ArrayCache(int(cache_gigabytes * 1e9))
    reader = _Reader(cache)
    reader.make_room(list(jobs.values()))
    arrays: dict[JobKey, np.ndarray] = {}
    workers = min(_READERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="im2im-read")
    try:
        futures: dict[Future[np.ndarray], JobKey] = {
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

    def make_room(self, jobs: Sequence[ReadingJob]) -> None:
        """See that what isn't decoded yet fits."""
        if self.cache is not None:
            missing = [job for job in jobs if self._find(job) is None]
            if missing:
                self.cache.make_room(sum(job.bytes for job in missing))

    def read(self, job: ReadingJob) -> np.ndarray:
        """Return the pixels of an image, with five axes in the job's order."""
        if isinstance(job.image.data, np.ndarray):
            pixels = job.image.read(axes=job.order)
            _check_finite(pixels, job)
            return pixels.astype(_dtype(pixels), copy=False)
        array = self._find(job)
        return self._decode(job) if array is None else array

    def _find(self, job: ReadingJob) -> np.ndarray | None:
        name = None if self.cache is None else self._name(job)
        return None if self.cache is None or name is None else self.cache.find(name)

    def _name(self, job: ReadingJob) -> str | None:
        known = identity(job.image)
        order = "".join(axis[0] for axis in job.order)
        return None if known is None else f"{known[:40]}-{order}"

    def _decode(self, job: ReadingJob) -> np.ndarray:
        dtype = job.image.dtype
        if dtype.itemsize <= 4:
            return self._fill(job, dtype.newbyteorder("="))
        if dtype.kind in "ui":
            with contextlib.suppress(OverflowError):
                return self._fill(job, np.dtype(np.int32))
        return self._fill(job, np.dtype(np.float32))

    def _fill(self, job: ReadingJob, dtype: np.dtype) -> np.ndarray:
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

    def _copy(self, job: ReadingJob, array: np.ndarray) -> None:
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


def _check_finite(pixels: np.ndarray, job: ReadingJob) -> None:
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return
    count = int(np.count_nonzero(~np.isfinite(pixels)))
    raise DataError(
        f"The {job.role.replace('_', ' ')} {job.image.name} has {count} pixels that "
        "are NaN or infinite: replace them (e.g. with numpy.nan_to_num) or choose "
        "another image."
    )
