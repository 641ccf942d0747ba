"""The Export page: describe a model, check it, and write it for publication."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_im2im.docks.advice import Advice
from napari_im2im.docks.dock import Dock
from napari_im2im.docks.export.check_list import CheckList
from napari_im2im.docks.export.form import ExportForm
from napari_im2im.docks.job_row import sentence
from napari_im2im.docks.opening import frame_of
from napari_im2im.errors import ConfigError
from napari_im2im.events import Event, Message

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import napari

    from napari_im2im.docks.advice import Fix
    from napari_im2im.zoo.export import ExportConfig

_COVER_WIDTH = 300

_OWN = {
    "pytorch_state_dict": "PyTorch (Python programs, fine-tuning)",
    "tensorflow_saved_model_bundle": "TensorFlow",
    "keras_hdf5": "Keras (HDF5)",
    "keras_v3": "Keras",
}
"""What weights are called that came with a model."""


@dataclass(frozen=True)
class Described(Event):
    """What the page starts with: a draft, the cover, and the test image in words."""

    name: str
    draft: dict[str, Any]
    cover: QImage
    data: str
    parent: str
    weights: tuple[str, ...] = ()


class ExportWidget(Dock):
    """Make a package for publication from a model on this computer.

    Parameters
    ----------
    napari_viewer
        The window.
    package_path
        Run folder, package folder or zip of the model.
    """

    def __init__(self, napari_viewer: napari.Viewer, package_path: str | Path) -> None:
        super().__init__(napari_viewer, "Export")
        self.path = Path(package_path)
        self.title = QElidingLabel(self.path.name)
        self.title.setToolTip(str(self.path))
        self.form = ExportForm()
        self.parent_button = QPushButton("Take over from the parent model")
        self.load_button = QPushButton("Read from a file…")
        self.save_button = QPushButton("Save draft")
        self.cover = QLabel("The cover is made …")
        self.cover.setAccessibleName("Cover: input and prediction")
        self.data = sentence("")
        self.formats = {
            "torchscript": QCheckBox("TorchScript (Java programs, ilastik)"),
            "onnx": QCheckBox("ONNX (any runtime)"),
        }
        self.own_formats: dict[str, QCheckBox] = {}
        self.own_box = QVBoxLayout()
        self.source = QCheckBox("Network as a source file, without MONAI")
        self.source.setToolTip(
            "For programs that have PyTorch but not MONAI, as BiaPy and ilastik; of "
            "BasicUNet and UNet. Other networks are built by MONAI."
        )
        self.output = QLineEdit()
        self.output_button = QPushButton("…")
        self.checks = CheckList()
        self._bar = self.findChild(QScrollArea).verticalScrollBar()
        # Once the foot says how the export ended, and left less room.
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._show_last_check)
        self._parent = ""
        self._arrange()
        self._connect()
        self.job_row.show_advice([Advice("Reading the model …", "wait")])
        self._look(partial(_describe, self.path), self._fill)

    def _arrange(self) -> None:
        self.output.setAccessibleName("The zip to write")
        self.output.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.output_button.setAccessibleName("Choose the zip to write")
        self.output_button.setFixedWidth(32)
        self.output_button.setToolTip("Choose the zip to write")
        for check in (*self.formats.values(), self.source):
            check.setChecked(True)
        body: QVBoxLayout = self._body
        body.addWidget(self.title)
        body.addWidget(_heading("1  Describe"))
        body.addWidget(self.parent_button)
        self.parent_button.hide()
        body.addWidget(self.form)
        body.addWidget(_row(self.load_button, self.save_button))
        body.addWidget(_heading("2  Data"))
        body.addWidget(self.cover)
        body.addWidget(self.data)
        body.addWidget(_heading("3  Check and write"))
        body.addLayout(self.own_box)
        for check in (*self.formats.values(), self.source):
            body.addWidget(check)
        body.addWidget(_row(self.output, self.output_button))
        body.addWidget(self.checks)
        body.addStretch()

    def _connect(self) -> None:
        self._bar.rangeChanged.connect(self._follow)
        self.form.changed.connect(self.refresh_soon)
        self.output.textChanged.connect(self.refresh_soon)
        self.parent_button.clicked.connect(self._take_over)
        self.load_button.clicked.connect(self._ask_for_file)
        self.save_button.clicked.connect(self.save)
        self.output_button.clicked.connect(self._ask_for_output)

    def _follow(self, _: int, lowest: int) -> None:
        """Keep the newest check in sight."""
        if self.running:
            self._bar.setValue(lowest)

    def _show_last_check(self) -> None:
        self._bar.setValue(self._bar.maximum())

    def tell_end(self, end: str) -> None:
        """Keep the last check in sight, too."""
        super().tell_end(end)
        self._settled.start(100)

    def refresh(self) -> None:
        """Say beside each field what to fix, and what Export will do."""
        if self.running:
            return
        errors = self.form.show_errors()
        output = Path(self.output.text())
        if errors:
            wrong = {key.partition(".")[0] for key in errors}
            fields = self.form.fields.items()
            title = next(field.title for name, field in fields if name in wrong)
            count = f" ({len(errors)} fields to go)" if len(errors) > 1 else ""
            advice = Advice(f"Complete the field {title}{count}.", "stop")
        elif output.suffix.lower() != ".zip":
            advice = Advice("Choose the zip to write.", "stop")
        elif output.exists():
            advice = Advice(f"{output.name} exists: choose another name.", "stop")
        else:
            advice = Advice(f"Checks the model, then writes {output.name}.")
        self.job_row.show_advice([advice])

    def apply_fix(self, fix: Fix) -> None:
        """Do nothing: the sentences of this page have no buttons."""

    def save(self) -> None:
        """Keep what is written, complete or not."""
        from napari_im2im.zoo.export.drafts import save_draft

        save_draft(self.path, self.form.draft())
        self.job_row.show_status("The draft is saved.")

    def run(self) -> None:
        """Check and write the package."""
        if self.running:
            return
        self.refresh()
        if not self.job_row.run_button.isEnabled():
            return
        from napari_im2im.zoo.export import ExportConfig
        from napari_im2im.zoo.metadata import Metadata

        self.save()
        config = ExportConfig(
            model=self.path,
            output=Path(self.output.text()).expanduser(),
            metadata=Metadata.model_validate(self.form.draft()),
            formats=[name for name, box in self.formats.items() if box.isChecked()],
            leave_out=[n for n, box in self.own_formats.items() if not box.isChecked()],
            architecture="auto" if self.source.isChecked() else "library",
        )
        self.checks.clear()
        self._start(partial(_export, config), self._hear, self.tell_end)
        self._bar.setValue(self._bar.maximum())
        self.job_row.show_status("Checking …")

    def _hear(self, event: Event) -> None:
        from napari_im2im.zoo.export import Checked, ExportFinished

        match event:
            case Checked(name=name, verdict=verdict, text=text):
                self.checks.show_check(name, verdict, text)
                if verdict == "running":
                    self.job_row.show_status(f"{name} …")
            case Message(text=text):
                self.checks.show_check(text, "warning", "")
            case ExportFinished(path=path, formats=formats):
                self.job_row.show_status(
                    f"Written: {path}, ready for upload to the zoo, with the weights "
                    f"{', '.join(formats)}."
                )
                self.output.setText(str(free_name(path)))

    def _fill(self, described: Described) -> None:
        self.title.setText(described.name)
        self.form.set_draft(described.draft)
        picture = QPixmap.fromImage(described.cover)
        self.cover.setPixmap(
            picture.scaledToWidth(
                _COVER_WIDTH, Qt.TransformationMode.SmoothTransformation
            )
        )
        self.data.setText(described.data)
        self._offer_weights(described.weights)
        self._parent = described.parent
        self.parent_button.setVisible(bool(described.parent))
        name = "-".join(str(described.draft.get("name", "model")).lower().split())
        if not self.output.text():
            self.output.setText(str(Path.home() / f"{name}.bioimageio.zip"))
        self.refresh()

    def _offer_weights(self, weights: Sequence[str]) -> None:
        """Let the user leave out weights that the model came with."""
        for name in weights:
            if name in self.formats:
                box = self.formats[name]
            else:
                box = QCheckBox(_OWN.get(name, name))
                box.setChecked(True)
                self.own_box.addWidget(box)
            box.setToolTip("The model came with these weights.")
            self.own_formats[name] = box

    def _take_over(self) -> None:
        make = partial(_take_over, self.path, self._parent)
        self._look(make, lambda event: self.form.set_draft(event.draft))

    def _ask_for_file(self) -> None:
        dialog = QFileDialog(self, "Read the metadata")
        dialog.setNameFilter("Metadata (*.yaml *.yml)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.read_file)
        dialog.open()

    def read_file(self, path: str) -> None:
        """Fill in the fields from a YAML file."""
        from napari_im2im.zoo.export.drafts import read_metadata

        try:
            self.form.set_draft({**self.form.draft(), **read_metadata(Path(path))})
        except ConfigError as error:
            self.job_row.add_note(str(error))

    def _ask_for_output(self) -> None:
        dialog = QFileDialog(self, "Write the package")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("zip")
        dialog.selectFile(self.output.text())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.output.setText)
        dialog.open()


def free_name(path: Path) -> Path:
    """Return a name beside a package that isn't taken, with a number."""
    stem = path.name.removesuffix(".bioimageio.zip").removesuffix(".zip")
    suffix = path.name.removeprefix(stem)
    number = 2
    while (free := path.with_name(f"{stem}-{number}{suffix}")).exists():
        number += 1
    return free


