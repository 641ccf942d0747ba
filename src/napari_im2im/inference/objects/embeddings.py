"""Objects from spatial embeddings, by clustering (EmbedSeg)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.inference.objects.blocks import widened, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from napari_im2im.inference.objects.blocks import Array, Region, WritableArray

_INSIDE = math.log(2)
"""Squared distance, in bandwidths, at which belonging falls to one half."""


@dataclass(frozen=True)
class Clustering:
    """How embeddings become objects.

    The surest seed that is left is the centre of an object: all pixels whose
    embedding lies within its bandwidth belong to it with more than one half,
    ``exp(-sum((embedding - centre)² / bandwidth²))``.

    Parameters
    ----------
    foreground
        Sureness from which a pixel belongs to an object.
    seed
        Sureness from which a pixel can be a centre.
    smallest
        Objects of fewer pixels are ignored.
    margin
        How many pixels around a block are looked at, along each axis. Twice the
        largest object makes the result that of the whole image.
    device
        Where to compute, e.g. ``"cuda"``.

    References
    ----------
    Lalit et al. 2021, EmbedSeg, https://arxiv.org/abs/2101.10033; Neven et al. 2019,
    https://arxiv.org/abs/1906.11109
    """

    foreground: float = 0.5
    seed: float = 0.7
    smallest: int = 1
    margin: tuple[int, ...] = ()
    device: str = "cpu"

    def decode(
        self, maps: Array, labels: WritableArray, blocks: Sequence[Region]
    ) -> Iterator[None]:
        """Write the objects, numbered in any way; yields once for each block.

        Parameters
        ----------
        maps
            ``(c, [z,] y, x)``: for each axis the offset from a pixel to the centre of
            its object, then for each axis the bandwidth, both in pixels, at last how
            sure it is that the pixel is near a centre, 0 to 1.
        labels
            Labels ``([z,] y, x)``, int32.
        blocks
            Regions that cover it.
        """
        for block in blocks:
            labels[block] = 0
        total = 0
        for block in blocks:
            crop = widened(block, self.margin or (64,) * len(block), labels.shape)
            values = np.asarray(maps[(slice(None), *crop)], np.float32)
            found = self._cluster(values, within(block, crop))
            objects = found > 0
            if objects.any():
                known = np.asarray(labels[crop])
                found[objects] += total
                labels[crop] = np.where(known > 0, known, found)
                total = int(found.max())
            yield

    def _cluster(self, values: np.ndarray, core: Region) -> np.ndarray:
        """Return the objects of a part whose centre lies in its core, from 1."""
        import torch

        maps = torch.from_numpy(values).to(self.device)
        count, shape = len(core), maps.shape[1:]
        foreground = maps[-1] > self.foreground
        offset, bandwidth = maps[:count], maps[count : 2 * count].clamp(min=0.5)
        result = torch.zeros(shape, dtype=torch.int32, device=maps.device)
        candidates = _by_sureness(maps[-1], foreground & (maps[-1] > self.seed))
        most = _most_members(offset, bandwidth, foreground, candidates)
        candidates = candidates[most >= self.smallest]
        if not len(candidates):
            return result.cpu().numpy()
        reach = offset[:, foreground].abs().amax(dim=1).tolist()
        free, total = foreground.clone(), 0
        while len(candidates := candidates[free.view(-1)[candidates]]):
            first = int(candidates[0])
            place = np.unravel_index(first, shape)
            seed = tuple(int(i) for i in place)
            pointing = offset.flatten(1)[:, first].tolist()
            width = bandwidth.flatten(1)[:, first].tolist()
            window = _window(seed, pointing, width, reach, shape)
            belongs = _inside(offset, window, seed, pointing, width)
            belongs &= foreground[window]
            size, new = _counts(belongs, free[window])
            free[seed] = False
            if size < self.smallest:
                continue
            if 2 * new > size and _holds(core, seed):
                total += 1
                result[window][belongs & free[window]] = total
                result[seed] = total
            free[window] &= ~belongs
        return result.cpu().numpy()


def _inside(
    offset: torch.Tensor,
    window: Region,
    seed: Sequence[int],
    pointing: Sequence[float],
    width: Sequence[float],
) -> torch.Tensor:
    """Return the pixels of a window whose embedding lies near that of a seed."""
    import torch

    apart = torch.zeros((), device=offset.device)
    for axis, part in enumerate(window):
        # From the seed on, so that the result is the same in any part.
        steps = torch.arange(part.start, part.stop, device=offset.device)
        steps = (steps - seed[axis]).view(-1, *(1 for _ in seed[axis + 1 :]))
        shift = offset[axis][window] - pointing[axis] + steps
        apart = apart + (shift / width[axis]).square()
    return apart < _INSIDE


def _by_sureness(sureness: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Return the indices of pixels, the surest first, equal ones in reading order."""
    indices = allowed.flatten().nonzero()[:, 0]
    order = sureness.flatten()[indices].argsort(descending=True, stable=True)
    return indices[order]


