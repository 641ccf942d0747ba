"""The loss over the steps of a training, drawn with QPainter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

# Both reach a contrast of 4.5 : 1 on the background of their theme.
_ON_DARK = (QColor("#4C9BE8"), QColor("#E8A33D"))
_ON_LIGHT = (QColor("#1C67A9"), QColor("#965500"))
_ROUND = Qt.PenCapStyle.RoundCap
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 18, 18


class LossPlot(QWidget):  # type: ignore[misc]
    """Training and validation loss, with a switch for a logarithmic axis."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.log = QCheckBox("log")
        self.log.setToolTip("Logarithmic loss axis")
        self.log.setAccessibleName("Logarithmic loss axis")
        self._canvas = _Canvas()
        self.log.toggled.connect(self._canvas.set_log)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._canvas)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.log)
        layout.addLayout(row)

    def clear(self) -> None:
        """Start a new plot."""
        self._canvas.train.clear()
        self._canvas.validation.clear()
        self._canvas.best = None
        self._canvas.update()

    def add(
        self, step: int, train: float | None = None, validation: float | None = None
    ) -> None:
        """Add what was measured after ``step`` steps; not finite is left out."""
        if train is not None and math.isfinite(train):
            self._canvas.train.append((step, train))
        if validation is not None and math.isfinite(validation):
            self._canvas.validation.append((step, validation))
        self._canvas.describe()
        self._canvas.update()

    def mark_best(self, step: int) -> None:
        """Mark the validation of this step as the best so far."""
        self._canvas.best = step
        self._canvas.update()


class _Canvas(QWidget):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.train: list[tuple[int, float]] = []
        self.validation: list[tuple[int, float]] = []
        self.best: int | None = None
        self._log = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Loss plot")

    def sizeHint(self) -> QSize:
        return QSize(300, 120)

    def set_log(self, log: bool) -> None:
        self._log = log
        self.update()

    def describe(self) -> None:
        """Say the last values for people who can't see the plot."""
        last = [
            f"{name} {values[-1][1]:.4g} at step {values[-1][0]}"
            for name, values in self._series()
            if values
        ]
        self.setAccessibleDescription(", ".join(last))

    def _series(self) -> list[tuple[str, list[tuple[int, float]]]]:
        return [("train", self.train), ("validation", self.validation)]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        window = self.palette().color(QPalette.ColorRole.Window)
        colors = _ON_DARK if window.lightness() < 128 else _ON_LIGHT
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        area = QRectF(
            _LEFT, _TOP, self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        )
        self._draw_axes(painter, area, text)
        styles = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)
        for (_, values), color, style in zip(
            self._series(), colors, styles, strict=True
        ):
            painter.setPen(QPen(color, 1.6, style))
            places = [self._place(p, area) for p in values]
            painter.drawPolyline(QPolygonF(places))
            if len(places) == 1:  # a line of one point can't be seen
                painter.setPen(QPen(color, 5, Qt.PenStyle.SolidLine, _ROUND))
                painter.drawPoint(places[0])
        self._draw_best(painter, area, colors[1])
        self._draw_legend(painter, area, colors, text)
        painter.end()

    def _range(self) -> tuple[float, float, int]:
        """Return the lowest and highest loss (logarithms if asked), last step."""
        points = self.train + self.validation
        values = [self._height(value) for _, value in points]
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return low, high, max((step for step, _ in points), default=1)

    def _height(self, value: float) -> float:
        if not self._log:
            return value
        return math.log10(value) if value > 0 else math.nan

    def _place(self, point: tuple[int, float], area: QRectF) -> QPointF:
        low, high, last = self._range()
        height = self._height(point[1])
        if math.isnan(height):
            height = low
        x = area.left() + area.width() * point[0] / max(last, 1)
        return QPointF(x, area.bottom() - area.height() * (height - low) / (high - low))

    def _draw_axes(self, painter: QPainter, area: QRectF, text: QColor) -> None:
        faint = QColor(text)
        faint.setAlphaF(0.35)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.topLeft(), area.bottomLeft())
        painter.setPen(text)
        low, high, last = self._range()
        if not self.train and not self.validation:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "no steps yet")
            return
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for y, value in ((area.top(), high), (area.bottom(), low)):
            label = f"{10**value if self._log else value:.3g}"
            painter.drawText(QRectF(0, y - 8, _LEFT - 5, 16), right, label)
        below = QRectF(area.left(), area.bottom() + 2, area.width(), 16)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"step {last}")

    def _draw_best(self, painter: QPainter, area: QRectF, color: QColor) -> None:
        best = [point for point in self.validation if point[0] == self.best]
        if not best:
            return
        painter.setPen(QPen(color, 2))
        painter.drawEllipse(self._place(best[-1], area), 4, 4)

    def _draw_legend(
        self,
        painter: QPainter,
        area: QRectF,
        colors: Sequence[QColor],
        text: QColor,
    ) -> None:
        x = area.left() + 4
        entries = (
            ("train", colors[0], Qt.PenStyle.SolidLine),
            ("validation", colors[1], Qt.PenStyle.DashLine),
        )
        for name, color, style in entries:
            painter.setPen(QPen(color, 1.6, style))
            painter.drawLine(QPointF(x, 8), QPointF(x + 18, 8))
            painter.setPen(text)
            painter.drawText(QPointF(x + 22, 12), name)
            x += 34 + painter.fontMetrics().horizontalAdvance(name)
        if self.best is not None:
            painter.setPen(QPen(colors[1], 2))
            painter.drawEllipse(QPointF(x + 5, 8), 4, 4)
            painter.setPen(text)
            painter.drawText(QPointF(x + 14, 12), "best")
