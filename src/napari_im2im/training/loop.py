"""Training as a generator of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_im2im.events import Event, Message, Progress, TrainingStarted
from napari_im2im.folders import check_writable, runs_folder
from napari_im2im.training.data import open_pairs
from napari_im2im.training.devices import device_name, open_fabric
from napari_im2im.training.preparation import check_batch, prepare
from napari_im2im.training.record import RunRecord
from napari_im2im.training.run_folder import RunFolder, disk_bytes
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data import Pair


def train_events(
    config: TrainConfig,
    pairs: Sequence[Pair] | None = None,
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
        Inputs and targets; default: the files that the config names.
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
    fabric = open_fabric(config)
    if pairs is None:
        pairs = open_pairs(config.data, targets=TASKS[config.task].target != "none")
    preparation = prepare(
        config, pairs, on_cpu=fabric.device.type == "cpu", trusted=trusted
    )
    check_batch(preparation)
    if run is None:
        folder = config.output or runs_folder()
        check_writable(folder, disk_bytes(preparation.network))
        run = RunFolder.create(folder, config)
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
    for note in (*preparation.notes, trainer.sizes_text()):
        yield Message(note)
    record = RunRecord(run, trainer.step)
    record.describe_network(preparation.network)
    events = trainer.events()
    try:
        for event in events:
            record.take(event)
            yield event
    finally:
        events.close()
        record.close()
