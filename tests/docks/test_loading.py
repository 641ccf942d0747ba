import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_im2im.docks import dock, loading
from napari_im2im.docks.train.widget import TrainWidget


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Write modules that are forgotten again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)
        loading._loading.pop(name, None)


def test_a_job_waits_for_what_is_being_loaded_elsewhere(write_module):
    text = "import time, threading\ntime.sleep(0.2)\nthread = threading.get_ident()"
    names = [write_module("slow_one", text), write_module("slow_two", text)]
    loading.load_soon(names)
    assert "slow_two" not in sys.modules
    loading.load(names)
    threads = {sys.modules[name].thread for name in names}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert gc.isenabled()


def test_what_cannot_be_loaded_is_told_to_each_who_needs_it(write_module):
    name = write_module("broken_one", "raise ImportError('no such library')")
    loading.load_soon([name])
    for _ in range(2):
        with pytest.raises(ImportError, match="no such library"):
            loading.load([name])


def test_closing_the_window_ends_the_loading(write_module):
    first = write_module("slow_first", "import time; time.sleep(0.3)")
    later = write_module("never_needed", "")
    loading.load_soon([first, later])
    time.sleep(0.1)
    loading._give_up()
    loading.load([first])
    assert later not in sys.modules
    # Another window may follow.
    loading.load([later])
    assert later in sys.modules


def test_a_dock_that_is_gone_loads_nothing(viewer, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(dock, "load_soon", asked.extend)
    monkeypatch.setattr(dock, "_QUIET", 50)
    closed = dock.Dock(viewer, "Run", ["json"])
    closed._loader.start()
    closed.close()
    closed.deleteLater()
    del closed
    gc.collect()
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        # Without a loop of its own, which would delete the dock first.
        QApplication.processEvents()
    assert not asked


def test_libraries_are_loaded_once_a_training_could_start(
    viewer, qtbot, show, monkeypatch
):
    asked = []
    monkeypatch.setattr(dock, "load_soon", asked.extend)
    monkeypatch.setattr(dock, "_QUIET", 50)
    train = show(TrainWidget(viewer))
    train.refresh()
    qtbot.wait(200)
    assert not asked
    pixels = np.random.default_rng(0).random((32, 32), np.float32)
    for name in ("phase", "DAPI"):
        viewer.add_image(pixels, name=name)
    qtbot.waitUntil(lambda: train.job_row.run_button.isEnabled())
    qtbot.waitUntil(lambda: "torch" in asked)


def test_a_program_that_is_closed_while_loading_ends_soon(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / f"slow_{name}.py").write_text("import time; time.sleep(1)")
    program = """
import sys
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
application = QApplication([])
from napari_im2im.docks.loading import load_soon
load_soon(["slow_one", "slow_two", "slow_three"])
QTimer.singleShot(100, application.quit)
application.exec()
import atexit
atexit.register(lambda: print(*[n for n in sys.modules if n.startswith("slow")]))
"""
    end = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert end.returncode == 0, end.stderr
    assert end.stdout.split() == ["slow_one"]
