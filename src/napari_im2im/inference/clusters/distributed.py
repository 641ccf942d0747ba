"""Predictions shared by many processes or computers, with dask.distributed.

The scheduler hands out packets of tiles; what a worker that was lost had in hand goes
to another one. Tiles never share a chunk of the output, so workers write without
knowing of each other, and every pixel is what one computer would have made of it.
All computers see the same files.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.events import Event, Message
from napari_im2im.inference.outputs import tile_parts
from napari_im2im.inference.pipeline import Done
from napari_im2im.inference.prediction import tile_done
from napari_im2im.inference.results import tile_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from distributed import Client

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Job, TileRunner
    from napari_im2im.inference.journal import Journal
    from napari_im2im.inference.loaded import LoadedModel
    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.pipeline import Pipeline
    from napari_im2im.inference.setup import Setup
    from napari_im2im.inference.targets import Target
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.planning import Plan

_PACKETS_PER_WORKER = 8
"""Packets that a worker gets at least, so that all end at about the same time."""

_MOST_TILES = 16
"""Tiles in a packet: what is done again when a worker is lost."""

_PATIENCE = 10
"""Seconds in which a scheduler must answer."""

_AHEAD = 3
"""Packets that wait for a worker, so that it never waits for one."""


_ATTEMPTS = 4
"""Times that workers may be lost while they learn what there is to do."""


@contextmanager
def open_client(where: str) -> Iterator[Client]:
    """Connect to workers, or start some on this computer.

    Parameters
    ----------
    where
        Address of a scheduler (``tcp://host:8786``), the path of its scheduler file,
        or a number of processes to start here.

    Raises
    ------
    ConfigError
        If dask.distributed isn't installed, or there is no scheduler.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "Many processes need dask.distributed: pip install 'napari-im2im[cluster]'."
        ) from error
    if where.isdecimal():
        count = max(1, int(where))
        threads = str(max(1, (os.cpu_count() or 1) // count))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                env=limits,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        # Of a file that isn't there, dask would wait without end.
        file = {"scheduler_file": where} if Path(where).is_file() else {}
        address = file or {"address": where}
        # As the default it would take over all arrays of dask, and for good where no
        # scheduler answers.
        client = Client(**address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"There is no scheduler at {where} ({' '.join(str(error).split())}): start "
            "one with 'dask scheduler', or give a number of processes to start here."
        ) from error
    with client:
        yield client


@dataclass(frozen=True)
class _Work:
    """All that a worker needs to know of a prediction, apart from its tiles."""

    name: str
    package: Path
    config: PredictConfig
    trusted: tuple[str, ...]
    engine: str
    partial: bool
    runner: TileRunner
    targets: tuple[Target, ...]
    geometry: ModelGeometry
    matching: Matching
    plan: Plan


@dataclass(frozen=True)
class _TileReport:
    """What a worker says of a tile that it has written, or left out."""

    job: Job
    seconds: float
    problem: str


class DistributedTiles:
    """Computes the tiles of a prediction on the workers of a cluster.

    Parameters
    ----------
    client
        Connection to the cluster.
    loaded
        The model; workers load their own from the same files.
    trusted
        sha256 of the code that the user agreed to run.
    """

    def __init__(
        self, client: Client, loaded: LoadedModel, trusted: Iterable[str] = ()
    ) -> None:
        self._client = client
        self._loaded = loaded
        self._trusted = tuple(trusted)

    def __call__(
        self, setup: Setup, jobs: Sequence[Job], journal: Journal | None
    ) -> Generator[Event]:
        """Compute tiles, and say of each that it is done.

        Raises
        ------
        ConfigError
            If the tiles can't be written without knowing of each other.
        ModelError
            If a tile fails on several workers.
        """
        _check_separable(setup)
        total, index = len(setup.jobs), len(setup.jobs) - len(jobs)
        for report in self._reports(setup, jobs):
            if report.problem:
                yield Message(f"A tile was left out: {report.problem}", "warning")
            elif journal:
                journal.add(report.job.key)
            index += 1
            yield tile_done(report.job, index, total, report.seconds)

    def _reports(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[_TileReport]:
        """Keep every worker supplied, and yield what they report."""
        from distributed import as_completed

        client = self._client
        work = _hand_out(client, _work(setup, self._loaded, self._trusted))
        workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        packets = iter(_packets(jobs, workers))

        def submit() -> list[Any]:
            packet = next(packets, None)
            if packet is None:
                return []
            return [client.submit(_compute, work, packet, pure=False)]

        first = [future for _ in range(_AHEAD * workers) for future in submit()]
        running = as_completed(first, loop=client.loop)
        try:
            for future in running:
                with _worker_errors():
                    reports = future.result()
                for new in submit():
                    running.add(new)
                yield from reports
        finally:
            client.cancel([*running.futures, work])


def _hand_out(client: Client, work: _Work) -> Any:
    """Tell all workers what they need, anew where one is lost meanwhile."""
    for _ in range(_ATTEMPTS):
        try:
            # Small enough to be told again whenever a worker comes new.
            return client.scatter(work, broadcast=True)
        except (OSError, KeyError) as error:
            # Its connection is closed, or the scheduler doesn't know it any more.
            lost: Exception = error
    raise ModelError(
        "Workers were lost again and again before the first tile: see what their "
        "computers say, and go on with --resume."
    ) from lost


def _check_separable(setup: Setup) -> None:
    if setup.plan.overlap:
        raise ConfigError(
            f"The tiles of {setup.model.name} overlap and are blended, so that workers "
            "would write the same pixels: predict it on one computer."
        )
    if setup.config.output is None:
        raise ConfigError(
            "Workers write into a file that all of them see: name an output."
        )
    for target in setup.targets:
        chunks = dict(zip(target.layout.axes, target.layout.chunks, strict=True))
        for job in setup.jobs:
            parts, _ = tile_parts(
                job.tile, target.layout, setup.geometry, setup.matching.sizes
            )
            for axis, part in parts.items():
                if (part.start - target.layout.origin.get(axis, 0)) % chunks[axis]:
                    raise ConfigError(
                        f"Tiles would share chunks of the output along {axis}, so that "
                        "workers would write the same ones: leave the tile or the "
                        "region to napari-im2im, or predict on one computer."
                    )


def _work(setup: Setup, loaded: LoadedModel, trusted: tuple[str, ...]) -> _Work:
    runner = setup.runner
    return _Work(
        name=uuid.uuid4().hex,
        package=loaded.package.path,
        config=setup.config,
        trusted=trusted,
        engine=setup.engine,
        partial=runner.part is not None,
        # A network stays where it is; smaller tiles would follow from its memory.
        runner=replace(runner, network=None, part=None, smaller=dict),  # type: ignore[arg-type]
        targets=tuple(replace(each, array=None, raw=None) for each in setup.targets),
        geometry=setup.geometry,
        matching=setup.matching,
        plan=setup.plan,
    )


def _packets(jobs: Sequence[Job], workers: int) -> Iterator[list[Job]]:
    size = len(jobs) // (_PACKETS_PER_WORKER * workers)
    size = min(_MOST_TILES, max(1, size))
    for start in range(0, len(jobs), size):
        yield list(jobs[start : start + size])


@contextmanager
def _worker_errors() -> Iterator[None]:
    """Turn what went wrong elsewhere into a sentence."""
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise ModelError(
            "Several workers were lost over the same tiles, mostly for want of memory: "
            "use smaller tiles (tile) or workers with more memory."
        ) from error


# -- on the worker -------------------------------------------------------------------


@dataclass
class _Session:
    """A prediction on this worker, its model loaded and its outputs open."""

    pipeline: Pipeline[Job]
    close: Callable[[], None]


_sessions: OrderedDict[str, _Session] = OrderedDict()
_lock = threading.Lock()


def _compute(work: _Work, jobs: list[Job]) -> list[_TileReport]:
    """Compute and write tiles, with the model that this process has loaded."""
    # One at a time: each uses the whole device.
    with _lock:
        return [
            _TileReport(each.job, each.seconds, each.problem)
            for each in _session(work).pipeline.run(jobs)
            if isinstance(each, Done)
        ]


def _session(work: _Work) -> _Session:
    """Return the prediction as this process has it, opened if it hasn't."""
    if work.name not in _sessions:
        while _sessions:
            _sessions.popitem()[1].close()
        _sessions[work.name] = _open(work)
    return _sessions[work.name]


def _open(work: _Work) -> _Session:
    from napari_im2im.inference.loaded import LoadedModel
    from napari_im2im.models.package import load_package

    loaded = LoadedModel(load_package(work.package), work.config, work.trusted)
    runtime: Any = loaded.runtime(work.engine)
    part = runtime.part if work.partial else None
    runner = replace(work.runner, network=runtime, part=part)
    for target in work.targets:
        target.open(resume=True, overwrite=False)
    pipeline = tile_pipeline(
        work.config, runner, work.targets, work.geometry, work.matching, work.plan
    )
    return _Session(pipeline, loaded.close)
