"""Input, target and what the network makes of it now, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPalette
from qtpy.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

_LABEL_COLORS = np.array(
    [
        (0, 0, 0),
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ],
    np.uint8,
)
"""Colours that people who see fewer tell apart, too (Okabe and Ito 2008)."""

_CAPTION = 16
_LONGEST = 2
"""How many times longer than high a picture is at most, or a little more."""

_GAP = 4


class PreviewStrip(QWidget):  # type: ignore[misc]
    """Three images in a row; a box chooses the channel where there are several."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._arrays: tuple[np.ndarray, ...] | None = None
        self._labels = False
        self._caption = "target"
        self._names: tuple[str, ...] = ()
        self._pictures = _Pictures()
        self.channel = QComboBox()
        self.channel.setAccessibleName("Channel of the preview")
        self.channel.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.channel.currentIndexChanged.connect(self._draw)
        self.channel.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._pictures)
        layout.addWidget(self.channel)

    def set_channel_names(self, names: Sequence[str]) -> None:
        """Set what the channels of the target are called."""
        self._names = tuple(names)

    def show_preview(
        self,
        source: np.ndarray,
        target: np.ndarray,
        prediction: np.ndarray,
        *,
        labels: bool = False,
        unpaired: bool = False,
    ) -> None:
        """Show three arrays ``(channel, [z,] y, x)`` in their own units.

        The middle plane of a stack is shown. Target and prediction share their
        contrast, so that a wrong brightness is seen; labels have a colour each.
        ``unpaired`` says that the target shows another field.
        """
        self._caption = "another target" if unpaired else "target"
        self._arrays, self._labels = (source, target, prediction), labels
        count = len(target)
        if self.channel.count() != count:
            names = self._names if len(self._names) == count else ()
            self.channel.clear()
            self.channel.addItems(names or [f"channel {i + 1}" for i in range(count)])
        self.channel.setVisible(count > 1)
        self._draw()

    def clear(self) -> None:
        """Show nothing."""
        self._arrays = None
        self._pictures.set_images(())

    def _draw(self) -> None:
        if self._arrays is None:
            return
        source, target, prediction = self._arrays
        channel = max(self.channel.currentIndex(), 0)
        truth, guess = plane(target, channel), plane(prediction, channel)
        matching = len(source) == len(target)
        first = plane(source, channel if matching else len(source) // 2)
        part = _part(truth)
        first, truth, guess = (_cut(pixels, part) for pixels in (first, truth, guess))
        if self._labels:
            shown = [labels_to_image(truth), labels_to_image(guess)]
        else:
            shown = [to_image(pixels, contrast(truth)) for pixels in (truth, guess)]
        self._pictures.set_images(
            (
                ("input", to_image(first, contrast(first))),
                (self._caption, shown[0]),
                ("now", shown[1]),
            )
        )


class _Pictures(QWidget):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._images: tuple[tuple[str, QImage], ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName("Preview: input, target and prediction now")

    def sizeHint(self) -> QSize:
        return QSize(300, 128)

    def set_images(self, images: tuple[tuple[str, QImage], ...]) -> None:
        self._images = images
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if not self._images:
            return _CAPTION + 60
        image = self._images[0][1]
        column = (width - 2 * _GAP) / 3
        ratio: float = image.height() / image.width()
        return _CAPTION + min(170, round(column * ratio))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        width = (self.width() - 2 * _GAP) / 3
        for number, (caption, image) in enumerate(self._images):
            left = number * (width + _GAP)
            painter.drawText(
                QRectF(left, 0, width, _CAPTION), Qt.AlignmentFlag.AlignCenter, caption
            )
            room = QRectF(left, _CAPTION, width, self.height() - _CAPTION)
            factor = min(room.width() / image.width(), room.height() / image.height())
            size = QRectF(0, 0, image.width() * factor, image.height() * factor)
            size.moveCenter(room.center())
            painter.drawImage(size, image)
        painter.end()


def plane(array: np.ndarray, channel: int) -> np.ndarray:
    """Return the ``(y, x)`` plane of a channel, of a stack the middle one."""
    pixels: np.ndarray = array[min(channel, len(array) - 1)]
    if pixels.ndim == 3:
        pixels = pixels[len(pixels) // 2]
    return pixels


def _part(pixels: np.ndarray) -> tuple[int, float, float]:
    """Return the part of a long plane with the most to see: axis, begin and end.

    A strip of validation in full would be a line where there is little room.
    """
    axis = int(pixels.shape[1] > pixels.shape[0])
    count = max(1, round(max(pixels.shape) / min(pixels.shape) / _LONGEST))
    known = np.nan_to_num(pixels, posinf=0, neginf=0)
    seen = [np.std(part) for part in np.array_split(known, count, axis)]
    best = int(np.argmax(seen))
    return axis, best / count, (best + 1) / count


def _cut(pixels: np.ndarray, part: tuple[int, float, float]) -> np.ndarray:
    """Return a part of a plane, which may be a finer one than the part is of."""
    axis, begin, end = part
    size = pixels.shape[axis]
    chosen = slice(round(begin * size), round(end * size))
    return pixels[chosen] if axis == 0 else pixels[:, chosen]


def contrast(pixels: np.ndarray) -> tuple[float, float]:
    """Return the 0.5th and 99.5th percentile of the finite pixels."""
    finite = pixels[np.isfinite(pixels)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.5, 99.5))
    return float(low), float(high)


def to_image(pixels: np.ndarray, limits: tuple[float, float]) -> QImage:
    """Return a grey picture of a ``(y, x)`` plane between two limits."""
    low, high = limits
    scaled = (np.nan_to_num(pixels.astype(np.float32)) - low) / max(high - low, 1e-12)
    grey = np.ascontiguousarray(np.clip(scaled * 255, 0, 255).astype(np.uint8))
    height, width = grey.shape
    format_ = QImage.Format.Format_Grayscale8
    return QImage(grey.data, width, height, width, format_).copy()


def labels_to_image(labels: np.ndarray) -> QImage:
    """Return a picture of a ``(y, x)`` plane of labels, in colours on black."""
    shown = np.where(labels > 0, (labels.astype(np.int64) - 1) % 7 + 1, 0)
    pixels = np.ascontiguousarray(_LABEL_COLORS[shown])
    height, width = labels.shape
    format_ = QImage.Format.Format_RGB888
    return QImage(pixels.data, width, height, 3 * width, format_).copy()
