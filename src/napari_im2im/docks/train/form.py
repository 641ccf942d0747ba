"""What to learn from what, for how long: the form of the Train dock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.layers import Labels
from pydantic import ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_im2im.docks.dock import Form, first_problem
from napari_im2im.docks.input_row import InputRow, finite
from napari_im2im.docks.layers import image_to_layer_data
from napari_im2im.docks.train.advice import (
    EFFORTS,
    advise_cost_map,
    advise_layers,
    advise_two_sets,
    describe_training,
    suggest_name,
)
from napari_im2im.docks.train.cost_row import CostRow
from napari_im2im.docks.train.data_pages import DataPage, FolderPage, PatternsPage
from napari_im2im.docks.train.layer_look import LayerLook
from napari_im2im.docks.train.options import TrainOptions
from napari_im2im.docks.train.start_row import StartRow
from napari_im2im.docks.train.task_row import TaskRow
from napari_im2im.errors import ConfigError
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.planning import check_cost_map

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_im2im.api.copy_as import Origin
    from napari_im2im.docks.advice import Advice, Fix
    from napari_im2im.images.folders.tables import TableRow
    from napari_im2im.images.image import Image

_LAYERS, _FOLDER, _FILES = "Layers", "Folder", "Files"
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
        self.origin.addItems([_LAYERS, _FOLDER, _FILES])
        self.rows = {role: InputRow(viewer, role.capitalize()) for role in _ROLES}
        self.cost_map = CostRow(viewer)
        self.folder, self.patterns = FolderPage(), PatternsPage()
        self.task = TaskRow()
        self.start = StartRow()
        self.effort = QComboBox()
        self.effort.addItems(EFFORTS)
        self.name = QLineEdit()
        self.options = TrainOptions(self._sample)
        self.look = LayerLook(self.rows, self)
        self._crop: dict[str, int] = {}
        self._layers_form = QWidget()
        self._arrange()
        self.origin.currentIndexChanged.connect(self._choose_origin)
        for row in self.rows.values():
            row.changed.connect(self._choose_layers)
        self.look.changed.connect(self.changed)
        self.cost_map.changed.connect(self.changed)
        for page in (self.folder, self.patterns):
            page.changed.connect(self.changed)
        self.task.currentIndexChanged.connect(self._choose_task)
        self.start.changed.connect(self.changed)
        self.effort.currentIndexChanged.connect(self.changed)
        self.options.changed.connect(self._adapt_options)
        self._choose_task()
        self._choose_origin()

    def _arrange(self) -> None:
        head, foot = Form(), Form()
        layers = Form()
        head.add("&From", self.origin)
        for role in _ROLES:
            row = self.rows[role]
            layers.add(f"&{role.capitalize()}", row, row.layer_row.first_box())
        layers.add("Cost map", self.cost_map)
        self._foot = foot
        foot.add("Tas&k", self.task)
        foot.add("&Start", self.start, self.start.box)
        foot.add("&Effort", self.effort)
        foot.add("&Name", self.name)
        for box, name in ((self.origin, "Learn from"), (self.effort, "Effort")):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setAccessibleName(name)
        self.name.setAccessibleName("Name")
        self._rows_form = layers
        self._layers_form.setLayout(layers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._layers_form)
        column.addWidget(self.folder)
        column.addWidget(self.patterns)
        column.addLayout(foot)
        column.addWidget(self.options)

    @property
    def _roles(self) -> tuple[str, ...]:
        """What the task needs: without a target there is only the input."""
        return _ROLES[:1] if self.task.info.target == "none" else _ROLES

    @property
    def from_files(self) -> bool:
        """Whether to learn from files instead of layers."""
        return self.page is not None

    def reads(self, role: str) -> bool:
        """Whether the layers of a row are learned from."""
        return role in self._roles and not self.from_files

    @property
    def page(self) -> DataPage | None:
        """Where files are named, None where layers are learned from."""
        pages = {_FOLDER: self.folder, _FILES: self.patterns}
        return pages.get(self.origin.currentText())

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        source, target = self.rows.values()
        source.reset_choices()
        target.reset_choices()
        self._suggest_target()
        self.cost_map.reset_choices()

    def config(self) -> TrainConfig:
        """Return the job that the form describes.

        Raises
        ------
        ConfigError
            If an option makes no sense.
        """
        values = {"task": self.task.task, **self.options.values()}
        if not self.task.info.two_sets:
            values |= self.start.values()
        data = values.setdefault("data", {})
        if self.page is not None:
            data |= self.page.data()
            names = self.page.names()[: len(self._roles)]
        else:
            names = []
            for role in self._roles:
                data |= self._layer_data(role)
                names.append(" ".join(layer.name for layer in self.rows[role].layers))
        effort = values.setdefault("effort", {})
        if not {"steps", "epochs"} & set(effort):
            effort["seconds"] = EFFORTS[self.effort.currentText()]
        suggestion = suggest_name(*names, task=self.task.task)
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
        cropped = {} if self.task.info.two_sets else self._crop
        region = {axis: slice(0, size) for axis, size in cropped.items()}
        images = [self.rows[role].image() for role in self._roles]
        images = [images[0], images[-1]]
        source, target = (image.crop(region) if image else None for image in images)
        return source, target

    def cost_image(self) -> Image | None:
        """Return how much each pixel counts, None where all count alike.

        Raises
        ------
        Im2ImError
            If the chosen layer doesn't say it for the chosen images.
        """
        row = self.rows["input"]
        wanted = self.cost_map.layer is not None and not self.task.info.two_sets
        if not (wanted and row.layers):
            return None
        image = self.cost_map.image(row.layers[0], row.layer_axes())
        target = self.images()[1]
        if image is None or target is None:
            return None
        crop = {a: slice(0, size) for a, size in self._crop.items() if a in image.axes}
        image = image.crop(crop)
        check_cost_map(image, target)
        return image

    def _sample(self) -> Callable[[], list[Image]] | None:
        """Return what opens input and target to show augmentation on, if chosen."""
        if self.page is not None:
            rows = self.page.rows[:1]
            alone = self.task.info.two_sets
            return partial(_open, rows[0], alone=alone) if rows else None
        chosen = [row.image() for row in self.rows.values()]
        if not self.task.info.paired:
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
        if self.page is not None:
            return [*self.page.advice(config.data), *self._start_advice(config)]
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
            pixels={r: self.look.facts[r] for r in self._roles if r in self.look.facts},
        )
        if source is not None and target is not None:
            advice.insert(0, describe_training(source, target, config))
            advice += advise_cost_map(self.cost_image())
            advice += self._start_advice(config, source, target)
        return advice

    def _start_advice(
        self,
        config: TrainConfig,
        source: Image | None = None,
        target: Image | None = None,
    ) -> list[Advice]:
        """Say what becomes of the model that training starts from, and what is kept."""
        if self.task.info.two_sets:
            return [advise_two_sets(config)]
        return self.start.advice(config, source, target)

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        if fix.action == "crop":
            self._crop = fix.value
        elif fix.action == "patch":
            patch = self.config().patch or {}
            self.options.set_value("patch", {**patch, **fix.value})
        elif fix.action == "patterns":
            self.origin.setCurrentText(_FILES)
            self.patterns.fields["input"].line.setFocus()
        elif fix.action == "task":
            self.task.set_task(fix.value)
        elif fix.action == "trust":
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
        self._rows_form.show_row(self.rows["target"], "target" in self._roles)
        two_sets = self.task.info.two_sets
        self._rows_form.show_row(self.cost_map, not two_sets)
        self._foot.show_row(self.start, not two_sets)
        self._suggest_target()
        for page in (self.folder, self.patterns):
            page.set_task(self.task.task, self.task.info)
        self.options.labels = self.task.info.target == "labels"
        self._adapt_options()

    def _adapt_options(self) -> None:
        """Show the options that count for the task, and for the other options."""
        self.task.adapt(self.options)
        self.changed.emit()

    def _suggest_target(self) -> None:
        """Choose a layer of the kind that is learned, unless the user chose one."""
        inputs, row = (row.layer_row for row in self.rows.values())
        kind = Labels if self.task.info.target == "labels" else ImageLayer
        fits = all(isinstance(layer, kind) for layer in row.layers)
        if not row.by_hand and (not fits or inputs.layers == row.layers):
            row.choose_other_than(inputs.layers, kind)

    def _choose_origin(self) -> None:
        self._layers_form.setVisible(not self.from_files)
        for page in (self.folder, self.patterns):
            page.setVisible(page is self.page)
        self.changed.emit()

    def _choose_layers(self) -> None:
        self._crop = {}
        self.look.look()
        self.changed.emit()


def _open(row: TableRow, *, alone: bool) -> list[Image]:
    """Open input and target, or one image twice where none belongs to it."""
    from napari_im2im.images.reading import open_image

    source = (row.inputs or row.targets)[0]
    target = source if alone or not row.targets else row.targets[0]
    return [open_image(path) for path in (source, target)]
