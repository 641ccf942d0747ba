"""The Train dock: layers or files in, a model out, watched while it learns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from qtpy.QtWidgets import QComboBox, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_im2im.docks.advice import (
    Advice,
    Fix,
    PixelFacts,
    probe_pixels,
)
from napari_im2im.docks.dock import Dock, Form, first_problem
from napari_im2im.docks.input_row import InputRow, finite
from napari_im2im.docks.layers import image_to_layer_data
from napari_im2im.docks.opening import open_dock, open_sample
from napari_im2im.docks.options import Options
from napari_im2im.docks.pair_table import FilesField, PairTable
from napari_im2im.docks.resume import ResumeOffer
from napari_im2im.docks.settings import load_settings, remember
from napari_im2im.docks.training_advice import (
    EFFORTS,
    advise_files,
    advise_layers,
    describe_training,
    suggest_name,
)
from napari_im2im.docks.training_run import TrainingView
from napari_im2im.errors import ConfigError, Im2ImError
from napari_im2im.models.networks import CATALOGUE
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import napari

    from napari_im2im.events import Event
    from napari_im2im.images.image import Image

OPTIONS = {
    "spatial_axes": "2D or 3D",
    "patch": "Patch",
    "batch_size": "Batch",
    "network.name": "Network",
    "network.size": "Network size",
    "network.kwargs": "Network arguments",
    "loss": "Loss",
    "optimizer.learning_rate": "Learning rate",
    "input_normalization": "Normalise input",
    "target_normalization": "Normalise target",
    "augmentation": "Augmentation",
    "effort.epochs": "Epochs",
    "effort.steps": "Steps",
    "effort.patience": "Patience",
    "data.validation_fraction": "Validation part",
    "device": "Device",
    "precision": "Precision",
    "seed": "Seed",
    "output": "Runs folder",
}

SUGGESTIONS = {
    "network.name": tuple(CATALOGUE),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
}

_LAYERS, _FILES = "Layers", "Files"


class TrainWidget(Dock):
    """Learn to make one image from another.

    Parameters
    ----------
    napari_viewer
        The window.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, "Train")
        self.origin = QComboBox()
        self.origin.addItems([_LAYERS, _FILES])
        self.input = InputRow(napari_viewer, "Input")
        self.target = InputRow(napari_viewer, "Target")
        self.input_files = FilesField("Input")
        self.target_files = FilesField("Target")
        self.pairs = PairTable()
        self.effort = QComboBox()
        self.effort.addItems(EFFORTS)
        self.name = QLineEdit()
        self.options = Options(TrainConfig, OPTIONS, SUGGESTIONS)
        self.view = TrainingView(self.job_row)
        self.resume = ResumeOffer()
        self._pairs: list[tuple[Path, Path]] = []
        self._problem = ""
        self._pixels: dict[str, tuple[list[Any], PixelFacts]] = {}
        self._crop: dict[str, int] = {}
        self._layers_form = QWidget()
        self._files_form = QWidget()
        self._arrange()
        self._recall()
        self._connect()
        self._choose_origin()
        self.reset_choices()

    def _arrange(self) -> None:
        head, foot = Form(), Form()
        layers, files = Form(), Form()
        head.add("&From", self.origin)
        layers.add("&Input", self.input, self.input.layer_row.first_box())
        layers.add("&Target", self.target, self.target.layer_row.first_box())
        files.add("&Input", self.input_files, self.input_files.line)
        files.add("&Target", self.target_files, self.target_files.line)
        files.addWidget(self.pairs, 3, 0, 1, 2)
        foot.add("&Effort", self.effort)
        foot.add("&Name", self.name)
        for box in (self.origin, self.effort):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._layers_form.setLayout(layers)
        self._files_form.setLayout(files)
        self.form = QWidget()
        column = QVBoxLayout(self.form)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for part in (head, self._layers_form, self._files_form, foot, self.options):
            if isinstance(part, QWidget):
                column.addWidget(part)
            else:
                column.addLayout(part)
        self._body.addWidget(self.resume)
        self._body.addWidget(self.form)
        self._body.addWidget(self.view)
        self._body.addStretch()
        self.view.hide()
        self.origin.setAccessibleName("Learn from")
        self.effort.setAccessibleName("Effort")
        self.name.setAccessibleName("Name")

    def _connect(self) -> None:
        self.origin.currentIndexChanged.connect(self._choose_origin)
        for row in (self.input, self.target):
            row.changed.connect(self._choose_layers)
        for field in (self.input_files, self.target_files):
            field.changed.connect(self._pair_files)
        self.effort.currentIndexChanged.connect(self.refresh_soon)
        self.options.changed.connect(self.refresh_soon)
        self.view.started.connect(self._remember_run)
        self.view.try_requested.connect(self._try)
        self.resume.accepted.connect(self._resume)

    def _recall(self) -> None:
        settings = load_settings().get("train", {})
        self.effort.setCurrentText(settings.get("effort", "Standard · 30 min"))
        self.options.set_texts(settings.get("options", {}))
        self.resume.offer(load_settings().get("running"))

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        before = self.target.layers
        self.input.reset_choices()
        self.target.reset_choices()
        if self.input.layers == self.target.layers and len(before) < 2:
            self.target.layer_row.choose_other_than(self.input.layers)
        self.refresh_soon()

    # -- what will happen --------------------------------------------------------

    def _choose_origin(self) -> None:
        files = self.origin.currentText() == _FILES
        self._layers_form.setVisible(not files)
        self._files_form.setVisible(files)
        self.refresh_soon()

    def _choose_layers(self) -> None:
        """Look at the pixels of the chosen layers, in a thread."""
        self._crop = {}
        if not self.running:
            for role, row in (("input", self.input), ("target", self.target)):
                self._probe(role, row)
        self.refresh_soon()

    def _probe(self, role: str, row: InputRow) -> None:
        key = [layer.data for layer in row.layers]
        known = self._pixels.get(role)
        if known is not None and _same(known[0], key):
            return
        self._pixels.pop(role, None)
        try:
            image = row.image()
        except Im2ImError:
            return  # the sentence says why
        if image is not None:
            self._look(partial(_probe, image), partial(self._keep_pixels, role, key))

    def _keep_pixels(self, role: str, key: list[Any], facts: PixelFacts) -> None:
        row = self.input if role == "input" else self.target
        if _same(key, [layer.data for layer in row.layers]):
            self._pixels[role] = (key, facts)
            self.refresh_soon()

    def _pair_files(self) -> None:
        """Pair the files in a thread."""
        inputs, targets = self.input_files.patterns, self.target_files.patterns
        self._pairs, self._problem = [], ""
        self.pairs.show_pairs([])
        if inputs and targets:
            self._look(partial(_pair, inputs, targets), self._keep_pairs)
        self.refresh_soon()

    def _keep_pairs(self, found: tuple[list[tuple[Path, Path]], str]) -> None:
        self._pairs, self._problem = found
        self.pairs.show_pairs(self._pairs)
        self.refresh()

    def refresh(self) -> None:
        """Say what the training will do, or what to fix first."""
        if self.running:
            return
        try:
            advice = self._advice()
        except Im2ImError as error:
            advice = [Advice(str(error), "stop")]
        self.job_row.show_advice(advice)

    def _advice(self) -> list[Advice]:
        config = self._make_config()
        self.name.setPlaceholderText(config.name)
        if self.origin.currentText() == _FILES:
            return advise_files(self._pairs, self._problem)
        source, target = self._images()
        advice = advise_layers(
            source,
            target,
            config,
            same=bool(set(self.input.layers) & set(self.target.layers)),
            labels=(self.input.is_labels, self.target.is_labels),
            guessed=(self.input.axes_row.guessed, self.target.axes_row.guessed),
            pixels={role: facts for role, (_, facts) in self._pixels.items()},
        )
        if source is not None and target is not None:
            advice.insert(0, describe_training(source, target, config))
        return advice

    def _images(self) -> tuple[Image | None, Image | None]:
        pair = self.input.image(), self.target.image()
        region = {axis: slice(0, size) for axis, size in self._crop.items()}
        cropped = [image.crop(region) if image else None for image in pair]
        return cropped[0], cropped[1]

    def _make_config(self) -> TrainConfig:
        """Return the job as the dock describes it."""
        values = self.options.values()
        data = values.setdefault("data", {})
        names = [[layer.name for layer in r.layers] for r in (self.input, self.target)]
        if self.origin.currentText() == _FILES:
            data["inputs"] = self.input_files.patterns
            data["targets"] = self.target_files.patterns
            names = [[Path(p).stem for p in data[k]] for k in ("inputs", "targets")]
        else:
            for role, row in (("input", self.input), ("target", self.target)):
                data[f"{role}_channels"] = row.channels
                origin = row.origin()
                if origin.file is not None and not self._crop:
                    data[f"{role}s"] = [origin.file]
                    data[f"{role}_axes"] = origin.letters
        effort = values.setdefault("effort", {})
        if not {"steps", "epochs"} & set(effort):
            effort["seconds"] = EFFORTS[self.effort.currentText()]
        suggestion = suggest_name(*(" ".join(parts) for parts in names))
        try:
            return TrainConfig(name=self.name.text().strip() or suggestion, **values)
        except ValidationError as error:
            raise ConfigError(first_problem(error)) from error

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        if fix.action == "sample":
            open_sample(self.viewer)
        elif fix.action == "crop":
            self._crop = fix.value
        elif fix.action == "patch":
            patch = self._make_config().patch or {}
            self.options.set_value("patch", {**patch, **fix.value})
        elif fix.action == "replace_not_finite":
            self._replace_not_finite(fix.value)
        elif fix.action == "edit_axes":
            self._row(fix.value).axes_row.edit()
        elif fix.action == "first_axis":
            role, axis = fix.value
            self._row(role).apply_fix(Fix("", "first_axis", axis))
        self.refresh_soon()

    def _row(self, role: str) -> InputRow:
        return self.input if role == "input" else self.target

    def _replace_not_finite(self, role: str) -> None:
        """Add a layer without NaN, and choose it."""
        row = self._row(role)
        image = row.image()
        if image is None:
            return
        clean = finite(image).renamed(f"{image.name} (finite)")
        ((data, arguments, _),) = image_to_layer_data(clean, split_channels=False)
        row.layer_row.set_layers([self.viewer.add_image(data, **arguments)])

    # -- running ------------------------------------------------------------------

    def run(self) -> None:
        """Train what the dock describes."""
        if self.running:
            return
        self.refresh()
        if self.job_row.run_button.isEnabled():
            self._train(self._make_config())

    def _resume(self, folder: str) -> None:
        if not self.running:
            self._train(TrainConfig(resume=Path(folder)))

    def _train(self, config: TrainConfig) -> None:
        pairs: list[tuple[Image, Image]] | None = None
        channels: tuple[str, ...] = ()
        if self.origin.currentText() == _LAYERS:
            source, target = self._images()
            if source is None or target is None:
                self.refresh()
                return
            pairs = [(source, target)]
            channels = target.channel_names
        texts = self.options.texts()
        remember(train={"effort": self.effort.currentText(), "options": texts})
        self.resume.hide()
        self.form.hide()
        origins = [self.input.origin(), self.target.origin()] if pairs else []
        folder = config.resume.name if config.resume else config.name
        self.view.begin((config, origins), f"Training {folder}", channels)
        self._start(partial(_train, config, pairs), self.view.hear, self._end)
        self.job_row.show_status("Loading …")

    def _remember_run(self, folder: Path) -> None:
        """Remember what runs, so that it can go on after a crash."""
        remember(
            running={
                "folder": str(folder),
                "input": [layer.name for layer in self.input.layers],
                "target": [layer.name for layer in self.target.layers],
            }
        )

    def _end(self, end: str) -> None:
        remember(running=None)
        self.form.show()
        self.view.end(end)

    def _try(self, package: str) -> None:
        """Open Predict with a model and the input of this training."""
        predict = open_dock(self.viewer, "Predict")
        predict.use_model(package)
        predict.inputs[0].layer_row.set_layers(self.input.layers)


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        a is b for a, b in zip(one, other, strict=True)
    )


# These run in a thread: what they import is never imported by the window.


def _probe(image: Image) -> Generator[PixelFacts]:
    yield probe_pixels(image)


def _pair(
    inputs: Sequence[str], targets: Sequence[str]
) -> Generator[tuple[list[tuple[Path, Path]], str]]:
    from napari_im2im.images.pairing import pair_files

    try:
        yield pair_files(inputs, targets), ""
    except Im2ImError as error:
        yield [], str(error)


def _train(
    config: TrainConfig, pairs: Sequence[tuple[Image, Image]] | None
) -> Generator[Event]:
    from napari_im2im.training.loop import train_events

    yield from train_events(config, pairs)
