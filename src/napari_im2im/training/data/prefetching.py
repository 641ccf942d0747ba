"""Cutting out the next patches while the network learns."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.training.data.array_cache import release

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.data.sampling import Batch, PatchSampler
    from napari_im2im.training.data.unpaired import UnpairedSampler

_AHEAD = 4
"""Batches that are ready before they are asked for."""

_TOUCHED_BYTES = 500_000_000
"""About so much of mapped files stays in memory."""

_ROW_BYTES = 2**16
"""What the system maps where one row of a patch is read."""


class Prefetcher:
    """Draws batches in a thread, a few ahead of the one that is asked for.

    The thread ends with the object.

    Parameters
    ----------
    sampler
        What draws them; batch n is the same whoever asks for it, and when.
    """

    def __init__(self, sampler: PatchSampler | UnpairedSampler) -> None:
        self.sampler = sampler
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="im2im-patches")
        self._coming: dict[int, Future[Batch]] = {}
        self._draw = _Drawer(sampler)

    def batch(self, index: int) -> Batch:
        """Return batch ``index``, and begin with those behind it."""
        for number in range(index, index + 1 + _AHEAD):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._draw, number)
        for number in [n for n in self._coming if not index <= n <= index + _AHEAD]:
            self._coming.pop(number).cancel()
        return self._coming[index].result()


class _Drawer:
    """Draws batches, and gives back the memory of mapped files now and then."""

    def __init__(self, sampler: PatchSampler | UnpairedSampler) -> None:
        self._sampler = sampler
        # Several samples may lie in one file.
        self._mapped = {id(a._mmap): a for a in _mapped(sampler.samples)}  # type: ignore[attr-defined]
        rows = sampler.batch_size * int(np.prod(sampler.patch[:-1]))
        first = sampler.samples[0]
        channels = len(first.input) + len(first.target)
        self._bytes = rows * channels * _ROW_BYTES
        self._touched = 0

    def __call__(self, index: int) -> Batch:
        batch = self._sampler.batch(index)
        self._touched += self._bytes
        if self._mapped and self._touched > _TOUCHED_BYTES:
            for array in self._mapped.values():
                release(array)
            self._touched = 0
        return batch


def _mapped(samples: Sequence[Sample]) -> Iterator[np.memmap]:
    for sample in samples:
        for array in (sample.input, sample.target, sample.weight):
            if isinstance(array, np.memmap):
                yield array
