"""Everything that is decided before the first tile of a prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_im2im.errors import ConfigError
from napari_im2im.events import Progress
from napari_im2im.inference.augmentation import Orientation, orientations
from napari_im2im.inference.calibration import Calibration
from napari_im2im.inference.geometry import model_geometry, without_room_for_halo
from napari_im2im.inference.jobs import Job, Network, TileRunner, remaining
from napari_im2im.inference.matching import Matching, match_images
from napari_im2im.inference.outputs import check_paths, output_layout, output_paths
from napari_im2im.inference.planning import (
    Plan,
    axis_geometries,
    make_plan,
    most_pixels,
)
from napari_im2im.inference.receptive_field import ReceptiveField
from napari_im2im.inference.results import Target, split_steps
from napari_im2im.inference.statistics import WholeTensor, bind_steps
from napari_im2im.inference.steps import CONTINUOUS, bind, check_steps, dtype_after
from napari_im2im.inference.tiling import with_halo
from napari_im2im.models.tensors import FixedSize, ReferencedSize

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_im2im.events import Event
    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.geometry import ModelGeometry
    from napari_im2im.inference.tiling import AxisGeometry
    from napari_im2im.models.runtimes import Runtime
    from napari_im2im.models.tensors import TensorSpec


class Model(Protocol):
    """What a prediction needs to know of a model; `ModelPackage` has it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102
    def test_inputs(self) -> list[np.ndarray]: ...  # noqa: D102
    def test_outputs(self) -> list[np.ndarray]: ...  # noqa: D102


@dataclass
class Setup:
    """A prediction that is ready to run.

    Parameters
    ----------
    config, model, engine
        What runs.
    geometry, matching, plan, runner, targets
        How.
    jobs
        All tiles of all planes, in order.
    """

    config: PredictConfig
    model: Model
    engine: str
    geometry: ModelGeometry
    matching: Matching
    plan: Plan
    runner: TileRunner
    targets: list[Target]
    jobs: list[Job]
    references: Sequence[Mapping[str, WholeTensor]]

    def remaining(self, done: set[str]) -> list[Job]:
        """Return the jobs of which nothing is written yet."""
        return remaining(self.jobs, done, self.runner.split)

    def open(self, *, resume: bool) -> None:
        """Make the outputs, or open those of an interrupted job."""
        for target in self.targets:
            target.open(resume=resume, overwrite=self.config.overwrite)

    def images(self) -> tuple[Image, ...]:
        """Return the outputs as images, as far as they are filled."""
        return tuple(self._image(target, target.array) for target in self.targets)

    def finish(self) -> tuple[Image, ...]:
        """Complete the outputs."""
        images = []
        for target in self.targets:
            target.finish(
                self.matching,
                self.references,
                self.config.statistics == "bioimageio.core",
            )
            data = target.close(overwrite=self.config.overwrite)
            images.append(self._image(target, data))
        return tuple(images)

    def _image(self, target: Target, data: Any) -> Image:
        source = next(s for s in self.matching.sources[0] if s is not None)
        suffix = f" {target.layout.name}" if target.layout.name else ""
        name = f"{source.image.name} → {self.model.name}{suffix}"
        image = target.layout.image(data, name)
        return replace(image, source=target.path) if target.path else image

    def header(self) -> dict[str, Any]:
        """Return what identifies this job, and nothing else, as plain data."""
        shapes = [
            [s.image.shape, s.image.dtype.str, s.channels]
            for sources in self.matching.sources
            for s in sources
            if s is not None
        ]
        region = {axis: [r.start, r.stop] for axis, r in self.plan.region.items()}
        header = {
            "model": self.model.sha256,
            "image": shapes,
            "region": region,
            "engine": self.engine,
            "precision": self.config.precision,
            "statistics": self.config.statistics,
            "augmentation": self.config.test_time_augmentation,
            "cores": dict(self.plan.cores),
            "halo": {axis: [g.before, g.after] for axis, g in self.plan.axes.items()},
            "planes": len(self.jobs[0].planes),
        }
        result: dict[str, Any] = _as_json(header)
        return result


