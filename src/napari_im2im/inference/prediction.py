"""Predicting images of any size, exactly and in constant memory."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError
from napari_im2im.events import (
    Message,
    PredictionFinished,
    PredictionStarted,
    Progress,
    TileDone,
)
from napari_im2im.folders import check_writable
from napari_im2im.images.atomic import remove
from napari_im2im.inference.journal import Journal, journal_of
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.inference.outputs import check_paths
from napari_im2im.inference.pipeline import Shrunk
from napari_im2im.inference.preparation import prepare_prediction
from napari_im2im.inference.rescaling import (
    finished_in_image_pixels,
    hidden_output,
    in_image_pixels,
    in_model_pixels,
    rescaling_for,
)
from napari_im2im.inference.results import tile_pipeline
from napari_im2im.inference.targets import check_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from napari_im2im.events import Event
    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Job, Network
    from napari_im2im.inference.setup import Model, Setup
    from napari_im2im.models.runtimes import Runtime

    Tiles = Callable[[Setup, Sequence[Job], Journal | None], Generator[Event]]


def predict_events(
    config: PredictConfig,
    images: Sequence[Image] | None = None,
    *,
    trusted: Collection[str] = (),
    loaded: LoadedModel | None = None,
    tiles: Tiles | None = None,
) -> Generator[Event, None, None]:
    """Predict an image, telling how far it is; closing the generator stops it.

    Parameters
    ----------
    config
        What to predict, with which model.
    images
        One image for each input of the model; default: the files of ``config``.
    trusted
        sha256 of the code that the user agreed to run.
    loaded
        The model of ``config``, if it is loaded already; it stays so.
    tiles
        Computes the tiles; default: this process.

    Yields
    ------
    Event
        `Progress` while the image and the model are looked at, `PredictionStarted`,
        a `TileDone` for each tile, `PredictionFinished`; `Message` where something
        should be known.

    Raises
    ------
    ConfigError
        If image and model don't fit, or the output can't be written there.
    ImageError
        If the image can't be read or isn't finite.
    ModelError
        If the model can't be applied.
    """
    from napari_im2im.models.package import load_package

    if loaded is None:
        with LoadedModel(load_package(config.model), config, trusted) as own:
            yield from predict_events(config, images, loaded=own, tiles=tiles)
        return
    opened = list(images) if images is not None else opened_images(config)
    engine = None
    if config.resume and config.output is not None:
        engine = _header(config).get("engine")
    yield Progress(0, 0, f"loading {loaded.package.name}")
    if loaded.package.note:
        yield Message(loaded.package.note)
    runtime = loaded.runtime(engine)
    measuring = None if config.precision == "float32" else loaded.measuring
    yield from predict_with(
        loaded.package, runtime, config, opened, measuring, tiles=tiles
    )


def opened_images(config: PredictConfig) -> list[Image]:
    """Return the images that a job names, unread, one for each input of the model."""
    from napari_im2im.images import open_image

    if not config.inputs:
        raise ConfigError("No image was given: choose one to predict.")
    return [open_image(path, axes=config.axes) for path in config.inputs]


def opened_mask(config: PredictConfig) -> Image | None:
    """Return the mask that a job names, unread."""
    from napari_im2im.images import open_image

    return open_image(config.mask) if config.mask is not None else None


def predict_with(
    model: Model,
    runtime: Runtime,
    config: PredictConfig,
    images: Sequence[Image],
    measuring: Network | None = None,
    *,
    mask: Image | None = None,
    tiles: Tiles | None = None,
    last: Callable[[Image], Image] | None = None,
) -> Generator[Event, None, None]:
    """Predict with a model that is loaded already; see `predict_events`.

    Parameters
    ----------
    model
        A `ModelPackage`, or what else describes a model.
    runtime
        What runs it.
    config, images
        As for `predict_events`.
    measuring
        Runs the network in float32 where ``runtime`` has less precision.
    mask
        Where a result is wanted; default: where the file of ``config`` says.
    tiles
        Computes the tiles; default: this process.
    last
        What is made of each output before the job counts as finished; what it was
        made of is deleted then.
    """
    mask = mask or opened_mask(config)
    if config.rescale:
        rescaling = rescaling_for(model.inputs, images, config)
        inner, seen, mask = in_model_pixels(rescaling, config, images, mask)
        events = predict_with(
            model,
            runtime,
            inner,
            seen,
            measuring,
            mask=mask,
            tiles=tiles,
            last=partial(finished_in_image_pixels, rescaling, config),
        )
        with closing(events):
            yield from in_image_pixels(events, rescaling, config)
        return
    started = time.perf_counter()
    header = _header(config)
    if config.output is not None and not header:
        check_paths([config.output], overwrite=config.overwrite)
    setup = yield from prepare_prediction(
        model, runtime, config, images, header, measuring, mask
    )
    if config.output is not None and not header:
        needed = sum(target.disk_bytes for target in setup.targets)
        check_writable(config.output.parent, needed)
    if short := check_memory(setup.targets):
        yield Message(short, "warning")
    journal = _journal(config, setup, header)
    jobs = setup.remaining(journal.done if journal else set())
    total = len(setup.jobs)
    finished = total - len(jobs)
    if setup.plan.message:
        yield Message(setup.plan.message, "warning" if setup.plan.warning else "info")
    outputs = setup.images()
    yield PredictionStarted(
        outputs=outputs,
        tiles=total,
        tile_shape=setup.plan.tile_shape,
        halo=setup.plan.halo,
        engine=runtime.engine,
        device=runtime.device,
        done=finished,
    )
    yield from (tiles or _tiles)(setup, jobs, journal)
    for done, parts in setup.separate():
        yield Progress(done, parts, "separating objects")
    yield Progress(total, total, "finishing")
    made = setup.finish()
    outputs = tuple(map(last, made)) if last else made
    if journal:
        journal.remove()
    # From here on nobody resumes it.
    setup.clean()
    if last:
        for image in made:
            if image.source is not None:
                remove(image.source)
    yield PredictionFinished(
        outputs=outputs,
        seconds=time.perf_counter() - started,
        metadata=outputs[0].metadata,
    )


def _tiles(
    setup: Setup, jobs: Sequence[Job], journal: Journal | None
) -> Generator[Event]:
    """Run the pipeline, and say of each tile that it is done."""
    pipeline = tile_pipeline(
        setup.config,
        setup.runner,
        setup.targets,
        setup.geometry,
        setup.matching,
        setup.plan,
    )
    total, index = len(setup.jobs), len(setup.jobs) - len(jobs)
    for result in pipeline.run(jobs):
        if isinstance(result, Shrunk):
            halves = setup.runner.split(result.job)
            total += len(halves) - 1
            sizes = " × ".join(str(t.size) for t in halves[0].tile.values())
            yield Message(
                f"Memory was short: went on with tiles of {sizes}.", "warning"
            )
            continue
        if result.problem:
            yield Message(f"A tile was left out: {result.problem}", "warning")
        elif journal:
            journal.add(result.job.key)
        index += 1
        total = max(total, index)
        yield tile_done(result.job, index, total, result.seconds)


def tile_done(job: Job, index: int, total: int, seconds: float) -> TileDone:
    """Return the event of a tile that is written."""
    region = {axis: part.core for axis, part in job.tile.items()}
    region |= {axis: slice(i, i + 1) for axis, i in job.planes[0].at.items()}
    return TileDone(index, total, region, seconds)


def _journal_path(config: PredictConfig) -> Journal | None:
    if config.output is None:
        return None
    output = hidden_output(config.output) if config.rescale else config.output
    return journal_of(output)


def _header(config: PredictConfig) -> Mapping[str, Any]:
    """Return what an interrupted job was making, if it is to be resumed."""
    journal = _journal_path(config)
    if journal is None or not config.resume or not journal.exists():
        return {}
    journal.read()
    return journal.header


def _journal(
    config: PredictConfig, setup: Setup, header: Mapping[str, Any]
) -> Journal | None:
    """Open the outputs, and the journal that belongs to them."""
    journal = _journal_path(config)
    if journal is None:
        setup.open(resume=False)
        return None
    wanted = setup.header()
    if header and header != wanted:
        changed = [key for key in wanted if header.get(key) != wanted[key]]
        raise ConfigError(
            f"{config.output} was begun with another {', '.join(changed)}: resume it "
            "as it was, or start again with overwrite."
        )
    # Tiles that are blended add up, so that a tile must not be written twice.
    resume = bool(header) and not setup.plan.overlap
    setup.open(resume=resume)
    if resume:
        journal.read()
    else:
        journal.start(wanted)
    return journal
