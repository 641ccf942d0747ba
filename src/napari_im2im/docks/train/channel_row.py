"""Which channels of the files are read, and which are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget
from superqt import QFlowLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CHANNELS = 32
"""Images of more have no boxes: all their channels are read."""


class ChannelRow(QWidget):  # type: ignore[misc]
    """A box for each channel.

    Parameters
    ----------
    name
        What the row is called for people who can't see it.
    """

    changed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._checks: list[QCheckBox] = []
        self._boxes = QWidget()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._boxes)
        self.setAccessibleName(name)

    @property
    def channels(self) -> list[int] | None:
        """The positions of the chosen channels, None for all."""
        chosen = [i for i, check in enumerate(self._checks) if check.isChecked()]
        return None if len(chosen) == len(self._checks) else chosen

    @property
    def offered(self) -> bool:
        """Whether there is something to choose."""
        return bool(self._checks)

    def offer(self, names: Sequence[str], *, chosen: bool) -> None:
        """Offer these channels, all of them chosen or none."""
        boxes = QWidget()
        flow = QFlowLayout(boxes)
        flow.setContentsMargins(0, 0, 0, 0)
        self._checks = [
            QCheckBox(name) for name in names if 1 < len(names) <= MOST_CHANNELS
        ]
        for check in self._checks:
            check.setChecked(chosen)
            check.toggled.connect(self.changed)
            flow.addWidget(check)
        self.layout().replaceWidget(self._boxes, boxes)
        self._boxes.hide()
        self._boxes.deleteLater()
        self._boxes = boxes

    def choose(self, channels: Sequence[int]) -> None:
        """Choose these channels alone."""
        for index, check in enumerate(self._checks):
            check.setChecked(index in channels)
