"""How augmentation changes a sample: choose amounts, see what training would see."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QImage, QPainter, QPalette
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.docks.job import Job
from napari_im2im.docks.train.preview_strip import (
    contrast,
    labels_to_image,
    plane,
    to_image,
)
from napari_im2im.training.data.augmentation_config import (
    STRENGTHS,
    AugmentationConfig,
    augmentation_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_im2im.images.image import Image

Pictures = list[tuple[QImage, ...]]

_OWN = "own"
_SHOWN = 3
_SIDE = 192
"""Pixels of the sample along y and x."""

_STEPS = {"rotation": 5.0, "elastic": 0.5, "blur": 0.5, "defocus": 0.5}
_WAIT = 200
"""Milliseconds after the last change before a sample is varied anew."""


class AugmentationDialog(QDialog):  # type: ignore[misc]
    """Amounts on the left, a sample and variations of it on the right.

    Parameters
    ----------
    chosen
        A word, or the amounts that differ from ``standard``.
    open_images
        Opens the input and the target to take a sample from, in a thread; the target
        may be the input. None: amounts only.
    labels
        Whether the target is labels.
    """

    def __init__(
        self,
        chosen: str | Mapping[str, Any],
        open_images: Callable[[], Sequence[Image]] | None = None,
        *,
        labels: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Augmentation")
        self._open, self._labels, self._seed = open_images, labels, 0
        self._job: Job | None = None
        self.strength = QComboBox()
        self.strength.addItems([*STRENGTHS, _OWN])
        self.strength.setAccessibleName("Strength")
        self.amounts = {name: _editor(name) for name in AugmentationConfig.model_fields}
        self.pictures = _Grid()
        self.status = QLabel("")
        self.status.setWordWrap(True)
        self.again = QPushButton("Draw again")
        self.again.clicked.connect(self._draw_again)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT)
        self._timer.timeout.connect(self._vary)
        self._arrange()
        self._show(_config_of(chosen))
        self._name_strength()
        self.strength.currentTextChanged.connect(self._choose)
        for editor in self.amounts.values():
            _changed(editor).connect(self._edit)
        self._vary()

    def _arrange(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(2)
        form.addRow("Strength", self.strength)
        for name, editor in self.amounts.items():
            form.addRow(name.replace("_", " ").capitalize(), editor)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        right = QVBoxLayout()
        right.addWidget(self.pictures, 1)
        right.addWidget(self.status)
        right.addWidget(self.again, 0, Qt.AlignmentFlag.AlignRight)
        columns = QHBoxLayout()
        columns.addLayout(form)
        columns.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(columns, 1)
        layout.addWidget(buttons)

    @property
    def drawing(self) -> bool:
        """Whether a sample is being varied."""
        return self._job is not None

    def config(self) -> AugmentationConfig:
        """Return the amounts as they stand."""
        return AugmentationConfig.model_validate(
            {
                name: editor.isChecked()
                if isinstance(editor, QCheckBox)
                else round(editor.value(), 4)
                for name, editor in self.amounts.items()
            }
        )

    def value(self) -> str | dict[str, Any]:
        """Return the word, else the amounts that differ from ``standard``."""
        config = self.config()
        for word, known in STRENGTHS.items():
            if config == known:
                return word
        return config.model_dump(exclude_defaults=True)

    def _show(self, config: AugmentationConfig) -> None:
        for name, editor in self.amounts.items():
            before = editor.blockSignals(True)
            if isinstance(editor, QCheckBox):
                editor.setChecked(getattr(config, name))
            else:
                editor.setValue(getattr(config, name))
            editor.blockSignals(before)

    def _choose(self, word: str) -> None:
        if word != _OWN:
            self._show(STRENGTHS[word])  # type: ignore[index]
            self._timer.start()

    def _edit(self) -> None:
        self._name_strength()
        self._timer.start()

    def _name_strength(self) -> None:
        value = self.value()
        before = self.strength.blockSignals(True)
        self.strength.setCurrentText(value if isinstance(value, str) else _OWN)
        self.strength.blockSignals(before)

    def _draw_again(self) -> None:
        self._seed += 1
        self._vary()

    def _vary(self) -> None:
        """Vary a sample in a thread, which may have to load what it needs."""
        if self._open is None:
            self.status.setText("Choose images to see what becomes of them.")
            self.again.hide()
            return
        if self._job is not None:
            self._timer.start()
            return
        self.status.setText("Drawing …")
        make = partial(_varied, self._open, self.config(), self._labels, self._seed)
        self._job = Job(make, self)
        self._job.happened.connect(self._keep)
        self._job.failed.connect(self.status.setText)
        self._job.ended.connect(self._end)
        self._job.start()

    def _keep(self, pictures: Pictures) -> None:
        self.pictures.set_pictures(pictures)
        rows = "; input above, target below" if len(pictures[0]) > 1 else ""
        self.status.setText(f"In the first column the sample as it is{rows}.")

    def _end(self) -> None:
        self._job = None


class _Grid(QWidget):  # type: ignore[misc]
    """Columns of pictures of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: Pictures = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(440, 230)
        self.setAccessibleName("A sample and variations of it")

    def sizeHint(self) -> QSize:
        return QSize(760, 384)

    def set_pictures(self, columns: Pictures) -> None:
        self.columns = columns
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if not self.columns:
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        rows = len(self.columns[0])
        side = min(self.width() / len(self.columns), self.height() / rows) - 4
        for column, pictures in enumerate(self.columns):
            for row, picture in enumerate(pictures):
                place = QRectF(column * (side + 4), row * (side + 4), side, side)
                painter.drawImage(place, picture)
        painter.end()


