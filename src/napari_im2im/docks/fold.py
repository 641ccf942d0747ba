"""A part of a dock that is folded until it is asked for."""

from __future__ import annotations

from qtpy.QtGui import QIcon
from superqt import QCollapsible


class Fold(QCollapsible):  # type: ignore[misc]
    """A title with an arrow; a click shows or hides what is below.

    The arrow is a letter of the title: superqt paints its icons once, in a colour
    that is hard to see in a dark theme.

    Parameters
    ----------
    title
        What is folded.
    """

    def __init__(self, title: str) -> None:
        super().__init__("", expandedIcon=QIcon(), collapsedIcon=QIcon())
        self._title = title
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.content().layout().setContentsMargins(0, 0, 0, 0)
        self.toggleButton().setAccessibleName(title)
        self.toggled.connect(self._point)
        self._point(False)

    def _point(self, unfolded: bool) -> None:
        self.setText(f"{'▾' if unfolded else '▸'}  {self._title}")