def _as_json(value: Any) -> Any:
    """Return data as JSON gives them back: lists for tuples, text for keys."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def prepare_prediction(
    model: Model,
    runtime: Runtime,
    config: PredictConfig,
    images: Sequence[Image],
    header: Mapping[str, Any],
    measuring: Network | None = None,
) -> Generator[Event, None, Setup]:
    """Look at the image and the model, and choose the tiles.

    Parameters
    ----------
    model, runtime
        The model and what runs it.
    config, images
        What is asked for.
    header
        Of the interrupted job that is resumed, else empty: its tiles are kept.
    measuring
        Runs the network in float32 where ``runtime`` has less precision.

    Yields
    ------
    Event
        What takes a while.
    """
    inputs, outputs = model.inputs, model.outputs
    for spec in inputs:
        check_steps(spec.steps, f"the input {spec.id!r}")
    for spec in outputs:
        check_steps(spec.steps, f"the output {spec.id!r}")
    geometry = model_geometry(inputs, outputs, _test_shapes(model))
    if "receptive_field" in model.config:
        geometry = without_room_for_halo(geometry)
    skip = config.unreadable == "skip"
    matching = match_images(inputs, images, config.channels, skip_unreadable=skip)
    region = _region(config, matching)
    yield Progress(0, 0, "statistics of the whole image")
    references = _whole_tensors(inputs, matching)
    preprocessing = _preprocessing(inputs, matching, references, config)
    runner = TileRunner(runtime, inputs, outputs, geometry, matching, preprocessing, ())
    calibration = Calibration(model.sha256, model.config)
    yield Progress(0, 0, f"how far {model.name} looks")
    if not header and _fits_in_one(runner, config, region, runtime.device):
        axes = runner.geometry.axes
        field = ReceptiveField(dict.fromkeys(axes, 1), dict.fromkeys(axes, (0, 0)))
        halo = dict(field.radius)
    else:
        field = calibration.field(runner, measuring)
        halo = (
            {axis: (h[0], h[1]) for axis, h in header["halo"].items()}
            if header
            else calibration.halo(runner, field, config, measuring)
        )
    plan = _plan(config, runner, region, field, halo, runtime.device, header)
    turns = _orientations(config, plan)
    splits = [split_steps(spec.steps, CONTINUOUS) for spec in outputs]
    heads = [
        [bind(step, spec.axis_names) for step in head]
        for spec, (head, _) in zip(outputs, splits, strict=True)
    ]

    @cache
    def smaller() -> Mapping[str, AxisGeometry]:
        if plan.overlap:
            return plan.axes
        field = calibration.field(runner, measuring)
        if not field.exact:
            return {}
        halo = calibration.halo(runner, field, config, measuring)
        return _axes(config, runner, field, halo)

    final = replace(
        runner,
        orientations=turns,
        heads=heads,
        smaller=smaller,
        smallest={axis: 2 * overlap for axis, overlap in plan.overlap.items()},
    )
    targets = _targets(model, config, geometry, matching, plan, splits, heads)
    jobs = _jobs(config, runtime, model, matching, plan, header)
    return Setup(
        config,
        model,
        runtime.engine,
        geometry,
        matching,
        plan,
        final,
        targets,
        jobs,
        references,
    )


def _test_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the test tensors, if the description leaves sizes open."""
    specs = (*model.inputs, *model.outputs)
    known = FixedSize | ReferencedSize
    if all(
        isinstance(axis.size, known) or axis.name == "batch"
        for spec in model.outputs
        for axis in spec.axes
    ):
        return {}
    arrays = [*model.test_inputs(), *model.test_outputs()]
    return {spec.id: a.shape for spec, a in zip(specs, arrays, strict=True)}


def _region(config: PredictConfig, matching: Matching) -> dict[str, slice]:
    """Return what is predicted of each axis."""
    sizes = {**matching.over, **matching.sizes}
    region = {axis: slice(0, size) for axis, size in sizes.items()}
    for axis, (start, stop) in (config.region or {}).items():
        if axis not in sizes:
            raise ConfigError(
                f"The region names the axis {axis!r}, but the image has "
                f"{', '.join(sizes)}."
            )
        if not 0 <= start < stop <= sizes[axis]:
            raise ConfigError(
                f"The region {start} to {stop} along {axis} isn't inside the image, "
                f"which has {sizes[axis]} pixels there."
            )
        region[axis] = slice(start, stop)
    return region


def _whole_tensors(
    inputs: Sequence[TensorSpec], matching: Matching
) -> list[dict[str, WholeTensor]]:
    return [
        {
            spec.id: WholeTensor(source)
            for spec, source in zip(inputs, sources, strict=True)
            if source is not None
        }
        for sources in matching.sources
    ]


def _preprocessing(
    inputs: Sequence[TensorSpec],
    matching: Matching,
    references: Sequence[Mapping[str, WholeTensor]],
    config: PredictConfig,
) -> list[list[Any]]:
    """Bind the steps of each input, for each group of channels."""
    as_core = config.statistics == "bioimageio.core"
    return [
        [
            bind_steps(
                spec.steps,
                tensors[spec.id],
                f"the input {spec.id!r}",
                references=tensors,
                as_bioimageio_core=as_core,
            )
            if spec.id in tensors
            else []
            for spec in inputs
        ]
        for tensors in references
    ]


def _fits_in_one(
    runner: TileRunner,
    config: PredictConfig,
    region: Mapping[str, slice],
    device: str,
) -> bool:
    """Return whether the whole image is one tile, so that no halo matters."""
    sizes = runner.matching.sizes
    axes = axis_geometries(runner.geometry, sizes, {})
    pixels = math.prod(axis.padded for axis in axes.values())
    return (
        config.tile is None
        and all(region[axis] == slice(0, size) for axis, size in sizes.items())
        and all(axis.largest_core >= axis.size for axis in axes.values())
        and pixels <= most_pixels(device, config.precision)
    )


