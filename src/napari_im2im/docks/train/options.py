"""The options of the Train dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from napari_im2im.docks.options import Options
from napari_im2im.docks.train.augmentation_preview import AugmentationDialog
from napari_im2im.docks.train.task_row import ADVERSARIAL_OPTIONS, TASK_OPTIONS
from napari_im2im.errors import Im2ImError
from napari_im2im.models.network_catalogue import CATALOGUE, NetworkSize
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.augmentation_config import STRENGTHS
from napari_im2im.training.data.config import SplitBy

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_im2im.images.image import Image

OPTIONS = {
    "spatial_axes": "2D or 3D",
    "patch": "Patch",
    "batch_size": "Batch",
    **TASK_OPTIONS,
    "network.name": "Network",
    "network.size": "Network size",
    "network.kwargs": "Network arguments",
    "loss": "Loss",
    "loss_channel_weights": "Channel weights",
    **ADVERSARIAL_OPTIONS,
    "optimizer.learning_rate": "Learning rate",
    "optimizer.schedule": "Schedule",
    "optimizer.accumulate": "Accumulate",
    "optimizer.ema": "Average weights",
    "input_normalization": "Normalise input",
    "input_statistics": "Statistics of",
    "target_normalization": "Normalise target",
    "augmentation": "Augmentation",
    "effort.epochs": "Epochs",
    "effort.steps": "Steps",
    "effort.patience": "Patience",
    "effort.monitor": "Best by",
    "data.validation_fraction": "Validation part",
    "data.test_fraction": "Test part",
    "data.split_by": "Split by",
    "data.group_pattern": "Group pattern",
    "data.foreground_patches": "On foreground",
    "data.least_foreground": "Least foreground",
    "data.draw_by_cost_map": "Draw by cost map",
    "device": "Device",
    "precision": "Precision",
    "seed": "Seed",
    "output": "Runs folder",
}

SUGGESTIONS = {
    "augmentation": tuple(STRENGTHS),
    "network.name": tuple(CATALOGUE),
    "network.size": ("auto", *get_args(NetworkSize)),
    "data.split_by": get_args(SplitBy),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
}


class TrainOptions(Options):
    """The options, and a page that shows what augmentation does.

    Parameters
    ----------
    sample
        Returns what opens the input and the target to show it on (called in a
        thread), None where there are none yet.
    """

    def __init__(self, sample: Callable[[], Callable[[], list[Image]] | None]) -> None:
        super().__init__(TrainConfig, OPTIONS, SUGGESTIONS)
        self._sample = sample
        self.labels = False
        """Whether the target is labels, which are never mixed."""
        self.see_augmentation = self.add_button("augmentation", "See augmentation …")
        self.see_augmentation.clicked.connect(self._see_augmentation)

    def _see_augmentation(self) -> None:
        try:
            chosen, open_images = self.value("augmentation"), self._sample()
        except Im2ImError:
            chosen, open_images = "standard", None
        dialog = AugmentationDialog(
            chosen, open_images, labels=self.labels, parent=self
        )
        dialog.accepted.connect(lambda: self.set_value("augmentation", dialog.value()))
        dialog.open()
