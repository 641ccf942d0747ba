"""Take the pictures of the docks in docs/images, from the real window at work.

    xvfb-run -a -s "-screen 0 1400x900x24" python tools/screenshots.py

Trains on the bundled sample and predicts with the bundled model; each state is taken in
napari's dark and light theme. Settings and models of the user are not touched.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

SIZE = (1280, 760)
FOLDER = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="of the training")
    parser.add_argument("--dock", choices=("train", "predict"), help="default: both")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_IM2IM_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        take_all(arguments.out, arguments.steps, arguments.dock)


def take_all(folder: Path, steps: int, only: str | None) -> None:
    """Take every picture, or those of one dock."""
    import napari

    from napari_im2im.docks.opening import open_dock, open_sample

    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    open_sample(viewer)
    for layer in viewer.layers[2:]:
        layer.visible = False
    predict = open_dock(viewer, "Predict")
    train = open_dock(viewer, "Train")
    work(2)
    if only != "predict":
        take_training(viewer, train, folder, steps)
    if only != "train":
        open_dock(viewer, "Predict")
        take_prediction(viewer, predict, folder)
    viewer.close()


def take_training(viewer: napari.Viewer, dock: Any, folder: Path, steps: int) -> None:
    """Take the Train dock before, during and after a training."""
    # Small enough to look like a training after a minute on a CPU.
    for option, value in (
        ("effort.steps", steps),
        ("network.size", "small"),
        ("patch", {"y": 64, "x": 64}),
    ):
        dock.form.options.set_value(option, value)
    work(1)
    dock.form.effort.setCurrentIndex(0)
    picture(viewer, folder / "train-before")
    dock.run()
    seen: list[int] = []
    dock.job.event.connect(lambda event: seen.append(getattr(event, "done", 0)))
    wait(
        lambda: max(seen, default=0) > 0.6 * steps and dock.view.try_button.isVisible()
    )
    picture(viewer, folder / "train-during")
    wait(lambda: not dock.running)
    picture(viewer, folder / "train-after")


def take_prediction(viewer: napari.Viewer, dock: Any, folder: Path) -> None:
    """Take the Predict dock before, during and after a prediction."""
    from napari_im2im.models.library import BUNDLED_FOLDER

    dock.use_model(str(BUNDLED_FOLDER / "phase-to-fluorescence"))
    wait(lambda: dock._facts is not None)
    work(1)
    picture(viewer, folder / "predict-before")
    viewer.layers["DAPI"].visible = False
    dock.options.set_value("tile", {"y": 256, "x": 256})
    dock.run()
    worker = dock.job._worker
    wait(lambda: dock.job_row.bar.value() >= 8)
    worker.pause()
    work(1)  # until what was done before is shown
    picture(viewer, folder / "predict-during")
    worker.resume()
    wait(lambda: not dock.running)
    dock.actions.result.value = next(
        layer for layer in dock.actions._results if layer.name.endswith("DAPI")
    )
    dock.actions.truth.value = viewer.layers["DAPI"]
    dock.actions.measure.click()
    wait(lambda: "PCC" in dock.actions.outcome.text())
    viewer.layers.remove(viewer.layers[-1])  # the map of the error
    viewer.layers.selection.active = dock.actions.result.value
    dock.actions.compare.click()
    picture(viewer, folder / "predict-after")


def picture(viewer: napari.Viewer, path: Path) -> None:
    """Save the window in both themes."""
    from qtpy.QtGui import QImage

    for theme in ("light", "dark"):
        viewer.theme = theme
        work(0.5)
        shot = viewer.window._qt_window.grab().toImage()
        shot = shot.convertToFormat(QImage.Format.Format_RGB888)
        rows = shot.constBits().asarray(shot.sizeInBytes())
        pixels = np.asarray(rows, np.uint8).reshape(shot.height(), -1)
        pixels = pixels[:, : 3 * shot.width()].reshape(shot.height(), shot.width(), 3)
        # 256 colours show all there is to see in a fifth of the bytes.
        small = Image.fromarray(pixels).quantize(
            256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        small.save(path.with_name(f"{path.name}-{theme}.png"), optimize=True)


def work(seconds: float) -> None:
    """Let the window work."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def wait(done: Callable[[], bool], timeout: float = 1800) -> None:
    """Let the window work until something is done."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + timeout
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("The window didn't get there.")
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
