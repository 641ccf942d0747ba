"""Everything that is decided before the first tile of a prediction."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError
from napari_im2im.events import Message, Progress
from napari_im2im.inference.augmentation import Orientation, orientations
from napari_im2im.inference.jobs import Job, Network, TileRunner
from napari_im2im.inference.matching import Matching, match_images
from napari_im2im.inference.processing.statistics import WholeTensor, bind_steps
from napari_im2im.inference.processing.steps import (
    CONTINUOUS,
    bind,
    check_steps,
)
from napari_im2im.inference.processing.whole_steps import (
    check_libraries,
    network_tensor,
)
from napari_im2im.inference.results import split_steps
from napari_im2im.inference.setup import Model, Setup
from napari_im2im.inference.target_planning import TargetPlanner
from napari_im2im.inference.tiling.calibration import Calibration
from napari_im2im.inference.tiling.cutting import Cutting
from napari_im2im.inference.tiling.geometry import model_geometry, without_room_for_halo
from napari_im2im.inference.tiling.planning import Plan, most_pixels
from napari_im2im.inference.tiling.selection import Selection
from napari_im2im.models.tensors import FixedSize, ReferencedSize

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_im2im.events import Event
    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.models.runtimes import Runtime
    from napari_im2im.models.tensors import TensorSpec


def prepare_prediction(
    model: Model,
    runtime: Runtime,
    config: PredictConfig,
    images: Sequence[Image],
    header: Mapping[str, Any],
    measuring: Network | None = None,
    mask: Image | None = None,
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
    mask
        Where a result is wanted, of the size of the first image; None: everywhere.

    Yields
    ------
    Event
        What takes a while.
    """
    results = [network_tensor(spec) for spec in model.outputs]
    geometry = _checked_geometry(model, results)
    skip = config.unreadable == "skip"
    matching = match_images(model.inputs, images, config.channels, skip_unreadable=skip)
    if matching.note:
        yield Message(matching.note)
    region = _region(config, matching)
    yield Progress(0, 0, "statistics of the whole image")
    references = _whole_tensors(model.inputs, matching)
    runner = TileRunner(
        runtime,
        model.inputs,
        results,
        geometry,
        matching,
        _preprocessing(model.inputs, references, config),
        (),
    )
    yield Progress(0, 0, f"how far {model.name} looks")
    calibration = Calibration(model.sha256, model.config)
    cutting = Cutting(config, runner, calibration, region, runtime.device, measuring)
    plan = cutting.plan(header)
    planner = TargetPlanner(model, config, geometry, results, matching, plan)
    splits = [split_steps(spec.steps, CONTINUOUS) for spec in model.outputs]
    heads = [
        [bind(step, spec.axis_names) for step in head]
        for spec, (head, _) in zip(model.outputs, splits, strict=True)
    ]
    runner = replace(
        runner,
        orientations=_orientations(config, plan),
        heads=heads,
        part=cutting.part(plan),
        wanted=_selection(config, matching, mask),
        smaller=cutting.smaller(plan),
        smallest={axis: 2 * overlap for axis, overlap in plan.overlap.items()},
    )
    return Setup(
        config,
        model,
        runtime.engine,
        geometry,
        matching,
        plan,
        runner,
        planner.targets([tail for _, tail in splits], heads),
        _jobs(config, runtime, model, matching, plan, header),
        references,
    )


def _checked_geometry(model: Model, results: Sequence[TensorSpec]) -> ModelGeometry:
    """Return how the tensors depend on each other, if all steps can be done."""
    for spec in model.inputs:
        check_steps(spec.steps, f"the input {spec.id!r}")
    for spec in model.outputs:
        check_steps(spec.steps, f"the output {spec.id!r}")
        check_libraries(spec.steps, f"the output {spec.id!r}")
    geometry = model_geometry(model.inputs, results, _test_shapes(model))
    if "receptive_field" in model.config:
        geometry = without_room_for_halo(geometry)
    return geometry


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
                f"{', '.join(sizes)}: leave it out."
            )
        if not 0 <= start < stop <= sizes[axis]:
            raise ConfigError(
                f"The region {start} to {stop} along {axis} isn't inside the image: "
                f"choose a part of 0 to {sizes[axis]}."
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


def _selection(
    config: PredictConfig, matching: Matching, mask: Image | None
) -> Selection | None:
    skip_empty = config.empty == "skip"
    if mask is None and not skip_empty:
        return None
    return Selection(matching, mask, skip_empty)


def _orientations(config: PredictConfig, plan: Plan) -> list[Orientation]:
    if not config.test_time_augmentation:
        return []
    y, x = plan.axes["y"], plan.axes["x"]
    alike = (y.rule, y.grid, y.before, y.after) == (x.rule, x.grid, x.before, x.after)
    return orientations(exchange=alike)


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
