"""Jobs go through three threads in order, and errors come out."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from napari_im2im.errors import ImageError, ModelError
from napari_im2im.inference.pipeline import Done, Pipeline, Shrunk
from napari_im2im.inference.sources import UnreadableChunkError

if TYPE_CHECKING:
    from types import FrameType


@dataclass
class Recorder:
    """Doubles ranges of numbers, as if they were tiles."""

    most: int = 1000
    bad: int = -1
    written: list[range] = field(default_factory=list)
    ahead: int = 0
    read: int = 0

    def prepare(self, job: range) -> list[int]:
        if self.bad in job:
            raise UnreadableChunkError(f"{self.bad} can't be read")
        self.read += 1
        self.ahead = max(self.ahead, self.read - len(self.written))
        return list(job)

    def compute(self, numbers: list[int]) -> list[int]:
        if len(numbers) > self.most:
            raise MemoryError
        return [2 * number for number in numbers]

    def write(self, job: range, result: list[int]) -> None:
        assert result == [2 * number for number in job]
        self.written.append(job)

    def split(self, job: range) -> list[range]:
        if len(job) < 2:
            return [job]
        middle = len(job) // 2
        return [job[:middle], job[middle:]]

    def pipeline(self, skip: bool = False) -> Pipeline[range]:
        return Pipeline(self.prepare, self.compute, self.write, self.split, len, skip)


JOBS = [range(start, start + 8) for start in range(0, 160, 8)]


def numbers(jobs: list[range]) -> list[int]:
    return [number for job in jobs for number in job]


def test_everything_is_written_in_order() -> None:
    recorder = Recorder()
    done = list(recorder.pipeline().run(JOBS))
    assert [d.job for d in done if isinstance(d, Done)] == JOBS
    assert recorder.written == JOBS


def test_reading_is_only_a_few_jobs_ahead() -> None:
    recorder = Recorder()
    list(recorder.pipeline().run(JOBS))
    assert recorder.ahead <= 8


@pytest.mark.parametrize("most", [1, 3, 5])
def test_short_memory_halves_jobs(most: int) -> None:
    recorder = Recorder(most=most)
    events = list(recorder.pipeline().run(JOBS))
    assert numbers(recorder.written) == numbers(JOBS)
    assert max(map(len, recorder.written)) <= most
    assert sum(isinstance(event, Shrunk) for event in events) <= 3


def test_no_memory_at_all_ends_it() -> None:
    with pytest.raises(ModelError, match="more memory"):
        list(Recorder(most=0).pipeline().run(JOBS))


def test_what_cannot_be_read_ends_it_or_is_left_out() -> None:
    with pytest.raises(ImageError, match="20 can't be read"):
        list(Recorder(bad=20).pipeline().run(JOBS))
    recorder = Recorder(bad=20)
    events = list(recorder.pipeline(skip=True).run(JOBS))
    (problem,) = [e for e in events if isinstance(e, Done) and e.problem]
    assert problem.job == range(20, 21)
    assert numbers(recorder.written) == [*range(20), *range(21, 160)]


def test_what_cannot_be_read_at_all_is_left_out_at_once() -> None:
    recorder = Recorder(bad=20)
    recorder.split = lambda job: [job, job]  # type: ignore[method-assign]
    events = list(recorder.pipeline(skip=True).run(JOBS))
    assert [e.job for e in events if isinstance(e, Done) and e.problem] == [JOBS[2]]


def test_errors_of_all_threads_come_out() -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    for stage in ("prepare", "compute", "write"):
        pipeline = Recorder().pipeline()
        setattr(pipeline, stage, broken)
        with pytest.raises(OSError, match="disk is full"):
            list(pipeline.run(JOBS))


def test_closing_ends_all_threads() -> None:
    before = set(threading.enumerate())
    events = Recorder().pipeline().run(JOBS)
    next(events)
    events.close()
    assert set(threading.enumerate()) <= before


def test_an_interrupt_within_a_queue_leaves_no_thread_waiting() -> None:
    """Ctrl-C may come when a lock is taken, before anything would release it."""

    def trace(frame: FrameType, event: str, _: object) -> object:
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        if frame.f_code.co_name != "__enter__" or not caller.endswith("queue.py"):
            return None
        if event == "return":
            raise KeyboardInterrupt
        return trace

    def run() -> None:
        sys.settrace(trace)
        with suppress(KeyboardInterrupt):
            list(Recorder().pipeline().run(JOBS))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
