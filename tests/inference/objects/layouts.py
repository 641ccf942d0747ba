"""Random objects, and what a good network would say about them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import relabel_sequential


class Chunked:
    """An array that says that it is stored in chunks, as zarr's do."""

    def __init__(self, array: np.ndarray, chunk: int) -> None:
        self.array, self.chunks = array, (chunk,) * array.ndim
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        return self.array[key]

    def __setitem__(self, key, value):
        self.array[key] = value


def blobs(shape, count, seed=0, radius=(3, 6)) -> np.ndarray:
    """Return ellipsoids that may touch and cut each other, from 1 without gaps."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for label in range(1, count + 1):
        centre = [random.uniform(0, size) for size in shape]
        radii = [random.uniform(*radius) for _ in shape]
        apart = sum(
            ((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)
        )
        labels[apart < 1] = label
    return relabel_sequential(labels)[0].astype(np.int32)


def smooth_maps(shape, sigma, seed=0, levels=None) -> np.ndarray:
    """Return foreground and boundary of no object in particular, ``(2, …)``."""
    random = np.random.default_rng(seed)
    maps = [ndimage.gaussian_filter(random.random(shape), sigma) for _ in range(2)]
    maps = [(m - m.min()) / np.ptp(m) for m in maps]
    maps[0] = np.clip(1.4 * maps[0], 0, 1)
    array = np.stack(maps).astype(np.float32)
    return array if levels is None else np.round(array * levels) / np.float32(levels)


def embeddings_of(labels: np.ndarray, seed=0, noise=0.4) -> np.ndarray:
    """Return offsets, bandwidths and seeds that lead to the labels."""
    random = np.random.default_rng(seed)
    count, grid = labels.ndim, np.indices(labels.shape)
    maps = np.zeros((2 * count + 1, *labels.shape), np.float32)
    maps[count : 2 * count] = 2
    for label in range(1, labels.max() + 1):
        inside = labels == label
        centre = grid[:, inside].mean(axis=1, keepdims=True)
        shift = random.normal(0, noise, (count, inside.sum()))
        maps[:count, inside] = centre + shift - grid[:, inside]
        near = np.exp(-(shift**2).sum(axis=0) / 4)
        maps[-1, inside] = 0.75 + 0.25 * near
    return maps
