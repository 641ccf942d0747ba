"""Training as a generator of events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.events import Event, Message, Progress, TrainingStarted
from napari_im2im.folders import check_writable, runs_folder
from napari_im2im.images.folders.tables import format_table
from napari_im2im.training.devices import device_name, open_fabric
from napari_im2im.training.preparation import check_batch, preparing
from napari_im2im.training.runs.folder import RunFolder, disk_bytes
from napari_im2im.training.runs.record import RunRecord
from napari_im2im.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, Pair
    from napari_im2im.training.preparation import Preparation


FILES = "files.csv"
"""Table of a run's files with what each is for: train, val or test."""


def train_events(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    trusted: Collection[str] = (),
) -> Generator[Event]:
    """Train a model; closing the generator stops and keeps the best model.

    Parameters
    ----------
    config
        Everything about the training. With ``resume``, the config of that run
        counts instead, but for an effort that is given here.
    pairs
        Inputs, targets and perhaps cost maps; default: the files that the config
        names.
    trusted
        sha256 of the code that the model to start from may run.

    Yields
    ------
    Event
        ``TrainingStarted``, then ``Progress`` at least once a step, ``Message``,
        ``MetricsLogged``, ``Preview`` and ``NewBest``, at last
        ``TrainingFinished``.

    Raises
    ------
    DataError
        If the images don't make a training set.
    ConfigError
        If the config asks for something that can't be done.
    ModelError
        If the run folder can't be written; what was written before is kept.
    TrustError
        If the model to start from needs code that isn't trusted.
    """
    yield Progress(0, 0, "Reading images")
    run: RunFolder | None = None
    state: dict[str, Any] | None = None
    if config.resume is not None:
        run, stored = RunFolder.open(config.resume)
        if "effort" in config.model_fields_set:
            stored = stored.model_copy(update={"effort": config.effort})
        config, state = stored, run.load_checkpoint()
        if pairs is None:
            config = _with_known_files(config, run)
    fabric = open_fabric(config)
    on_cpu = fabric.device.type == "cpu"
    config = config.sized(on_cpu=on_cpu)
    # The first process fills the caches that the others read.
    with fabric.rank_zero_first(local=True):
        preparation = yield from preparing(
            config, pairs, on_cpu=on_cpu, trusted=trusted
        )
    check_batch(preparation)
    if run is None:
        run = _create(config, preparation) if fabric.is_global_zero else None
    path = fabric.broadcast(run.path if run is not None else Path())
    run = RunFolder(path, writes=fabric.is_global_zero)
    trainer = Trainer(preparation, run, fabric)
    if state is not None:
        trainer.restore(state)
    yield TrainingStarted(
        run_folder=run.path,
        device=device_name(fabric.device),
        parameters=sum(p.numel() for p in preparation.network.parameters()),
        training_images=preparation.split.training_images,
        validation_images=preparation.split.validation_images,
        validation=preparation.split.text,
    )
    for note in (*preparation.notes, trainer.stepper.sizes_text()):
        yield Message(note)
    record = RunRecord(run, trainer.step)
    if run.writes:
        record.describe_network(preparation.network)
        record.describe_augmentation(preparation)
    events = trainer.events()
    try:
        for event in events:
            if run.writes:
                record.take(event)
            yield event
    finally:
        events.close()
        if run.writes:
            record.close()


def _create(config: TrainConfig, preparation: Preparation) -> RunFolder:
    """Make the run folder, if there is space for it."""
    folder = config.output or runs_folder()
    check_writable(folder, disk_bytes(*preparation.networks))
    run = RunFolder.create(folder, config)
    if preparation.rows:
        run.write_file(FILES, format_table(preparation.rows).encode())
    return run


def _with_known_files(config: TrainConfig, run: RunFolder) -> TrainConfig:
    """Let a run go on with the files that it began with, whatever came since."""
    table = run.path / FILES
    if not table.exists():
        return config
    known: dict[str, Any] = {"table": table, "folder": None, "test_fraction": 0}
    known |= {"inputs": [], "targets": [], "cost_maps": [], "split_by": "image"}
    data = config.data.model_copy(update=known)
    return config.model_copy(update={"data": data})
