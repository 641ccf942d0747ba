"""One tile's way from the image through the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.inference.augmentation import Orientation, mean_and_std
from napari_im2im.inference.processing.steps import Operation, apply
from napari_im2im.inference.tiling.scales import scaled_core
from napari_im2im.inference.tiling.tiles import Tile, split_tile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.inference.matching import Matching, Plane
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.tiles import AxisGeometry
    from napari_im2im.models.tensors import TensorSpec

Network = Callable[[Sequence["np.ndarray | None"]], list[np.ndarray]]
Keep = list[list[slice]]
"""For each output the part that is kept of it, by tiled axis."""


@dataclass(frozen=True)
class Job:
    """One tile of one plane, or of several that go through the network together."""

    planes: tuple[Plane, ...]
    tile: Tile

    @property
    def key(self) -> str:
        """Name of the job in the journal: planes and cores."""
        planes = ",".join(
            ".".join(map(str, (plane.group, *plane.at.values())))
            for plane in self.planes
        )
        cores = ",".join(f"{t.core_start}-{t.core_stop}" for t in self.tile.values())
        return f"{planes} {cores}"


@dataclass(frozen=True)
class Prepared:
    """The preprocessed inputs of a job, and what is kept of its outputs."""

    arrays: list[np.ndarray | None]
    keep: Keep


@dataclass(frozen=True)
class Computed:
    """What the network made of a job: results, and their spread if it was asked for."""

    results: list[np.ndarray]
    spreads: list[np.ndarray] | None = None


@dataclass(frozen=True)
class TileRunner:
    """Reads, preprocesses and computes tiles.

    Parameters
    ----------
    network
        The runtime.
    inputs, outputs
        Tensors of the model.
    geometry
        How their sizes depend on each other.
    matching
        What the inputs read.
    preprocessing
        For each group of channels and each input the bound steps.
    heads
        For each output the bound steps that can be averaged.
    smaller
        How the axes are cut where memory is short, halo included; empty if
        smaller tiles would give another result.
    smallest
        Smallest core that is left by that, by axis.
    orientations
        Test-time augmentation; empty for none.
    part
        Computes the kept part of the outputs alone, where that saves something.
    wanted
        Says whether a job is worth computing; None: all are.
    """

    network: Network
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    geometry: ModelGeometry
    matching: Matching
    preprocessing: Sequence[Sequence[Sequence[Operation]]]
    heads: Sequence[Sequence[Operation]]
    smaller: Callable[[], Mapping[str, AxisGeometry]] = dict
    smallest: Mapping[str, int] = field(default_factory=dict)
    orientations: Sequence[Orientation] = ()
    part: Callable[[Sequence[np.ndarray | None], Keep], list[np.ndarray]] | None = None
    wanted: Callable[[Job], bool] | None = None

    def prepare(self, job: Job) -> Prepared | None:
        """Read and preprocess the inputs of a job, unless nothing of it is wanted."""
        if self.wanted is not None and not self.wanted(job):
            return None
        keep = [
            [
                scaled_core(job.tile[axis], scale, self.matching.sizes[axis])[1]
                for axis, scale in scales.items()
            ]
            for scales in self.geometry.outputs
        ]
        return Prepared(self.read(job), keep)

    def read(self, job: Job) -> list[np.ndarray | None]:
        """Read and preprocess the inputs of a job, without saying what is kept."""
        arrays: list[np.ndarray | None] = []
        for index, spec in enumerate(self.inputs):
            planes = [self._plane(index, plane, job.tile) for plane in job.planes]
            found = [plane for plane in planes if plane is not None]
            if not found:
                arrays.append(None)
            elif len(found) == 1:
                arrays.append(found[0])
            else:
                arrays.append(np.concatenate(found, spec.axis_names.index("batch")))
        return arrays

    def _plane(self, index: int, plane: Plane, tile: Tile) -> np.ndarray | None:
        source = self.matching.sources[plane.group][index]
        if source is None:
            return None
        region = {
            axis: slice(position, position + 1)
            for axis, position in plane.at.items()
            if axis in source.image.axes
        }
        for axis, scale in self.geometry.inputs[index].items():
            start = math.floor(tile[axis].start * scale.scale)
            region[axis] = slice(start, start + scale.size(tile[axis].size))
        pixels = source.read_padded(region)
        extra = pixels.ndim - len(source.axes)
        pixels = pixels.reshape(pixels.shape[extra:])
        pixels = apply(self.preprocessing[plane.group][index], pixels)
        given = [step.id for step in self.inputs[index].steps]
        if "ensure_dtype" not in given:
            pixels = pixels.astype(np.float32, copy=False)
        return np.ascontiguousarray(pixels)

    def compute(self, prepared: Prepared) -> Computed:
        """Run the network, on all orientations if there are some."""
        arrays = prepared.arrays
        if not self.orientations:
            if self.part is None:
                return Computed(self._checked(arrays))
            return Computed(self._partial(self.part, prepared))
        results: list[list[np.ndarray]] = [[] for _ in self.outputs]
        for orientation in self.orientations:
            turned = [
                None if array is None else orientation.apply(array, spec.axis_names)
                for array, spec in zip(arrays, self.inputs, strict=True)
            ]
            for index, output in enumerate(self._checked(turned)):
                axes = self.outputs[index].axis_names
                upright = orientation.undo(output, axes)
                results[index].append(apply(self.heads[index], upright))
        pairs = [mean_and_std(found) for found in results]
        return Computed([mean for mean, _ in pairs], [std for _, std in pairs])

    def _checked(self, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        outputs = self.network(arrays)
        sizes = {}
        for spec, array, scales in zip(
            self.inputs, arrays, self.geometry.inputs, strict=True
        ):
            for axis, scale in scales.items():
                if array is not None and scale.scale == 1 and scale.offset == 0:
                    sizes[axis] = array.shape[spec.axis_names.index(axis)]
        for index, (spec, output) in enumerate(zip(self.outputs, outputs, strict=True)):
            for axis, scale in self.geometry.outputs[index].items():
                got = output.shape[spec.axis_names.index(axis)]
                if axis in sizes and got != scale.size(sizes[axis]):
                    raise ModelError(
                        f"This model made {got} pixels of {sizes[axis]} along {axis} "
                        f"of {spec.id!r}, but its description promises "
                        f"{scale.size(sizes[axis])}: the description is wrong."
                    )
        return list(outputs)

    def _partial(
        self,
        part: Callable[[Sequence[np.ndarray | None], Keep], list[np.ndarray]],
        prepared: Prepared,
    ) -> list[np.ndarray]:
        """Return outputs of full size with zeros around what is kept."""
        sizes: dict[str, int] = {}
        for spec, array in zip(self.inputs, prepared.arrays, strict=True):
            if array is not None:
                sizes |= dict(zip(spec.axis_names, array.shape, strict=True))
        whole = [
            [slice(0, scale.size(sizes[axis])) for axis, scale in scales.items()]
            for scales in self.geometry.outputs
        ]
        if prepared.keep == whole:
            return self._checked(prepared.arrays)
        outputs = []
        for kept, region, full in zip(
            part(prepared.arrays, prepared.keep), prepared.keep, whole, strict=True
        ):
            shape = (*kept.shape[:2], *(size.stop for size in full))
            output = np.zeros(shape, kept.dtype)
            output[(slice(None), slice(None), *region)] = kept
            outputs.append(output)
        return outputs

    def split(self, job: Job) -> list[Job]:
        """Cut a job into two with less memory; alone if that can't be done."""
        if len(job.planes) > 1:
            middle = len(job.planes) // 2
            return [
                replace(job, planes=job.planes[:middle]),
                replace(job, planes=job.planes[middle:]),
            ]
        axes = self.smaller()
        if not axes:
            return [job]
        tiles = split_tile(job.tile, axes, self.smallest)
        return [replace(job, tile=tile) for tile in tiles]

    def cost(self, job: Job) -> int:
        """Return the pixels that go through the network."""
        return len(job.planes) * math.prod(t.size for t in job.tile.values())


def remaining(
    jobs: Sequence[Job], done: set[str], split: Callable[[Job], list[Job]]
) -> list[Job]:
    """Return what is left of jobs of which parts may be done.

    Parameters
    ----------
    jobs
        All jobs.
    done
        Keys of those that are written, or of the parts that they were cut into.
    split
        How jobs are cut.
    """
    left = [job for job in jobs if job.key not in done]
    if done <= {job.key for job in jobs}:
        return left
    result: list[Job] = []
    for job in left:
        if any(part.key in done for part in _parts(job, split)):
            result += remaining(split(job), done, split)
        else:
            result.append(job)
    return result


def _parts(job: Job, split: Callable[[Job], list[Job]]) -> list[Job]:
    """Return all smaller jobs that a job can be cut into, at every level."""
    parts = split(job)
    if len(parts) == 1:
        return []
    return [*parts, *(small for part in parts for small in _parts(part, split))]
