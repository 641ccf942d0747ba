"""From the name of a task to the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.training.tasks.image import ImageTask
from napari_im2im.training.tasks.masked import MaskedTask
from napari_im2im.training.tasks.noise2void import Noise2VoidTask
from napari_im2im.training.tasks.objects import EmbeddingTask, InstancesTask
from napari_im2im.training.tasks.semantic import SemanticTask
from napari_im2im.training.tasks.unpaired import UnpairedTask

if TYPE_CHECKING:
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.samples import Layout
    from napari_im2im.training.tasks.task import Task

_CLASSES: dict[str, type[Task]] = {
    "image": ImageTask,
    "unpaired": UnpairedTask,
    "semantic": SemanticTask,
    "instances": InstancesTask,
    "embedding": EmbeddingTask,
    "noise2void": Noise2VoidTask,
    "masked": MaskedTask,
}


def open_task(config: TrainConfig, layout: Layout) -> Task:
    """Return the task of a training, before it has seen a pixel."""
    return _CLASSES[config.task](config, layout)
