"""How inputs are normalised: all alike, each image by itself, or as a model has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.training.data.normalization import (
    ImageScaling,
    differing,
    learn_scaling,
)
from napari_im2im.training.finetuning.scaling import (
    image_scaling_of_start,
    scaling_of_start,
)
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.normalization import InputScaling
    from napari_im2im.training.data.samples import Layout, Sample


def scaling_by_image(
    config: TrainConfig, package: ModelPackage | None, layout: Layout
) -> ImageScaling | None:
    """Return how each image may be normalised by itself, None where none is.

    ``package`` is the model that training starts from.
    """
    if package is not None and _is_kept(config):
        return image_scaling_of_start(package.inputs[0])
    statistics, method = config.input_statistics, config.input_normalization
    if statistics == "auto":
        # Elsewhere intensities may mean something that the target depends on.
        labels = TASKS[config.task].target == "labels"
        statistics = "image" if labels else "dataset"
    if statistics == "dataset" or method == "none":
        return None
    return ImageScaling(layout.spatial_axes, method, config.percentiles)


def choose_scaling(
    config: TrainConfig,
    package: ModelPackage | None,
    by_image: ImageScaling | None,
    samples: Sequence[Sample],
) -> tuple[InputScaling, list[str], bool]:
    """Choose how inputs are normalised.

    Parameters
    ----------
    config
        The job.
    package
        The model that training starts from.
    by_image
        What `scaling_by_image` returned; samples hold what it measured.
    samples
        Training samples, or regions of them.

    Returns
    -------
    InputScaling
        What normalises them.
    list of str
        Sentences for the user.
    bool
        Whether the images are on another scale than the model's.
    """
    arrays = [sample.input for sample in samples]
    if package is not None and _is_kept(config):
        if by_image is not None:
            return by_image, [], False
        steps = package.inputs[0].steps
        scaling, note = scaling_of_start(steps, arrays, is_target=False)
        return scaling, [note] if note else [], bool(note)
    notes = []
    if by_image is not None and config.input_statistics == "auto":
        measured = {id(sample.scaling): sample.scaling for sample in samples}
        differ, text = differing(list(measured.values()))
        by_image = by_image if differ else None
        how = "by itself" if differ else "like all others"
        if len(measured) > 1:
            notes = [f"Each image is normalised {how}: {text}."]
    if by_image is not None:
        return by_image, notes, False
    method = config.input_normalization
    return learn_scaling(arrays, method, config.percentiles), notes, False


def _is_kept(config: TrainConfig) -> bool:
    """Return whether inputs are normalised as the model to start from wants it."""
    own = {"input_normalization", "input_statistics"}
    return not own & config.model_fields_set
