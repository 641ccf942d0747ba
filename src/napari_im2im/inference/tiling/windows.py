"""Windows of pixels on which a network is run to see what its results depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.inference.tiling.geometry import continue_by_reflection, window_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.models.tensors import TensorSpec

Network = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
"""A network to measure: a `Runtime`, or any function of arrays."""

_WIDTH = {1: 1, 2: 32, 3: 16}
"""Of strips along the other axes, by the number of axes."""


@dataclass(frozen=True)
class Windows:
    """Windows of pixels like those of real images, to run a network on.

    Parameters
    ----------
    network
        The network.
    inputs, outputs
        Its tensors.
    geometry
        How their sizes depend on each other.
    samples
        Preprocessed tensors to take the pixels from, one for each input; without
        them they are normally distributed.
    """

    network: Network
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    geometry: ModelGeometry
    samples: Sequence[np.ndarray] | None = None

    def pixels(
        self, sizes: Mapping[str, int], seed: int, *, flipped: bool = False
    ) -> list[np.ndarray]:
        """Return noisy pixels for each input, of flipped samples if asked for."""
        generator = np.random.default_rng(seed)
        arrays = []
        for index, spec in enumerate(self.inputs):
            shape = window_shape(spec, self.geometry.inputs[index], sizes)
            noise = generator.standard_normal(shape, np.float32)
            if self.samples is not None:
                sample = np.asarray(self.samples[index], np.float32)
                base = continue_by_reflection(sample, spec, shape)
                base = np.flip(base) if flipped else base
                noise = base + noise * max(float(sample.std()), 1e-3)
            arrays.append(noise)
        return arrays

    def part(
        self, arrays: Sequence[np.ndarray], axis: str, start: int, stop: int
    ) -> list[np.ndarray]:
        """Return ``[start, stop)`` of each input along an axis of the geometry."""
        parts = []
        for spec, scales, array in zip(
            self.inputs, self.geometry.inputs, arrays, strict=True
        ):
            if axis in scales:
                scale = scales[axis].scale
                first, size = int(start * scale), scales[axis].size(stop - start)
                key = [slice(None)] * array.ndim
                key[spec.axis_names.index(axis)] = slice(first, first + size)
                array = array[tuple(key)]
            parts.append(np.ascontiguousarray(array))
        return parts

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the network; results are float64 and can't be confused with inputs."""
        return [np.array(output, np.float64) for output in self.network(arrays)]

    def along(self, differences: np.ndarray, output: int, axis: str) -> np.ndarray:
        """Return the largest difference at each position along an axis."""
        at = self.outputs[output].axis_names.index(axis)
        others = tuple(i for i in range(differences.ndim) if i != at)
        result: np.ndarray = np.abs(differences).max(axis=others)
        return result

    def tiled_outputs(self, axis: str) -> Iterator[int]:
        """Yield the outputs that have an axis."""
        for index, scales in enumerate(self.geometry.outputs):
            if axis in scales:
                yield index

    def window(self, axis: str, size: int) -> dict[str, int]:
        """Return a strip along an axis: narrow along the others."""
        narrow = _WIDTH.get(len(self.geometry.axes), 16)
        return {
            other: self.geometry.smallest(other, size if other == axis else narrow)
            for other in self.geometry.axes
        }