def _axes(
    config: PredictConfig,
    runner: TileRunner,
    field: ReceptiveField,
    halo: Mapping[str, tuple[int, int]],
) -> dict[str, AxisGeometry]:
    """Return how each axis can be cut, halo included."""
    geometry, sizes = runner.geometry, runner.matching.sizes
    mirrored = config.test_time_augmentation
    axes = axis_geometries(geometry, sizes, field.stride, mirrored=mirrored)
    cut = {axis: h for axis, h in halo.items() if axis not in geometry.untiled}
    if mirrored:
        cut = {axis: (max(sides), max(sides)) for axis, sides in cut.items()}
    return with_halo(axes, cut)


def _plan(
    config: PredictConfig,
    runner: TileRunner,
    region: Mapping[str, slice],
    field: ReceptiveField,
    halo: Mapping[str, tuple[int, int]],
    device: str,
    header: Mapping[str, Any],
) -> Plan:
    axes = _axes(config, runner, field, halo)
    plan = make_plan(config, runner.geometry, axes, region, field, device)
    if header:
        sides = {axis: (h[0], h[1]) for axis, h in header["halo"].items()}
        plan = replace(plan, axes=with_halo(axes, sides), cores=header["cores"])
    return plan


def _orientations(config: PredictConfig, plan: Plan) -> list[Orientation]:
    if not config.test_time_augmentation:
        return []
    y, x = plan.axes["y"], plan.axes["x"]
    alike = (y.rule, y.grid, y.before, y.after) == (x.rule, x.grid, x.before, x.after)
    return orientations(exchange=alike)


def _targets(
    model: Model,
    config: PredictConfig,
    geometry: ModelGeometry,
    matching: Matching,
    plan: Plan,
    splits: Sequence[tuple[list[Any], list[Any]]],
    heads: Sequence[list[Any]],
) -> list[Target]:
    """Lay out every output, and the spread of each under augmentation."""
    several = len(model.outputs) > 1
    provenance = {
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "model": {"id": model.id, "name": model.name, "sha256": model.sha256},
    }
    targets = []
    for index, spec in enumerate(model.outputs):
        tail = splits[index][1]
        dtype = dtype_after(spec.steps)
        layout = output_layout(
            index,
            spec,
            geometry,
            matching,
            plan.region,
            plan.cores,
            _channels(spec, model),
            np.dtype(np.uint8) if dtype == np.bool_ else dtype,
        )
        layout = replace(
            layout,
            name=spec.id if several else "",
            metadata={**provenance, "kind": spec.kind},
        )
        measures = any(_measures(step) for step in tail)
        deferred = bool(plan.overlap) or measures
        targets.append(Target(layout, None, heads[index], tail, deferred=deferred))
        if config.test_time_augmentation:
            spread = replace(
                layout,
                name=f"{layout.name} spread".strip(),
                dtype=np.dtype(np.float32),
                metadata={**provenance, "kind": "intensity"},
            )
            targets.append(Target(spread, None, heads[index], [], spread=True))
    if config.output is not None:
        paths = output_paths(config.output, [target.layout for target in targets])
        if not config.resume:
            check_paths(paths, overwrite=config.overwrite)
        for target, path in zip(targets, paths, strict=True):
            target.path = path
    return targets


def _measures(step: Any) -> bool:
    from napari_im2im.inference.steps import statistics_of

    return statistics_of(step) is not None


def _channels(spec: TensorSpec, model: Model) -> int:
    """Return how many channels an output has."""
    if "channel" not in spec.axis_names:
        return 1
    size = spec.axis("channel").size
    if isinstance(size, FixedSize):
        return size.size
    tensors = zip(model.outputs, model.test_outputs(), strict=True)
    shape = next(array.shape for other, array in tensors if other.id == spec.id)
    return int(shape[spec.axis_names.index("channel")])


def _jobs(
    config: PredictConfig,
    runtime: Runtime,
    model: Model,
    matching: Matching,
    plan: Plan,
    header: Mapping[str, Any],
) -> list[Job]:
    """Return all tiles of all planes, several planes together where that is faster."""
    planes = matching.planes(plan.region)
    tiles = plan.tiles
    count = header.get("planes", 0) or _batch(config, runtime, model, plan, len(planes))
    return [
        Job(tuple(planes[start : start + count]), tile)
        for start in range(0, len(planes), count)
        for tile in tiles
    ]


def _batch(
    config: PredictConfig, runtime: Runtime, model: Model, plan: Plan, planes: int
) -> int:
    sizes = [
        spec.axis("batch").size if "batch" in spec.axis_names else FixedSize(1)
        for spec in (*model.inputs, *model.outputs)
    ]
    if any(isinstance(size, FixedSize) for size in sizes):
        return 1
    if config.batch_size is not None:
        return min(config.batch_size, planes)
    if runtime.device == "cpu":
        return 1
    pixels = math.prod(plan.tile_shape.values())
    most = most_pixels(runtime.device, config.precision)
    return max(1, min(planes, 16, most // pixels))
