"""What is learned: the row of the Train dock, and the options that belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_im2im.errors import ConfigError
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from napari_im2im.docks.options import Options
    from napari_im2im.training.tasks.catalogue import TaskInfo, TaskName

TASK_OPTIONS = {
    "unpaired.identity": "Leave alone",
    "semantic.classes": "Class names",
    "semantic.values": "Class labels",
    "semantic.foreground": "Foreground only",
    "semantic.ignore": "Ignore label",
    "instances.distance": "Learn distance",
    "instances.boundary": "Boundary width",
    "instances.touching": "Weight between",
    "instances.smallest": "Smallest object",
    "embedding.foreground_weight": "Foreground weight",
    "embedding.smallest": "Smallest object",
    "noise2void.percentage": "Hidden pixels (%)",
    "noise2void.radius": "Neighbourhood",
    "noise2void.replacement": "Hidden becomes",
    "noise2void.axis": "Noise runs along",
    "noise2void.span": "Hidden along it",
    "masked.share": "Hidden part",
    "masked.block": "Hidden blocks",
}
"""Fields of `TrainConfig` that only count for the task that they begin with."""

ADVERSARIAL_OPTIONS = {
    "adversarial.weight": "Discriminator",
    "adversarial.loss": "Its loss",
    "adversarial.channels": "Its channels",
    "adversarial.layers": "Its layers",
}
"""Fields that count where images are compared with what a discriminator knows."""


class TaskRow(QComboBox):  # type: ignore[misc]
    """A choice of the tasks; each says in its tool tip what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        for name, info in TASKS.items():
            self.addItem(info.title, name)
            at = self.count() - 1
            self.setItemData(at, info.text, Qt.ItemDataRole.ToolTipRole)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Task")
        self.currentIndexChanged.connect(self._describe)
        self._describe()

    @property
    def task(self) -> TaskName:
        """The name of the chosen task."""
        name: TaskName = self.currentData()
        return name

    @property
    def info(self) -> TaskInfo:
        """What the chosen task is."""
        return TASKS[self.task]

    def set_task(self, name: str) -> None:
        """Choose a task by its name."""
        self.setCurrentIndex(self.findData(name))

    def adapt(self, options: Options) -> None:
        """Show the options of this task only; drop losses that it doesn't know."""
        for name in TASK_OPTIONS:
            options.show_row(name, name.startswith(f"{self.task}."))
        try:
            chosen = options.values()
        except ConfigError:
            chosen = {}  # the dock says which option can't be read
        weight, *its = ADVERSARIAL_OPTIONS
        for name in ("target_normalization", weight):
            options.show_row(name, self.info.target == "image")
        judged = self.info.two_sets or "weight" in chosen.get("adversarial", ())
        for name in its:
            options.show_row(name, self.info.target == "image" and judged)
        options.show_row("loss_channel_weights", self.task == "image")
        options.set_hint("adversarial.weight", "0.1" if self.info.two_sets else "none")
        loss = ", ".join(f"{n}: {w:g}" for n, w in self.info.default_loss.items())
        options.set_hint("loss", f"{loss} (usual)")
        known = self.info.losses
        if any(name not in known for name in chosen.get("loss", ())):
            options.set_value("loss", {})

    def _describe(self) -> None:
        self.setToolTip(self.info.text)
        self.setAccessibleDescription(self.info.text)
