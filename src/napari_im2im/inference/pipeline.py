"""Reading, computing and writing at the same time, a few tiles ahead of each other."""

from __future__ import annotations

import gc
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_im2im.errors import ModelError
from napari_im2im.inference.sources import UnreadableChunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_AHEAD = 2
_POLL_SECONDS = 0.05
_HALVINGS = 4
"""How often a job is cut in two to find what of it can be read."""

_END = object()

JobT = TypeVar("JobT")


@dataclass(frozen=True)
class Done(Generic[JobT]):
    """A job that is written, or left out for the reason that ``problem`` gives."""

    job: JobT
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Shrunk(Generic[JobT]):
    """Memory was short for a job: from now on smaller ones are made of each."""

    job: JobT


class _Bounded:
    """A queue of few items, which Ctrl-C can't leave locked as it can `queue.Queue`."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_AHEAD):
            self._room.put(None)

    def put(self, item: Any) -> bool:
        """Add an item, unless there is no room for it for a while."""
        try:
            self._room.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return False
        self._items.put(item)
        return True

    def get(self, timeout: float | None = None) -> Any:
        """Remove the first item; `queue.Empty` if there is none for so long."""
        item = self._items.get(timeout=timeout)
        self._room.put(None)
        return item


@dataclass
class Pipeline(Generic[JobT]):
    """Runs jobs in a reader thread, the caller's thread and a writer thread.

    Parameters
    ----------
    prepare
        Reads and preprocesses what a job needs; None where there is nothing to do.
    compute
        Runs the network. `MemoryError` makes it try smaller jobs.
    write
        Postprocesses and writes a job's result.
    split
        Cuts a job into smaller ones, or returns it alone.
    cost
        What a job needs of memory, in any unit.
    skip_unreadable
        Whether what can't be read of a job is left out instead of ending the run.
    """

    prepare: Callable[[JobT], Any]
    compute: Callable[[Any], Any]
    write: Callable[[JobT, Any], None]
    split: Callable[[JobT], list[JobT]]
    cost: Callable[[JobT], int]
    skip_unreadable: bool = False
    _most: float = float("inf")

    def run(self, jobs: Iterable[JobT]) -> Iterator[Done[JobT] | Shrunk[JobT]]:
        """Run jobs in order, yielding each once it is written.

        Closing the generator stops all threads after what they are doing.

        Raises
        ------
        ModelError
            If memory is short even for the smallest jobs.
        """
        stop = threading.Event()
        read, computed = _Bounded(), _Bounded()
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._read, args=(jobs, read, stop)),
            threading.Thread(target=self._write, args=(computed, done, stop)),
        ]
        for thread in threads:
            thread.start()
        try:
            while (item := read.get()) is not _END:
                if isinstance(item, Exception):
                    raise item
                for result in self._compute(*item):
                    if isinstance(result, Done | Shrunk):
                        yield result
                        continue
                    while not computed.put(result):
                        yield from _finished(done)
                    yield from _finished(done)
            while not computed.put(_END):
                yield from _finished(done)
            threads[1].join()
            yield from _finished(done)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _read(
        self, jobs: Iterable[JobT], read: _Bounded, stop: threading.Event
    ) -> None:
        try:
            for job in jobs:
                for part in self._small_enough(job):
                    for item in self._readable(part):
                        while not read.put(item):
                            if stop.is_set():
                                return
            end: Any = _END
        except Exception as error:  # It is raised where the results are waited for.
            end = error
        while not read.put(end) and not stop.is_set():
            pass

    def _readable(self, job: JobT, halvings: int = _HALVINGS) -> list[tuple[JobT, Any]]:
        """Prepare a job, or smaller ones where a part of it can't be read."""
        prepared = self._prepared(job)
        whole = [(job, prepared)]
        if not isinstance(prepared, UnreadableChunkError) or not halvings:
            return whole
        parts = self.split(job)
        if len(parts) == 1:
            return whole
        found = [each for part in parts for each in self._readable(part, halvings - 1)]
        lost = all(isinstance(item, UnreadableChunkError) for _, item in found)
        return whole if lost else found

    def _prepared(self, job: JobT) -> Any:
        try:
            return self.prepare(job)
        except UnreadableChunkError as error:
            if not self.skip_unreadable:
                raise
            return error

    def _write(
        self,
        computed: _Bounded,
        done: queue.SimpleQueue[Any],
        stop: threading.Event,
    ) -> None:
        while not stop.is_set():
            try:
                item = computed.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if item is _END:
                return
            job, result, seconds = item
            try:
                self.write(job, result)
            except Exception as error:  # It is raised where results are waited for.
                done.put(error)
                return
            done.put(Done(job, seconds))

    def _compute(self, job: JobT, prepared: Any) -> Iterator[Any]:
        """Yield (job, result, seconds), of smaller jobs where memory is short."""
        if prepared is None or isinstance(prepared, UnreadableChunkError):
            yield Done(job, 0.0, str(prepared or ""))
            return
        if self.cost(job) <= self._most:
            started = time.perf_counter()
            try:
                result = self.compute(prepared)
            except MemoryError as error:
                if len(self.split(job)) == 1:
                    raise ModelError(
                        "This model needs more memory than is free even for its "
                        "smallest tile: close other programs, or use another device."
                    ) from error
            else:
                yield job, result, time.perf_counter() - started
                return
            gc.collect()
            self._most = min(self._most, max(map(self.cost, self.split(job))))
            yield Shrunk(job)
        del prepared
        for part in self.split(job):
            for item in self._readable(part):
                yield from self._compute(*item)

    def _small_enough(self, job: JobT) -> Iterator[JobT]:
        parts = self.split(job) if self.cost(job) > self._most else [job]
        if len(parts) == 1:
            yield job
            return
        for part in parts:
            yield from self._small_enough(part)


def _finished(done: queue.SimpleQueue[Any]) -> Iterator[Any]:
    while True:
        try:
            item = done.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, Exception):
            raise item
        yield item
