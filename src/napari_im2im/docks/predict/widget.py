"""The Predict dock: a model, an image, and a layer that fills with the result."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils import Colormap
from pydantic import ValidationError

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.docks.dock import Dock, Form, first_problem
from napari_im2im.docks.input_row import InputRow
from napari_im2im.docks.layers import layer_to_image
from napari_im2im.docks.loading import load
from napari_im2im.docks.model_picker import ModelPicker
from napari_im2im.docks.opening import open_dock, open_sample
from napari_im2im.docks.options import Options
from napari_im2im.docks.predict.advice import (
    ModelFacts,
    advise_prediction,
    describe_prediction,
    facts_of,
    result_path,
)
from napari_im2im.docks.predict.options import DEVICES, OBJECT_OPTIONS, OPTIONS
from napari_im2im.docks.predict.region import RegionBox
from napari_im2im.docks.predict.result_actions import ResultActions
from napari_im2im.docks.predict.results import ResultLayers
from napari_im2im.docks.predict.run import PredictionRun
from napari_im2im.docks.settings import load_settings, remember
from napari_im2im.docks.trust import ask_for_trust
from napari_im2im.errors import ConfigError, Im2ImError
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.objects.decoding import OBJECT_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    import napari
    from napari.layers import Layer

    from napari_im2im.api.copy_as import Origin
    from napari_im2im.events import Event
    from napari_im2im.images.image import Image

_LIBRARIES = ("napari_im2im.inference.prediction", "openvino", "torch")
"""What most models need; not each of them, so a job waits for the first only."""

ERROR_COLORS = Colormap([[0.2, 0.7, 1], [0, 0, 0], [1, 0.6, 0.1]], name="error")
"""Blue where a result is too dark, orange where it is too bright."""


class PredictWidget(Dock):
    """Apply a model to a layer.

    Parameters
    ----------
    napari_viewer
        The window.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, "Predict", _LIBRARIES)
        self.model_picker = ModelPicker()
        self.inputs = [InputRow(napari_viewer, "Image")]
        self.region = RegionBox(napari_viewer)
        self.options = Options(PredictConfig, OPTIONS, DEVICES)
        self.actions = ResultActions(napari_viewer)
        self._facts: ModelFacts | None = None
        self._run: PredictionRun | None = None
        self._resumed = ""
        self._origins: list[Origin] = []
        self._form = Form()
        self._arrange()
        settings = load_settings().get("predict", {})
        self.options.set_texts(settings.get("options", {}))
        if model := settings.get("model"):
            self.model_picker.choose_listed(model)
        self._connect()
        self._adapt_options({})
        self.reset_choices()
        self.inputs[0].choose_active()
        self._read_model()

    def _arrange(self) -> None:
        self._form.add("&Model", self.model_picker, self.model_picker.box)
        row = self.inputs[0]
        self._form.add("&Image", row, row.layer_row.first_box())
        self._form.add("&Region", self.region)
        self._body.addLayout(self._form)
        self._body.addWidget(self.options)
        self._body.addWidget(self.actions)
        self._close_body()
        self.actions.hide()

    def _connect(self) -> None:
        self.model_picker.changed.connect(self._read_model)
        self.model_picker.more_requested.connect(
            lambda: open_dock(self.viewer, "Model Zoo")
        )
        self.inputs[0].changed.connect(self.refresh_soon)
        self.region.changed.connect(self.refresh_soon)
        self.options.changed.connect(self.refresh_soon)
        self.actions.measure_requested.connect(self._measure)

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        for row in self.inputs:
            row.reset_choices()
        self.region.reset_choices()
        self.actions.reset_choices()
        self.refresh_soon()

    def use_model(self, path: str) -> None:
        """Choose a model, e.g. the best of a training."""
        self.model_picker.choose(path)

    # -- what will happen --------------------------------------------------------

    def _read_model(self) -> None:
        """Read the description of the chosen model in a thread."""
        self._facts = None
        self.job_row.clear_notes()
        model = self.model_picker.model
        if model is not None:
            self._look(partial(_describe_model, model), self._keep_facts)
        self.refresh_soon()

    def _keep(self, agreement: Callable[[], Generator[bool]]) -> None:
        """Remember an agreement; the model may need another, or none."""
        self._look(agreement, lambda _: self._read_model())

    def _keep_facts(self, facts: ModelFacts) -> None:
        if facts.path != self.model_picker.model:
            return  # another model was chosen since
        self._facts = facts
        self._show_inputs(facts.input_names)
        self._adapt_options(facts.meaning)
        for row, channels in zip(self.inputs, facts.channels, strict=True):
            row.expect(channels, facts.spatial)
        self.refresh()

    def _adapt_options(self, meaning: Mapping[str, Any]) -> None:
        """Show the options that count for what a model makes, and its own values."""
        task = meaning.get("name")
        self.options.show_row("result", task in (*OBJECT_TASKS, "semantic"))
        for name in OBJECT_OPTIONS:
            self.options.show_row(name, task in OBJECT_TASKS)
            own = meaning.get(name.removeprefix("objects."))
            self.options.set_hint(name, f"{own} (of the model)")

    def _show_inputs(self, names: Sequence[str]) -> None:
        """Have a row for each input of the model."""
        while len(self.inputs) > len(names):
            self._form.take(self.inputs.pop())
        for name in names[len(self.inputs) :]:
            row = InputRow(self.viewer, name)
            row.changed.connect(self.refresh_soon)
            self._form.add(name, row, row.layer_row.first_box())
            self.inputs.append(row)

    def refresh(self) -> None:
        """Say what the prediction will do, or what to fix first."""
        if self.running:
            return
        try:
            images = self._images()
            config = self._make_config(images)
            advice = advise_prediction(
                images,
                self._facts,
                config,
                labels=self.inputs[0].is_labels,
                guessed=self.inputs[0].axes_row.guessed,
            )
        except Im2ImError as error:
            self.job_row.show_advice([Advice(str(error), "stop")])
            return
        if not any(one.holds for one in advice):
            pace = load_settings().get("pace", {}).get(config.model)
            name = self.model_picker.model_name
            advice = [describe_prediction(images[0], config, name, pace), *advice]
        self._show_advice(advice)

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        if fix.action == "sample":
            open_sample(self.viewer)
        elif fix.action == "open":
            open_dock(self.viewer, fix.value)
        elif fix.action == "start_from":
            open_dock(self.viewer, "Train").start_from(fix.value)
        elif fix.action == "resume":
            self._resumed = fix.value
        elif fix.action == "trust":
            ask_for_trust(fix.value, self.model_picker.model_name, self, self._keep)
        else:
            self.inputs[0].apply_fix(fix)
        self.refresh_soon()

    def _images(self) -> list[Image]:
        images = [row.image() for row in self.inputs]
        return [image for image in images if image is not None]

    def _make_config(self, images: Sequence[Image]) -> PredictConfig:
        """Return the job as the dock describes it."""
        values = self.options.values()
        if images:
            first = self.inputs[0]
            spatial = self._facts.spatial if self._facts else "yx"
            values["region"] = self.region.region(
                first.layers[0], first.layer_axes(), spatial
            )
            origins = [row.origin() for row in self.inputs]
            files = [origin.file for origin in origins if origin.file]
            if len(files) == len(origins):
                values["inputs"] = files
                values["axes"] = origins[0].letters
            if "output" not in values:
                values["output"] = result_path(images[0], self._facts, values["region"])
        if values.get("output"):
            values["resume"] = str(values["output"]) == self._resumed
        try:
            return PredictConfig(
                model=self.model_picker.model or "",
                channels=self.inputs[0].channels,
                **values,
            )
        except ValidationError as error:
            raise ConfigError(first_problem(error)) from error

    # -- running ------------------------------------------------------------------

    def run(self) -> None:
        """Predict what the dock describes."""
        if self.running:
            return
        self.refresh()
        if not self.job_row.run_button.isEnabled():
            return
        images = self._images()
        config = self._make_config(images)
        self._origins = [row.origin() for row in self.inputs]
        first = self.inputs[0]
        results = ResultLayers(
            self.viewer,
            first.layers[0],
            first.layer_axes(),
            config.region or {},
            self.model_picker.model_name,
        )
        texts = self.options.texts()
        texts.pop("output", None)  # a file is written once
        remember(predict={"model": config.model, "options": texts})
        self.actions.hide()
        self._resumed = ""
        self._run = PredictionRun(config, results, self.job_row, self.options)
        self._start(partial(_predict, config, images), self._run.hear, self._end)
        self.job_row.show_status("Loading the model …")

    def _end(self, end: str) -> None:
        run = self._run
        assert run is not None
        run.end(end)
        if run.pace is not None:
            paces = load_settings().get("pace", {})
            remember(pace={**paces, run.config.model: run.pace})
        if run.results.layers:
            self.actions.show_results(
                run.results.source, run.results.layers, (run.config, self._origins)
            )

    # -- afterwards ---------------------------------------------------------------

    def _measure(self, result: Layer, truth: Layer) -> None:
        self.actions.show_outcome("Measuring …")
        images = layer_to_image(result), layer_to_image(truth)
        measured = partial(_measure, *images)
        if isinstance(result, Labels):
            classes = result.metadata["napari_im2im"].get("classes")
            measured = partial(_measure_labels, *images, classes)
        self._look(
            measured,
            partial(self._show_measurement, result),
            self.actions.show_outcome,
        )

    def _show_measurement(self, result: Layer, measurement: Any) -> None:
        text, error = measurement
        self.actions.show_outcome(text)
        size = float(abs(error).max()) or 1.0
        self.viewer.add_image(
            error,
            name=f"error of {result.name}",
            colormap=ERROR_COLORS,
            contrast_limits=(-size, size),
            scale=result.scale,
            translate=result.translate,
            rotate=result.rotate,
            shear=result.shear,
            affine=result.affine,
            units=result.units,
            axis_labels=result.axis_labels,
        )


# These run in a thread: what they import is never imported by the window.


def _describe_model(path: str) -> Generator[ModelFacts]:
    from napari_im2im.models.package import load_package

    yield facts_of(load_package(path), path)


def _predict(config: PredictConfig, images: Sequence[Image]) -> Generator[Event]:
    load(_LIBRARIES[:1])
    from napari_im2im.inference.prediction import predict_events
    from napari_im2im.zoo.trust import TrustStore

    yield from predict_events(config, images, trusted=TrustStore().trusted())


def _measure(result: Image, truth: Image) -> Generator[tuple[str, Any]]:
    from napari_im2im.docks.predict.measure import describe_metrics, measure

    values, error = measure(result, truth)
    yield describe_metrics(values), error


def _measure_labels(
    result: Image, truth: Image, classes: Mapping[str, str] | None
) -> Generator[tuple[str, Any]]:
    from napari_im2im.docks.predict.measure import measure_labels

    yield measure_labels(result, truth, classes)
