"""What to learn from what, for how long: the form of the Train dock."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_im2im.docks.dock import Form, first_problem
from napari_im2im.docks.input_row import InputRow, finite
from napari_im2im.docks.job import Job
from napari_im2im.docks.layers import image_to_layer_data
from napari_im2im.docks.pair_table import FilesField, PairTable
from napari_im2im.docks.pixel_facts import PixelFacts, probe_pixels
from napari_im2im.docks.start_row import StartRow
from napari_im2im.docks.task_row import TaskRow
from napari_im2im.docks.train_options import TrainOptions
from napari_im2im.docks.training_advice import (
    EFFORTS,
    advise_files,
    advise_layers,
    describe_training,
    suggest_name,
)
from napari_im2im.errors import ConfigError, Im2ImError
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import napari

    from napari_im2im.api.copy_as import Origin
    from napari_im2im.docks.advice import Advice, Fix
    from napari_im2im.images.image import Image

_LAYERS, _FILES = "Layers", "Files"
_ROLES = ("input", "target")


class TrainForm(QWidget):  # type: ignore[misc]
    """Layers or files, effort, name and options of a training.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.origin = QComboBox()
        self.origin.addItems([_LAYERS, _FILES])
        self.rows = {role: InputRow(viewer, role.capitalize()) for role in _ROLES}
        self.files = {role: FilesField(role.capitalize()) for role in _ROLES}
        self.pairs = PairTable()
        self.task = TaskRow()
        self.start = StartRow()
        self.effort = QComboBox()
        self.effort.addItems(EFFORTS)
        self.name = QLineEdit()
        self.options = TrainOptions(self._sample)
        self._pairs: list[tuple[Path, Path]] = []
        self._problem = ""
        self._pixels: dict[str, tuple[list[Any], PixelFacts]] = {}
        self._crop: dict[str, int] = {}
        self._layers_form = QWidget()
        self._files_form = QWidget()
        self._arrange()
        self.origin.currentIndexChanged.connect(self._choose_origin)
        for row in self.rows.values():
            row.changed.connect(self._choose_layers)
        for field in self.files.values():
            field.changed.connect(self._pair_files)
        self.task.currentIndexChanged.connect(self._choose_task)
        self.start.changed.connect(self.changed)
        self.effort.currentIndexChanged.connect(self.changed)
        self.options.changed.connect(self.changed)
        self._choose_task()
        self._choose_origin()

    def _arrange(self) -> None:
        head, foot = Form(), Form()
        layers, files = Form(), Form()
        head.add("&From", self.origin)
        for role in _ROLES:
            row, field = self.rows[role], self.files[role]
            layers.add(f"&{role.capitalize()}", row, row.layer_row.first_box())
            files.add(f"&{role.capitalize()}", field, field.line)
        files.addWidget(self.pairs, 3, 0, 1, 2)
        foot.add("Tas&k", self.task)
        foot.add("&Start", self.start, self.start.box)
        foot.add("&Effort", self.effort)
        foot.add("&Name", self.name)
        for box, name in ((self.origin, "Learn from"), (self.effort, "Effort")):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setAccessibleName(name)
        self.name.setAccessibleName("Name")
        self._forms = layers, files
        self._layers_form.setLayout(layers)
        self._files_form.setLayout(files)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._layers_form)
        column.addWidget(self._files_form)
        column.addLayout(foot)
        column.addWidget(self.options)

    @property
    def _roles(self) -> tuple[str, ...]:
        """What the task needs: without a target there is only the input."""
        return _ROLES[:1] if self.task.info.target == "none" else _ROLES

    @property
    def from_files(self) -> bool:
        """Whether to learn from files instead of layers."""
        return bool(self.origin.currentText() == _FILES)

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        source, target = self.rows.values()
        source.reset_choices()
        target.reset_choices()
        if source.layers == target.layers and not target.layer_row.by_hand:
            target.layer_row.choose_other_than(source.layers)

    def config(self) -> TrainConfig:
        """Return the job that the form describes.

        Raises
        ------
        ConfigError
            If an option makes no sense.
        """
        values = {
            "task": self.task.task,
            **self.options.values(),
            **self.start.values(),
        }
        data = values.setdefault("data", {})
        names = []
        for role in self._roles:
            if self.from_files:
                data[f"{role}s"] = self.files[role].patterns
                names.append(" ".join(Path(p).stem for p in data[f"{role}s"]))
            else:
                data |= self._layer_data(role)
                names.append(" ".join(layer.name for layer in self.rows[role].layers))
        effort = values.setdefault("effort", {})
        if not {"steps", "epochs"} & set(effort):
            effort["seconds"] = EFFORTS[self.effort.currentText()]
        suggestion = suggest_name(names[0], names[1] if names[1:] else "denoised")
        self.name.setPlaceholderText(suggestion)
        try:
            return TrainConfig(name=self.name.text().strip() or suggestion, **values)
        except ValidationError as error:
            raise ConfigError(first_problem(error)) from error

    def _layer_data(self, role: str) -> dict[str, Any]:
        """Return the channels of a row, and its file if it is one."""
        row = self.rows[role]
        data: dict[str, Any] = {f"{role}_channels": row.channels}
        origin = row.origin()
        if origin.file is not None and not self._crop:
            data[f"{role}s"] = [origin.file]
            data[f"{role}_axes"] = origin.letters
        return data

    def images(self) -> tuple[Image | None, Image | None]:
        """Return input and target, cropped if the user said so.

        Raises
        ------
        ImageError
            If layers make no image.
        """
        region = {axis: slice(0, size) for axis, size in self._crop.items()}
        images = [self.rows[role].image() for role in self._roles]
        images = [images[0], images[-1]]
        source, target = (image.crop(region) if image else None for image in images)
        return source, target

    def _sample(self) -> Callable[[], list[Image]] | None:
        """Return what opens input and target to show augmentation on, if chosen."""
        if self.from_files:
            paths = self._pairs[:1]
            return partial(_open, paths[0]) if paths else None
        chosen = [row.image() for row in self.rows.values()]
        if self.task.info.target == "none":
            chosen[1] = chosen[0]
        images = [image for image in chosen if image is not None]
        return (lambda: images) if len(images) == 2 else None

    def origins(self) -> list[Origin]:
        """Return where input and target come from; nothing if files are named."""
        if self.from_files:
            return []
        return [self.rows[role].origin() for role in self._roles]

    def advice(self) -> list[Advice]:
        """Say what the training will do, or what to fix first.

        Raises
        ------
        Im2ImError
            If the job can't be described.
        """
        config = self.config()
        if self.from_files:
            files = advise_files(self._pairs, self._problem)
            return [*files, *self.start.advice(config, None, None)]
        source, target = self.images()
        chosen = [self.rows[role] for role in self._roles]
        rows = [chosen[0], chosen[-1]]
        shared = set.intersection(*({*row.layers} for row in self.rows.values()))
        advice = advise_layers(
            source,
            target,
            config,
            same=bool(shared) and len(chosen) > 1,
            labels=[row.is_labels for row in rows],
            guessed=[row.axes_row.guessed for row in rows],
            pixels={r: self._pixels[r][1] for r in self._roles if r in self._pixels},
        )
        if source is not None and target is not None:
            advice.insert(0, describe_training(source, target, config))
            advice += self.start.advice(config, source, target)
        return advice

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        if fix.action == "crop":
            self._crop = fix.value
        elif fix.action == "patch":
            patch = self.config().patch or {}
            self.options.set_value("patch", {**patch, **fix.value})
        elif fix.action == "task":
            self.task.set_task(fix.value)
        elif fix.action == "trust_start":
            self.start.ask_for_trust(fix.value)
        elif fix.action == "option":
            self.options.set_value(*fix.value)
        elif fix.action == "replace_not_finite":
            self._replace_not_finite(fix.value)
        elif fix.action == "edit_axes":
            self.rows[fix.value].axes_row.edit()
        elif fix.action == "first_axis":
            role, axis = fix.value
            self.rows[role].set_first_axis(axis)

    def _replace_not_finite(self, role: str) -> None:
        """Add a layer without NaN, and choose it."""
        row = self.rows[role]
        image = row.image()
        if image is None:
            return
        clean = finite(image).renamed(f"{image.name} (finite)")
        ((data, arguments, _),) = image_to_layer_data(clean, split_channels=False)
        row.layer_row.set_layers([self._viewer.add_image(data, **arguments)])

    def _choose_task(self) -> None:
        """Ask for what the task needs."""
        targets = self.rows["target"], self.files["target"]
        for form, target in zip(self._forms, targets, strict=True):
            form.show_row(target, "target" in self._roles)
        self.task.adapt(self.options)
        self.options.labels = self.task.info.target == "labels"
        self.changed.emit()

    # -- looking at layers and files, in a thread ----------------------------------

    def _choose_origin(self) -> None:
        self._layers_form.setVisible(not self.from_files)
        self._files_form.setVisible(self.from_files)
        self.changed.emit()

    def _choose_layers(self) -> None:
        self._crop = {}
        for role in _ROLES:
            self._look_at(role)
        self.changed.emit()

    def _look_at(self, role: str) -> None:
        arrays = [layer.data for layer in self.rows[role].layers]
        known = self._pixels.get(role)
        if known is not None and _same(known[0], arrays):
            return
        self._pixels.pop(role, None)
        try:
            image = self.rows[role].image()
        except Im2ImError:
            return  # the dock says why
        if image is not None:
            self._start(partial(_probe, image), partial(self._keep, role, arrays))

    def _keep(self, role: str, arrays: list[Any], facts: PixelFacts) -> None:
        if _same(arrays, [layer.data for layer in self.rows[role].layers]):
            self._pixels[role] = (arrays, facts)
            self.changed.emit()

    def _pair_files(self) -> None:
        inputs, targets = (self.files[role].patterns for role in _ROLES)
        self._pairs, self._problem = [], ""
        self.pairs.show_pairs([])
        if inputs and targets:
            self._start(partial(_pair, inputs, targets), self._keep_pairs)
        self.changed.emit()

    def _keep_pairs(self, found: tuple[list[tuple[Path, Path]], str]) -> None:
        self._pairs, self._problem = found
        self.pairs.show_pairs(self._pairs)
        self.changed.emit()

    def _start(self, make: Any, on_result: Any) -> None:
        job = Job(make, self)
        job.event.connect(on_result)
        job.start()


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        a is b for a, b in zip(one, other, strict=True)
    )


def _open(paths: tuple[Path, Path]) -> list[Image]:
    from napari_im2im.images.reading import open_image

    return [open_image(path) for path in paths]


def _probe(image: Image) -> Generator[PixelFacts]:
    yield probe_pixels(image)


def _pair(
    inputs: Sequence[str], targets: Sequence[str]
) -> Generator[tuple[list[tuple[Path, Path]], str]]:
    # Imported here: it is only needed for files.
    from napari_im2im.images.pairing import pair_files

    try:
        yield pair_files(inputs, targets), ""
    except Im2ImError as error:
        yield [], str(error)
