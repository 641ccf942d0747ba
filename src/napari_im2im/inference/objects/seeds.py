"""Connected regions of an array that is larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari_im2im.inference.objects.blocks import Region, WritableArray


def label_regions(
    is_seed: Callable[[Region], np.ndarray],
    labels: WritableArray,
    blocks: Sequence[Region],
    smallest: int = 1,
) -> Generator[None, None, np.ndarray]:
    """Label what is connected by faces, and find out which labels are one region.

    Yields after each block.

    Parameters
    ----------
    is_seed
        Returns the mask of a region.
    labels
        Where the labels go, ``([z,] y, x)``, int32; a region that lies in several
        blocks has several.
    blocks
        Regions that cover the array.
    smallest
        Regions of fewer pixels are left out.

    Returns
    -------
    np.ndarray
        For each label that of its region, which is one of its own labels, or 0.
    """
    counts = [np.zeros(1, np.int64)]
    contacts: list[np.ndarray] = []
    total = 0
    for block in blocks:
        pieces, count = ndimage.label(is_seed(block))
        counts.append(np.bincount(pieces.ravel(), minlength=count + 1)[1:])
        pieces[pieces > 0] += total
        labels[block] = pieces
        total += count
        # Blocks come in order, so that what lies before this one is labelled.
        contacts += [
            _contacts(pieces, labels, block, axis)
            for axis, part in enumerate(block)
            if part.start > 0
        ]
        yield
    pairs = np.concatenate(contacts) if contacts else np.empty((0, 2), np.int64)
    graph = sparse.coo_array(
        (np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (total + 1, total + 1)
    )
    _, region = sparse.csgraph.connected_components(graph, directed=False)
    sizes = np.bincount(region, np.concatenate(counts))
    # The first label of a region names it.
    _, first = np.unique(region, return_index=True)
    names: np.ndarray = first[region].astype(np.int32)
    names[sizes[region] < smallest] = 0
    return names


def _contacts(
    pieces: np.ndarray, labels: WritableArray, block: Region, axis: int
) -> np.ndarray:
    """Return the pairs of labels that touch across the first face along an axis."""
    start = block[axis].start
    before = tuple(
        slice(start - 1, start) if i == axis else part for i, part in enumerate(block)
    )
    neighbours = np.asarray(labels[before])
    face = pieces.take([0], axis)
    touching = (neighbours > 0) & (face > 0)
    pairs = np.stack([neighbours[touching], face[touching]], axis=1)
    unique: np.ndarray = np.unique(pairs, axis=0)
    return unique
