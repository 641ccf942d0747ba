"""Which statistics the steps of a model need of whole images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.tensors import Step


@dataclass(frozen=True)
class StatisticsNeeded:
    """Which statistics a step wants of its tensor, and of a reference tensor.

    ``axes`` are reduced jointly, None stands for all; ``reference`` is the id of a
    raw input that gives the statistics instead of the tensor (``scale_range``) or
    besides it (``scale_mean_variance``).
    """

    axes: tuple[str, ...] | None
    own: bool = True
    reference: str | None = None

    def per_channel(self, axes: Sequence[str], where: str) -> bool:
        """Return whether each channel has its own statistics.

        Parameters
        ----------
        axes
            Axes of the tensor.
        where
            The tensor, for the sentence.

        Raises
        ------
        ModelError
            If positions along another axis would have their own.
        """
        if self.axes is None:
            return False
        kept = [axis for axis in axes if axis not in (*self.axes, "batch")]
        if any(axis != "channel" for axis in kept):
            raise ModelError(
                f"{where} is normalised separately for each position along "
                f"{kept[0]}, which depends on the size of the image: this model "
                "can't be applied here."
            )
        return bool(kept)


def statistics_of(step: Step) -> StatisticsNeeded | None:
    """Return the statistics that a step needs, or None."""
    kwargs = step.kwargs
    axes = kwargs.get("axes")
    axes = None if axes is None else tuple(axes)
    reference = kwargs.get("reference_tensor")
    match step.id:
        case "zero_mean_unit_variance":
            return StatisticsNeeded(axes)
        case "scale_range":
            return StatisticsNeeded(axes, own=reference is None, reference=reference)
        case "scale_mean_variance":
            return StatisticsNeeded(axes, reference=reference)
        case "clip":
            keys = ("min_percentile", "max_percentile")
            if any(kwargs.get(key) is not None for key in keys):
                return StatisticsNeeded(axes)
    return None