def _most_members(
    offset: torch.Tensor,
    bandwidth: torch.Tensor,
    foreground: torch.Tensor,
    candidates: torch.Tensor,
) -> torch.Tensor:
    """Return how many pixels may belong to each candidate, if it were a centre.

    Embeddings are counted in cells of one pixel, and in the box of cells around a
    candidate. Where a network is unsure, most candidates have next to none, and
    looking at each of them would take hours.
    """
    import torch

    shape, places, low, high = foreground.shape, [], [], []
    members = foreground.flatten().nonzero()[:, 0]
    for axis, size in enumerate(shape):
        column = [-1 if i == axis else 1 for i in range(len(shape))]
        steps = torch.arange(size, device=offset.device).view(column)
        embedding = (offset[axis] + steps).flatten()
        radius = bandwidth[axis].flatten()[candidates] * math.sqrt(_INSIDE)
        centre = embedding[candidates]
        # What points out of the part is counted at its border, by both.
        low.append((centre - radius).floor().clamp(0, size - 1).long())
        high.append((centre + radius).floor().clamp(0, size - 1).long() + 1)
        places.append(embedding[members].floor().clamp(0, size - 1).long() + 1)
    cells = members.new_zeros([size + 1 for size in shape])
    cells.index_put_(tuple(places), members.new_ones(()), accumulate=True)
    for axis in range(len(shape)):
        cells = cells.cumsum(axis)
    total = torch.zeros_like(candidates)
    for corner in product((0, 1), repeat=len(shape)):
        ends = [(a, b)[i] for i, a, b in zip(corner, low, high, strict=True)]
        sign = (-1) ** (len(shape) - sum(corner))
        total += sign * cells[tuple(ends)]
    return total


def _holds(region: Region, place: Sequence[int]) -> bool:
    return all(p.start <= i < p.stop for i, p in zip(place, region, strict=True))


def _counts(belongs: torch.Tensor, free: torch.Tensor) -> tuple[int, int]:
    """Return how many pixels belong to an object, and how many of them are free."""
    import torch

    size, new = torch.stack([belongs.sum(), (belongs & free).sum()]).tolist()
    return size, new


def _window(
    seed: Sequence[int],
    pointing: Sequence[float],
    width: Sequence[float],
    reach: Sequence[float],
    shape: Sequence[int],
) -> Region:
    """Return the region that all pixels of an object lie in, its seed included."""
    parts = []
    for place, to, w, r, size in zip(seed, pointing, width, reach, shape, strict=True):
        radius = w * math.sqrt(_INSIDE) + r
        start = min(place, math.floor(place + to - radius))
        stop = max(place, math.ceil(place + to + radius)) + 1
        parts.append(slice(max(0, start), min(size, stop)))
    return tuple(parts)
