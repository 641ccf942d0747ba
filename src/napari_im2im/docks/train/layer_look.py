"""What the pixels of the chosen layers are like, found out in a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_im2im.docks.job import Job
from napari_im2im.docks.pixel_facts import PixelFacts, probe_pixels
from napari_im2im.errors import Im2ImError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_im2im.docks.input_row import InputRow
    from napari_im2im.images.image import Image


class LayerLook(QObject):  # type: ignore[misc]
    """Looks at the pixels of rows of layers, again whenever they are others.

    Parameters
    ----------
    rows
        By what they are for, e.g. ``"input"``.
    parent
        The form.
    """

    changed = Signal()

    def __init__(self, rows: Mapping[str, InputRow], parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows
        self._arrays: dict[str, list[Any]] = {}
        self.facts: dict[str, PixelFacts] = {}
        """What is known so far, by row."""

    def knows(self, role: str, arrays: Sequence[Any]) -> bool:
        """Return whether the facts of a row are those of these arrays."""
        return role in self.facts and _same(self._arrays[role], arrays)

    def look(self) -> None:
        """Look at each row whose layers are others than before."""
        for role, row in self._rows.items():
            arrays = [layer.data for layer in row.layers]
            if self.knows(role, arrays):
                continue
            self.facts.pop(role, None)
            try:
                image = row.image()
            except Im2ImError:
                continue  # the dock says why
            if image is not None:
                job = Job(partial(_probe, image), self)
                job.happened.connect(partial(self._keep, role, arrays))
                job.start()

    def _keep(self, role: str, arrays: list[Any], facts: PixelFacts) -> None:
        if _same(arrays, [layer.data for layer in self._rows[role].layers]):
            self._arrays[role], self.facts[role] = arrays, facts
            self.changed.emit()


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        a is b for a, b in zip(one, other, strict=True)
    )


def _probe(image: Image) -> Generator[PixelFacts]:
    yield probe_pixels(image)
