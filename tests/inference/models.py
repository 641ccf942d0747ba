"""Models for tests: descriptions with networks of torch, without a package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.events import Event, PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_with
from napari_im2im.inference.tiling.geometry import model_geometry
from napari_im2im.inference.tiling.tiles import reflected_positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.networks import Network
    from napari_im2im.models.tensors import TensorSpec


@dataclass
class FakeModel:
    """What a prediction asks of a package."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    id: str = "fake"
    name: str = "fake model"
    sha256: str = "0" * 64
    config: Mapping[str, Any] = field(default_factory=dict)

    def test_inputs(self) -> list[np.ndarray]:
        raise AssertionError("nothing is left open by these descriptions")

    def test_outputs(self) -> list[np.ndarray]:
        raise AssertionError("nothing is left open by these descriptions")


@dataclass
class FakeRuntime:
    """A network as a runtime; notes the shapes that it was given."""

    network: Network
    engine: str = "torch"
    weights_format: str = "pytorch_state_dict"
    device: str = "cpu"
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        arrays = [array for array in inputs if array is not None]
        self.shapes.append(arrays[0].shape)
        return self.network(arrays)

    def close(self) -> None:
        """Nothing to free."""


def events_of(
    model: FakeModel, network: Network, image: Image | Sequence[Image], **config: Any
) -> list[Event]:
    images = [image] if isinstance(image, Image) else list(image)
    runtime = network if isinstance(network, FakeRuntime) else FakeRuntime(network)
    return list(predict_with(model, runtime, PredictConfig(**config), images))


def predicted(
    model: FakeModel, network: Network, image: Image | Sequence[Image], **config: Any
) -> np.ndarray:
    """Return the first output of a prediction."""
    finished = events_of(model, network, image, **config)[-1]
    assert isinstance(finished, PredictionFinished)
    return np.asarray(finished.outputs[0].data[...])


def whole(model: FakeModel, network: Network, pixels: np.ndarray) -> np.ndarray:
    """Return one forward of the padded image ``(batch, channel, ...)``, cropped."""
    geometry = model_geometry(model.inputs, model.outputs)
    crops = {}
    for at, axis in enumerate(model.inputs[0].axis_names):
        if axis in geometry.axes:
            size = pixels.shape[at]
            padded = geometry.smallest(axis, size)
            pixels = np.take(pixels, reflected_positions(0, padded, size), at)
            crops[axis] = slice(0, geometry.outputs[0][axis].size(size))
    result = network([np.ascontiguousarray(pixels)])[0]
    names = model.outputs[0].axis_names
    cropped: np.ndarray = result[tuple(crops.get(a, slice(None)) for a in names)]
    return cropped
