"""From the channels of a network to labels, whatever the size of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.inference.objects.blocks import MOST_PIXELS, cut_blocks
from napari_im2im.inference.objects.config import ObjectsConfig
from napari_im2im.inference.objects.numbering import renumber

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_im2im.inference.objects.blocks import Array, WritableArray
    from napari_im2im.inference.objects.embeddings import Clustering
    from napari_im2im.inference.objects.watershed import Watershed

OBJECT_TASKS = frozenset({"instances", "embedding"})
"""Names of the tasks whose channels stand for objects."""


def decode(
    maps: Array,
    meaning: Mapping[str, Any],
    options: ObjectsConfig | None = None,
    *,
    device: str = "cpu",
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """Return the objects that a network sees.

    Parameters
    ----------
    maps
        What the network says, ``(c, [z,] y, x)``, after its postprocessing: a numpy,
        zarr or dask array.
    meaning
        What the channels stand for: ``config.napari_im2im.task`` of the package.
    options
        What to do differently.
    device
        Where embeddings are clustered.
    most_pixels
        Pixels that are decoded at once.

    Returns
    -------
    np.ndarray
        Labels ``([z,] y, x)``, int32, from 1 in the order of their first pixels.

    Raises
    ------
    ModelError
        If the channels have another meaning, or their number is wrong.
    """
    labels = np.zeros(maps.shape[1:], np.int32)
    for _ in decode_blocks(
        maps, meaning, labels, options, device=device, most_pixels=most_pixels
    ):
        pass
    return labels


def decode_blocks(
    maps: Array,
    meaning: Mapping[str, Any],
    labels: WritableArray,
    options: ObjectsConfig | None = None,
    *,
    device: str = "cpu",
    most_pixels: int = MOST_PIXELS,
) -> Iterator[tuple[int, int]]:
    """Write the objects that a network sees, block by block; see `decode`.

    Memory depends on the size of a block and on the number of objects, not on the
    size of the image; the labels don't depend on the blocks.

    Parameters
    ----------
    labels
        Where the labels go, ``([z,] y, x)``, int32: a numpy or zarr array.

    Yields
    ------
    tuple of int
        How much is done, and of how much.
    """
    settings = options or ObjectsConfig()
    decoder, smallest = _decoder(meaning, settings, maps.shape, device)
    blocks = cut_blocks(labels.shape, getattr(labels, "chunks", None), most_pixels)
    passes = 1 if meaning["name"] == "embedding" else 2
    total = (passes + 2) * len(blocks)
    done = 0
    for steps in (
        decoder.decode(maps, labels, blocks),
        renumber(labels, blocks, smallest),
    ):
        for _ in steps:
            done += 1
            yield done, total


def _decoder(
    meaning: Mapping[str, Any],
    options: ObjectsConfig,
    shape: tuple[int, ...],
    device: str,
) -> tuple[Watershed | Clustering, int]:
    """Return what decodes, and the pixels of the smallest object."""
    from napari_im2im.inference.objects.embeddings import Clustering
    from napari_im2im.inference.objects.watershed import Watershed

    name = meaning.get("name")
    count = len(shape) - 1
    expected = {"instances": (2, 3), "embedding": (2 * count + 1,)}.get(str(name))
    if expected is None or shape[0] not in expected:
        raise ModelError(
            f"This model's channels stand for {name!r}, which isn't known here: "
            "update napari-im2im, or predict its channels (raw)."
        )
    foreground = options.foreground or float(meaning.get("foreground", 0.5))
    smallest = options.smallest or int(meaning.get("smallest", 1))
    if name == "instances":
        seed = options.seed or float(meaning.get("seed", 0.5))
        smallest_seed = int(meaning.get("smallest_seed", 1))
        return Watershed(foreground, seed, smallest_seed), smallest
    seed = options.seed or float(meaning.get("seed", 0.7))
    extent = [int(size) for size in meaning["extent"]]
    margin = tuple(2 * size for size in extent)
    return Clustering(foreground, seed, smallest, margin, device), smallest
