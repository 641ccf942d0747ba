"""How long it takes from pressing Train to the first step.

    OMP_NUM_THREADS=1 python benchmarks/training_start.py
    OMP_NUM_THREADS=1 python benchmarks/training_start.py --wait 0

In napari's window, from 32 files of 512 × 512, with default settings. Train is pressed
some seconds (``--wait``) after it could be, for a first and then for a second training.
Also the longest time, before and after pressing, in which the window heard nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["NAPARI_IM2IM_HOME"] = tempfile.mkdtemp()

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QEventLoop, QTimer

from napari_im2im.events import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_im2im.docks.train.widget import TrainWidget

FILES, SHAPE = 32, (512, 512)
TICK = 0.005


class Pulse:
    """Hears from the window at short intervals."""

    def __init__(self) -> None:
        self.longest, self.last = 0.0, time.perf_counter()
        self.timer = QTimer()
        self.timer.timeout.connect(self._beat)
        self.timer.start(int(1000 * TICK))

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self.last = max(self.longest, now - self.last - TICK), now

    def read(self) -> float:
        """Return the longest silence since it was read."""
        longest, self.longest = self.longest, 0.0
        return longest


def wait(done: Callable[[], bool]) -> None:
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() else None)
    timer.start(20)
    loop.exec()


def write_files(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(FILES):
        pixels = random.integers(0, 9999, SHAPE).astype(np.uint16)
        tifffile.imwrite(folder / f"x_{number:02}.tif", pixels)
        tifffile.imwrite(folder / f"y_{number:02}.tif", 3 * pixels + 7)


def press(dock: TrainWidget) -> float:
    """Return the seconds to the first step; then stop."""
    steps: list[float] = []
    hear = dock.view.hear

    def note(event: object) -> None:
        if isinstance(event, Progress) and event.activity == "Training":
            steps.append(time.perf_counter())
        hear(event)

    dock.view.hear = note
    started = time.perf_counter()
    dock.run()
    wait(lambda: bool(steps))
    dock.stop()
    wait(lambda: not dock.running)
    dock.view.hear = hear
    return steps[0] - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wait", type=float, default=20.0, help="seconds")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    write_files(folder)
    viewer = napari.Viewer(show=False)
    _, dock = viewer.window.add_plugin_dock_widget("napari-im2im", "Train")
    dock.form.origin.setCurrentText("Files")
    page = dock.form.patterns
    for role, pattern in (("input", "x_*.tif"), ("target", "y_*.tif")):
        page.fields[role].line.setText(str(folder / pattern))
    page.look()
    # Until files are found, the button shows what was there before.
    wait(lambda: page.found is not None)
    dock.refresh()
    wait(dock.job_row.run_button.isEnabled)
    pulse = Pulse()
    ready = time.perf_counter() + options.wait
    wait(lambda: time.perf_counter() >= ready)
    print(f"window silent for at most {pulse.read():.2f} s before pressing")
    for word in ("first", "second"):
        seconds = press(dock)
        silent = pulse.read()
        print(f"{word}: {seconds:.1f} s, window silent for at most {silent:.2f} s")
    viewer.close()


if __name__ == "__main__":
    main()