def _editor(name: str) -> QCheckBox | QDoubleSpinBox:
    field = AugmentationConfig.model_fields[name]
    if field.annotation is bool:
        editor: QCheckBox | QDoubleSpinBox = QCheckBox()
    else:
        limits = {type(m).__name__: m for m in _limits(field.metadata)}
        editor = QDoubleSpinBox()
        editor.setRange(0, limits["Le"].le)
        editor.setSingleStep(_STEPS.get(name, 0.05))
        editor.setDecimals(2)
    editor.setToolTip(field.description or name)
    editor.setAccessibleName(name.replace("_", " "))
    editor.setAccessibleDescription(field.description or "")
    return editor


def _limits(metadata: Sequence[Any]) -> list[Any]:
    """Return the bounds of a field, those of an annotated type included."""
    return [m for each in metadata for m in getattr(each, "metadata", [each])]


def _changed(editor: QCheckBox | QDoubleSpinBox) -> Any:
    return editor.toggled if isinstance(editor, QCheckBox) else editor.valueChanged


def _config_of(chosen: str | Mapping[str, Any]) -> AugmentationConfig:
    if isinstance(chosen, str):
        return augmentation_of(chosen)  # type: ignore[arg-type]
    return AugmentationConfig.model_validate(chosen)


def _varied(
    open_images: Callable[[], Sequence[Image]],
    config: AugmentationConfig,
    labels: bool,
    seed: int,
) -> Generator[Pictures]:
    # Runs in a thread: what it imports is never imported by the window.
    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.data.variations import variations

    images = open_images()
    source, target = (_sample(image) for image in images)
    sample = Sample(source, target, images[0].name)
    varied = variations(sample, config, _SHOWN, labels=labels, seed=seed)
    limits = [contrast(plane(array, 0)) for array in (source, target)]

    def pictures(pair: tuple[np.ndarray, np.ndarray]) -> tuple[QImage, ...]:
        shown = [plane(array, 0) for array in pair]
        first = to_image(shown[0], limits[0])
        if images[0] is images[1]:
            return (first,)
        second = labels_to_image(shown[1]) if labels else to_image(shown[1], limits[1])
        return first, second

    yield [pictures(pair) for pair in [(source, target), *varied]]


def _sample(image: Image) -> np.ndarray:
    """Read a square of the first plane around the middle, ``(c, y, x)``."""
    region = {}
    side = min(_SIDE, image.sizes["y"], image.sizes["x"])
    for axis, size in image.sizes.items():
        if axis in ("y", "x"):
            start = (size - side) // 2
            region[axis] = slice(start, start + side)
        elif axis != "channel":
            region[axis] = slice(size // 2, size // 2 + 1)
    pixels = image.crop(region).read(axes=("time", "z", "channel", "y", "x"))[0, 0]
    return np.asarray(pixels, np.float32)
