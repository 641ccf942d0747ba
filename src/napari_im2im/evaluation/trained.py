"""A training, and behind it the test on what it left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.errors import Im2ImError
from napari_im2im.evaluation.config import EvaluateConfig
from napari_im2im.events import Event, Message, Progress, TrainingFinished
from napari_im2im.images.folders.tables import read_table
from napari_im2im.training.data.examples import collect, open_rows
from napari_im2im.training.loop import FILES, train_events
from napari_im2im.training.processes import processes
from napari_im2im.training.runs.folder import read_config
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from pathlib import Path

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, Pair


def train_and_test_events(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    trusted: Collection[str] = (),
) -> Generator[Event]:
    """Train a model, and measure the best on the images that were left for a test.

    The predictions go to ``test/per_image``, ``test/metrics.csv`` has a row for each
    image and channel, ``test/summary.csv`` means with their spread.

    Parameters
    ----------
    config, pairs, trusted
        As for `train_events`.

    Yields
    ------
    Event
        The events of `train_events`; the last one has the means of the test among
        its metrics, as ``test pcc`` and so on.
    """
    finished: TrainingFinished | None = None
    events = train_events(config, pairs, trusted=trusted)
    try:
        for event in events:
            if isinstance(event, TrainingFinished):
                finished = event
            else:
                yield event
    finally:
        events.close()
    if finished is None:
        return
    metrics = dict(finished.metrics)
    # Of several processes that train together, one tests.
    if processes().is_first:
        metrics |= yield from _test(finished, pairs, trusted)
    yield TrainingFinished(
        finished.run_folder, finished.package, metrics, finished.reason
    )


def _test(
    finished: TrainingFinished,
    pairs: Sequence[Pair | Example] | None,
    trusted: Collection[str],
) -> Generator[Event, None, dict[str, float]]:
    """Evaluate the model on the test images of a run; return the means."""
    # Most trainings leave no images for a test, and none needs this to begin.
    from napari_im2im.evaluation.job import EvaluationFinished, evaluate_events

    run = finished.run_folder
    config = read_config(run / "config.yaml")
    if not TASKS[config.task].paired:
        return {}
    job = EvaluateConfig(
        model=str(finished.package),
        output=run / "test",
        keep_predictions=True,
        overwrite=True,
        device=config.device,
    )
    try:
        images = [
            (
                _chosen(example.input, config.data.input_channels),
                _chosen(example.target, config.data.target_channels),
            )
            for example in _left_alone(run, pairs, config)
        ]
        if not images:
            return {}
        for event in evaluate_events(job, images, trusted=trusted):
            if isinstance(event, EvaluationFinished):
                means = event.summaries[0].mean
                return {f"test {name}": value for name, value in means.items()}
            if isinstance(event, Message | Progress):
                yield event
    except Im2ImError as error:
        # The model is there and good; what is wrong are the test images.
        yield Message(f"The test images weren't measured: {error}", "warning")
    return {}


def _left_alone(
    run: Path, pairs: Sequence[Pair | Example] | None, config: TrainConfig
) -> Sequence[Example]:
    """Return what a run didn't look at, open."""
    if pairs is not None:
        return collect(pairs, config).left_alone
    table = run / FILES
    if not table.exists():
        return ()
    return open_rows(read_table(table, part="test").rows, config)


def _chosen(image: Image, channels: Sequence[int] | None) -> Image:
    return image if channels is None else image.select("channel", channels)
