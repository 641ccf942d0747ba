"""The objects of a prediction: from the image of the channels to that of the labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ConfigError
from napari_im2im.images.image import SPATIAL_AXES
from napari_im2im.inference.objects.decoding import OBJECT_TASKS, decode_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.objects.blocks import WritableArray
    from napari_im2im.inference.outputs import OutputLayout


def meaning_of_objects(
    config: PredictConfig, model: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return what the channels of a model stand for, if objects are to be separated.

    Parameters
    ----------
    config
        The prediction.
    model
        ``config.napari_im2im`` of the model.

    Raises
    ------
    ConfigError
        If test-time augmentation is wanted of a model whose channels have directions.
    """
    meaning = model.get("task") or {}
    if config.result == "raw" or meaning.get("name") not in OBJECT_TASKS:
        return None
    if config.test_time_augmentation and meaning["name"] == "embedding":
        raise ConfigError(
            "This model predicts where the centres of objects lie, which has no mean "
            "over flips and turns: switch test_time_augmentation off."
        )
    return dict(meaning)


def labels_layout(channels: OutputLayout, groups: int) -> OutputLayout:
    """Return the layout of the labels that are made of channels."""
    kept = [
        (axis, size, chunk)
        for axis, size, chunk in zip(
            channels.axes, channels.shape, channels.chunks, strict=True
        )
        if axis != "channel" or groups > 1
    ]
    return replace(
        channels,
        axes=tuple(axis for axis, _, _ in kept),
        shape=tuple(groups if axis == "channel" else size for axis, size, _ in kept),
        chunks=tuple(1 if axis == "channel" else chunk for axis, _, chunk in kept),
        dtype=np.dtype(np.int32),
        channel_names=(),
        channels=1,
        metadata={**channels.metadata, "kind": "labels"},
    )


def separate(
    maps: Any,
    channels: OutputLayout,
    labels: Any,
    final: OutputLayout,
    meaning: Mapping[str, Any],
    config: PredictConfig,
) -> Iterator[tuple[int, int]]:
    """Write the labels of all planes; objects are numbered anew in each.

    Parameters
    ----------
    maps, channels
        The result of the network, and its layout.
    labels, final
        The array to fill, and its layout.
    meaning
        What the channels stand for.
    config
        The prediction.

    Yields
    ------
    tuple of int
        How much is done, and of how much.
    """
    names = channels.spec.axis_names
    over = [a for a in final.axes if a not in names or a == "channel"]
    sizes = dict(zip(final.axes, final.shape, strict=True))
    planes = [
        dict(zip(over, position, strict=True))
        for position in product(*(range(sizes[axis]) for axis in over))
    ]
    for number, at in enumerate(planes):
        group = at.get("channel", 0)
        first = group * channels.channels
        source = _Plane(
            maps,
            channels.axes,
            {axis: i for axis, i in at.items() if axis != "channel"},
            slice(first, first + channels.channels),
        )
        for done, total in decode_blocks(
            source,
            meaning,
            _Plane(labels, final.axes, at),
            config.objects,
            device=_device(config),
        ):
            yield number * total + done, len(planes) * total


def _device(config: PredictConfig) -> str:
    """Return the device to cluster on."""
    if config.device != "auto":
        return config.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class _Plane:
    """The part of an array at fixed positions of some of its axes.

    Has the spatial axes, and before them the channels where they are given.
    """

    array: WritableArray
    axes: Sequence[str]
    at: Mapping[str, int]
    channels: slice | None = None

    @property
    def _sizes(self) -> dict[str, int]:
        return dict(zip(self.axes, self.array.shape, strict=True))

    @property
    def _space(self) -> list[str]:
        return [a for a in self.axes if a in SPATIAL_AXES and a not in self.at]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the axes that are left."""
        space = tuple(self._sizes[axis] for axis in self._space)
        if self.channels is None:
            return space
        return (self.channels.stop - self.channels.start, *space)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the array."""
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Chunks along the axes that are left, None where there are none."""
        chunks = getattr(self.array, "chunks", None)
        if chunks is None:
            return None
        by_axis = dict(zip(self.axes, chunks, strict=True))
        return tuple(by_axis[axis] for axis in self._space)

    def _key(self, key: tuple[slice, ...]) -> tuple[Any, ...]:
        parts: dict[str, Any] = dict(self.at)
        if self.channels is not None:
            parts["channel"], key = self.channels, key[1:]
        parts |= dict(zip(self._space, key, strict=True))
        return tuple(parts[axis] for axis in self.axes)

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        pixels: np.ndarray = np.asarray(self.array[self._key(key)])
        return pixels

    def __setitem__(self, key: tuple[slice, ...], value: np.ndarray) -> None:
        self.array[self._key(key)] = value
