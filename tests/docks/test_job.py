import threading
import time

from napari_im2im.docks.job import Job
from napari_im2im.errors import DataError


def watch(job):
    heard = []
    job.happened.connect(heard.append)
    job.failed.connect(lambda text: heard.append(("failed", text)))
    job.ended.connect(lambda end: heard.append(("ended", end)))
    return heard


def test_events_come_in_order_from_another_thread(qtbot):
    def events():
        yield threading.current_thread() is threading.main_thread()
        yield from range(100)

    job = Job(events)
    heard = watch(job)
    with qtbot.waitSignal(job.ended):
        job.start()
    assert heard == [False, *range(100), ("ended", "finished")]


def test_a_stopped_job_is_closed_in_its_own_thread(qtbot):
    closed = []

    def events():
        try:
            while True:
                time.sleep(0.01)
                yield
        finally:
            closed.append(threading.current_thread() is threading.main_thread())

    job = Job(events)
    heard = watch(job)
    with qtbot.waitSignal(job.ended):
        job.start()
        qtbot.wait(50)
        job.stop()
    assert closed == [False]
    assert heard[-1] == ("ended", "stopped")


def test_errors_of_ours_are_sentences(qtbot):
    def events():
        yield 1
        raise DataError("There are no images: choose some.")

    job = Job(events)
    heard = watch(job)
    with qtbot.waitSignal(job.ended):
        job.start()
    assert heard == [
        1,
        ("failed", "There are no images: choose some."),
        ("ended", "failed"),
    ]
