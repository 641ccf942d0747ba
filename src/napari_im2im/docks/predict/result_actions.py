"""What can be done with a prediction: compare, measure, copy the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.api.copy_as import as_command, as_python, as_yaml
from napari_im2im.docks.job_row import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    from napari.layers import Layer
    from pydantic import BaseModel

    from napari_im2im.api.copy_as import Origin

    JobText = tuple[BaseModel, Sequence[Origin]]

_MEASURED = (ImageLayer, Labels)
"""Results that are compared with a truth."""


class ResultActions(QWidget):  # type: ignore[misc]
    """Compare, Measure and Copy as, below a finished prediction."""

    measure_requested = Signal(object, object)
    """Emitted with the result's layer and the layer to measure it against."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._source: Layer | None = None
        self._results: list[Layer] = []
        self._before: dict[Layer, bool] = {}
        self._camera: Any = None
        self._job: JobText | None = None
        self.compare = QPushButton("Compare")
        self.compare.setCheckable(True)
        self.compare.setToolTip("Source and results side by side, or as before")
        self.compare.toggled.connect(self._compare)
        self.copy = copy_button(lambda: self._job, "predict")
        self.result = self._layer_box(self._result_choices, "Result to measure")
        self.truth = self._layer_box(self._truth_choices, "Measure against")
        self.measure = QPushButton("Measure")
        self.measure.setToolTip(
            "PSNR, SSIM, PCC and MAE, of labels Dice and IoU or average precision, and "
            "a map of the error"
        )
        self.measure.clicked.connect(self._ask)
        self.result.changed.connect(lambda _: self.truth.reset_choices())
        self.outcome = sentence("")
        self._arrange()

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.compare, 1)
        first.addWidget(self.copy, 1)
        second.addWidget(self.measure)
        second.addWidget(sentence_word("against"))
        second.addWidget(self.truth.native, 1)
        layout.addLayout(first)
        layout.addWidget(self.result.native)
        layout.addLayout(second)
        layout.addWidget(self.outcome)
        self.outcome.hide()

    def show_results(
        self, source: Layer, results: Sequence[Layer], job: JobText
    ) -> None:
        """Offer what can be done with these layers."""
        self.compare.setChecked(False)
        self._source, self._results, self._job = source, list(results), job
        self.outcome.hide()
        self.reset_choices()
        self.show()

    def show_outcome(self, text: str) -> None:
        """Show what was measured."""
        self.outcome.setText(text)
        self.outcome.show()

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        self.result.reset_choices()
        self.truth.reset_choices()
        self.result.native.setVisible(len(self._results) > 1)

    def _layer_box(self, choices: Any, name: str) -> ComboBox:
        box = ComboBox(choices=choices)
        box.native.setAccessibleName(name)
        box.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return box

    def _result_choices(self, _: Any) -> list[tuple[str, Layer]]:
        return [
            (layer.name, layer)
            for layer in self._results
            if layer in self._viewer.layers and isinstance(layer, _MEASURED)
        ]

    def _truth_choices(self, _: Any) -> list[tuple[str, Layer]]:
        """Return what is of the same kind as the result: images or labels."""
        kind = Labels if isinstance(self.result.value, Labels) else ImageLayer
        return [
            (layer.name, layer)
            for layer in self._viewer.layers
            if isinstance(layer, kind)
            and layer not in self._results
            and layer is not self._source
        ]

    def _ask(self) -> None:
        if self.result.value is None or self.truth.value is None:
            self.show_outcome("Open a layer of the truth to measure against.")
        else:
            self.measure_requested.emit(self.result.value, self.truth.value)

    def _compare(self, on: bool) -> None:
        """Show the source and its results side by side, moving together."""
        layers = self._viewer.layers
        camera = self._viewer.scene.camera
        if on:
            self._camera = (camera.center, camera.zoom)
            self._before = {layer: layer.visible for layer in layers}
            for layer in layers:
                layer.visible = layer is self._source or layer in self._results
        else:
            for layer, visible in self._before.items():
                layer.visible = visible
        self._viewer.canvas.grid.enabled = on
        if on:
            self._viewer.fit_to_view()
        else:
            camera.center, camera.zoom = self._camera


def sentence_word(text: str) -> QWidget:
    """Return a word between two widgets of a line."""
    label = sentence(text)
    label.setWordWrap(False)
    label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return label


def copy_button(job: Callable[[], JobText | None], command: str) -> QPushButton:
    """Return a button that copies a job as a command line, Python or YAML.

    Parameters
    ----------
    job
        Returns the job and where its images come from, or None.
    command
        ``"train"`` or ``"predict"``.
    """
    button = QPushButton("Copy as")
    button.setAccessibleName("Copy the job as text")
    menu = QMenu(button)
    writers = {
        "Command line": lambda config, images: as_command(config, command, images),
        "Python": lambda config, images: as_python(config, command, images),
        "YAML": as_yaml,
    }
    for title, write in writers.items():
        action = menu.addAction(title)
        action.triggered.connect(lambda _=False, write=write: _copy(job(), write))
    button.setMenu(menu)
    return button


def _copy(job: JobText | None, write: Callable[..., str]) -> None:
    if job is not None:
        QApplication.clipboard().setText(write(*job))
