"""Statistics of whole images, measured before the first tile.

A step of a model that normalises by the mean, the standard deviation or percentiles
gets those of the whole image as it is after the steps before, whatever the tiles
are: over all of z and time too where the model itself is 2D, for each channel apart
where the model runs over channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.inference.processing.distributions import Sketch, ValueCounts
from napari_im2im.inference.processing.step_statistics import statistics_of
from napari_im2im.inference.processing.steps import apply, bind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.inference.processing.distributions import Distribution
    from napari_im2im.inference.processing.step_statistics import StatisticsNeeded
    from napari_im2im.inference.processing.steps import Operation
    from napari_im2im.inference.sources import Source
    from napari_im2im.models.tensors import Step


class WholeTensor:
    """A tensor whose statistics are asked for, possibly more than once.

    Images of 8 or 16 bits are read once only: how often each value occurs says
    everything.

    Parameters
    ----------
    pixels
        The raw pixels.
    """

    def __init__(self, pixels: Source) -> None:
        self._pixels = pixels
        self._counts: tuple[np.ndarray, np.ndarray] | None = None
        self._few_values: bool | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes of the tensor."""
        return self._pixels.axes

    def distributions(
        self, per_channel: bool, before: Sequence[Operation] = (), mixing: bool = False
    ) -> list[Distribution]:
        """Measure the pixels after some steps.

        Parameters
        ----------
        per_channel
            Whether each channel is measured apart.
        before
            The steps that come first.
        mixing
            Whether these combine channels, as softmax does.

        Returns
        -------
        list of Distribution
            One, or one for each channel.
        """
        if not mixing:
            counted = self._count()
            if counted is not None:
                return _of_counts(*counted, self.axes, per_channel, before)
        sketches: list[Sketch] = []
        for block in self._pixels.blocks():
            values = apply(before, block)
            parts = self._channels(values) if per_channel else [values]
            sketches += [Sketch() for _ in range(len(parts) - len(sketches))]
            for sketch, part in zip(sketches, parts, strict=True):
                sketch.add(part)
        return list(sketches)

    def _channels(self, values: np.ndarray) -> Sequence[np.ndarray]:
        if "channel" not in self.axes:
            return [values]
        axis = self.axes.index("channel") - len(self.axes)
        return list(np.moveaxis(values, axis, 0))

    def _count(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the possible values, and how often each channel has them."""
        if self._few_values is None:
            first = next(self._pixels.blocks())
            self._few_values = first.dtype.kind in "iu" and first.dtype.itemsize <= 2
        if not self._few_values:
            return None
        if self._counts is None:
            counts: np.ndarray | None = None
            for block in self._pixels.blocks():
                limits = np.iinfo(block.dtype)
                n = limits.max - limits.min + 1
                found = np.stack(
                    [
                        np.bincount(part.ravel().astype(np.intp) - limits.min, None, n)
                        for part in self._channels(block)
                    ]
                )
                counts = found if counts is None else counts + found
                values = np.arange(limits.min, limits.max + 1).astype(block.dtype)
            assert counts is not None
            used = counts.any(axis=0)
            self._counts = values[used], counts[:, used]
        return self._counts


def _of_counts(
    values: np.ndarray,
    counts: np.ndarray,
    axes: tuple[str, ...],
    per_channel: bool,
    before: Sequence[Operation],
) -> list[Distribution]:
    """Send each possible value through the steps, instead of each pixel."""
    last = max(i for i, axis in enumerate(axes) if axis != "channel")
    shape = [1] * len(axes)
    shape[last] = len(values)
    table = values.reshape(shape)
    if "channel" in axes:
        channel = axes.index("channel")
        table = np.repeat(table, len(counts), channel)
        table = np.moveaxis(apply(before, table), channel, 0)
    else:
        table = apply(before, table)
    rows = table.reshape(len(counts), -1)
    if not per_channel:
        return [ValueCounts(rows, counts)]
    return [ValueCounts(r, c) for r, c in zip(rows, counts, strict=True)]


def bind_steps(
    steps: Sequence[Step],
    tensor: WholeTensor,
    where: str,
    *,
    references: Mapping[str, WholeTensor] | None = None,
    as_bioimageio_core: bool = False,
) -> list[Operation]:
    """Turn the steps of a tensor into functions, measuring what they need.

    Parameters
    ----------
    steps
        The steps, in order.
    tensor
        The whole tensor before the first of them.
    where
        What to call it in sentences, e.g. ``"the input raw"``.
    references
        The raw inputs by id.
    as_bioimageio_core
        Repeat what bioimageio.core 0.11 does: statistics of the raw tensor whatever
        steps come first, and an `eps` of 1e-6 whatever the model says.

    Raises
    ------
    ModelError
        If a step can't be done.
    ImageError
        If the image can't be read or isn't finite.
    """
    operations: list[Operation] = []
    mixing = False
    for step in steps:
        needed = statistics_of(step)
        own: list[Distribution] = []
        reference: list[Distribution] = []
        if needed is not None:
            per_channel = needed.per_channel(tensor.axes, where)
            before = () if as_bioimageio_core else operations
            if needed.own:
                own = tensor.distributions(per_channel, before, mixing)
            reference = _reference(needed, references or {}, where)
        if as_bioimageio_core and step.id in ("zero_mean_unit_variance", "scale_range"):
            step = type(step)(step.id, {**step.kwargs, "eps": 1e-6})
        operations.append(bind(step, tensor.axes, own, reference))
        mixing = mixing or step.id == "softmax"
    return operations


def _reference(
    needed: StatisticsNeeded, references: Mapping[str, WholeTensor], where: str
) -> list[Distribution]:
    if needed.reference is None:
        return []
    if needed.reference not in references:
        raise ModelError(
            f"{where} is normalised like the tensor {needed.reference!r}, which is no "
            "input of this model: its description is wrong."
        )
    tensor = references[needed.reference]
    return tensor.distributions(needed.per_channel(tensor.axes, where))
