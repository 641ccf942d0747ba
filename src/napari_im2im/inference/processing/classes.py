"""From the probabilities of classes to the labels of the likeliest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.inference.objects.separation import labels_layout
from napari_im2im.models.tensors import FixedSize, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.outputs import OutputLayout
    from napari_im2im.models.tensors import TensorSpec


def choice_of_classes(
    config: PredictConfig, model: Mapping[str, Any], spec: TensorSpec
) -> Step | None:
    """Return the step that makes labels of probabilities, if labels are wanted.

    Parameters
    ----------
    config
        The prediction.
    model
        ``config.napari_im2im`` of the model; of its ``task`` come the names and the
        labels of the classes.
    spec
        The output: a channel for each class, or one for the second of two.

    Raises
    ------
    ModelError
        If the channels aren't as many as the classes.
    """
    meaning = model.get("task") or {}
    if config.result == "raw" or meaning.get("name") != "semantic":
        return None
    names, values = (tuple(meaning.get(key, ())) for key in ("classes", "values"))
    size = spec.axis("channel").size if "channel" in spec.axis_names else None
    expected = FixedSize(1 if len(names) == 2 else len(names))
    if size != expected or len(values) != len(names) or len(names) < 2:
        raise ModelError(
            f"The description of this model names {len(names)} classes, which doesn't "
            "fit its output: predict its channels (raw)."
        )
    return Step("choose_class", {"names": names, "values": values})


def classes_layout(channels: OutputLayout, step: Step, groups: int) -> OutputLayout:
    """Return the layout of the labels that are made of probabilities."""
    labels = labels_layout(channels, groups)
    names = map(str, step.kwargs["values"])
    classes = dict(zip(names, step.kwargs["names"], strict=True))
    return replace(
        labels,
        dtype=np.result_type(*map(np.min_scalar_type, step.kwargs["values"])),
        metadata={**labels.metadata, "classes": classes},
    )
