"""Which tiles of an image are worth predicting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.images.image import Image
    from napari_im2im.inference.jobs import Job
    from napari_im2im.inference.matching import Matching


@dataclass(frozen=True)
class Selection:
    """Says of each tile whether there is something to predict.

    Parameters
    ----------
    matching
        What the inputs read.
    mask
        An image that isn't 0 where a result is wanted; None: everywhere.
    skip_empty
        Whether tiles are left out of which the whole image is 0. Chunks of a Zarr
        array that were never written are 0, and cost no reading.
    """

    matching: Matching
    mask: Image | None = None
    skip_empty: bool = False

    def __post_init__(self) -> None:
        if self.mask is None:
            return
        sizes = {**self.matching.over, **self.matching.sizes}
        for axis, size in self.mask.sizes.items():
            if axis != "channel" and size != sizes.get(axis):
                raise ConfigError(
                    f"The mask {self.mask.name} has {size} pixels along {axis}, but "
                    f"the image has {sizes.get(axis, 1)}: choose a mask of its size."
                )

    def __call__(self, job: Job) -> bool:
        """Return whether a job has pixels that are wanted."""
        cores = {axis: part.core for axis, part in job.tile.items()}
        for plane in job.planes:
            at = {axis: slice(i, i + 1) for axis, i in plane.at.items()}
            region = {**cores, **at}
            if self._masked(region) and not self._empty(plane.group, region):
                return True
        return False

    def _masked(self, region: Mapping[str, slice]) -> bool:
        if self.mask is None:
            return True
        axes = self.mask.axes
        parts = {axis: part for axis, part in region.items() if axis in axes}
        return bool(self.mask.read(parts).any())

    def _empty(self, group: int, region: Mapping[str, slice]) -> bool:
        """Return whether the first input has nothing there, if that matters."""
        if not self.skip_empty:
            return False
        source = next(s for s in self.matching.sources[group] if s is not None)
        image = source.image
        parts = {axis: part for axis, part in region.items() if axis in image.axes}
        return not source.read(parts).any()