def open_export(viewer: napari.Viewer, path: str | Path) -> ExportWidget:
    """Open the Export page of a model, or bring it forward if it is open.

    Parameters
    ----------
    viewer
        The window.
    path
        Run folder, package folder or zip.
    """
    page: ExportWidget
    for page in viewer.window._qt_window.findChildren(ExportWidget):
        frame = frame_of(page)
        if page.path == Path(path) and frame is not None:
            frame.show()
            frame.raise_()
            return page
    page = ExportWidget(viewer, path)
    dock = viewer.window.add_dock_widget(page, name="Export", area="right", tabify=True)
    dock.raise_()
    return page


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def _describe(path: Path) -> Generator[Described]:
    from napari_im2im.zoo.export.drafts import (
        load_draft,
        open_model,
        suggest_metadata,
    )
    from napari_im2im.zoo.export.staging import draw_cover

    package = open_model(path)
    sizes = " × ".join(map(str, package.test_inputs()[0].shape))
    axes = "/".join(package.inputs[0].axis_names)
    yield Described(
        package.name,
        load_draft(path) or suggest_metadata(package),
        QImage.fromData(draw_cover(package)),
        f"The test image is the model's own, {sizes} ({axes}); it becomes the sample "
        "and, with its prediction, the cover.",
        str((package.config.get("parent") or {}).get("path") or ""),
        tuple(package.weights),
    )


def _take_over(path: Path, parent: str) -> Generator[Described]:
    from napari_im2im.zoo.export.drafts import open_model, take_over

    draft = take_over(open_model(path), open_model(Path(parent)))
    yield Described(parent, draft, QImage(), "", parent)


def _export(config: ExportConfig) -> Generator[Event]:
    # Runs in a thread: what it imports is never imported by the window.
    from napari_im2im.zoo.export import export_events
    from napari_im2im.zoo.trust import TrustStore

    yield from export_events(config, trusted=TrustStore().trusted())
