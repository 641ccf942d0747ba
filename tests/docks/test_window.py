"""The docks in a real window."""

import numpy as np
import pytest
from napari._app_model import get_app_model
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDockWidget, QScrollArea

from napari_im2im.docks.dock import Dock
from napari_im2im.docks.opening import PLUGIN, frame_of, open_dock
from napari_im2im.docks.settings import load_settings


def press_keys(dock, keys):
    """Fire a shortcut; without a window manager a test has no keyboard focus."""
    (shortcut,) = (
        one for one in dock.findChildren(QShortcut) if one.key() == QKeySequence(keys)
    )
    shortcut.activated.emit()


def tab_position(dock, widget):
    """Return how often Tab is pressed from the dock to get to a widget."""
    current = dock
    for position in range(1000):
        if current is widget:
            return position
        current = current.nextInFocusChain()
    raise AssertionError("Tab never comes there.")


@pytest.fixture
def window(make_napari_viewer):
    return make_napari_viewer()


def test_docks_do_their_job_in_the_window(
    window, qtbot, fake_model, fake_prediction, fake_training
):
    # One test, because a window takes seconds to open.
    fake_model()
    job = fake_prediction(rows=16, wait=0.1)
    window.add_image(np.zeros((5, 64, 64)), name="movie", axis_labels=("t", "y", "x"))
    window.dims.set_current_step(0, 3)
    train = open_dock(window, "Train")
    predict = open_dock(window, "Predict")
    assert open_dock(window, "Predict") is predict
    qtbot.waitUntil(lambda: predict._facts is not None)
    assert predict.inputs[0].layers == [window.layers["movie"]]

    # Neither is cut off, nor has a horizontal scroll bar, in a narrow dock.
    for dock in (train, predict):
        (area,) = (a for a in dock.findChildren(QScrollArea) if a.parent() is dock)
        assert area.widget().minimumSizeHint().width() <= 340

    # The Tab key comes to what is above a button before the button.
    assert tab_position(predict, predict.model_picker.box) < tab_position(
        predict, predict.job_row.run_button
    )

    predict.region.setCurrentText("What I see now")
    qtbot.waitUntil(predict.job_row.run_button.isEnabled)
    press_keys(predict, "Ctrl+Return")
    qtbot.waitUntil(lambda: len(window.layers) == 2)
    assert job.config.region["time"] == (3, 4)
    assert window.layers["movie → sharp"].translate[0] == 3
    press_keys(predict, "Esc")
    qtbot.waitUntil(lambda: not predict.running, timeout=10_000)
    assert "movie → sharp (partial)" in window.layers


def test_docks_of_the_menu_are_those_that_docks_open(
    make_napari_viewer, qtbot, fake_model
):
    fake_model()
    window = make_napari_viewer(show=True)
    commands = get_app_model().commands
    for command in ("train", "model_zoo"):
        commands.execute_command(f"napari-im2im.{command}")
    train, zoo = (open_dock(window, name) for name in ("Train", "Model Zoo"))
    predict = open_dock(window, "Predict")
    main = window.window._qt_window
    docks = [d for d in main.findChildren(QDockWidget) if d.findChild(Dock)]
    assert len(docks) == 3

    # They share one place, behind tabs.
    qtbot.waitUntil(lambda: zoo._placed and predict._placed)
    others = main.tabifiedDockWidgets(frame_of(train))
    assert {*others} == {frame_of(zoo), frame_of(predict)}

    # One that is hidden and shown again by the menu is in front.
    frame_of(train).hide()
    commands.execute_command("napari-im2im.train")
    qtbot.waitUntil(lambda: not train.visibleRegion().isEmpty())


def test_closing_the_window_ends_a_job(
    make_napari_viewer, qtbot, fake_model, fake_prediction
):
    fake_model()
    job = fake_prediction(rows=16, wait=0.1)
    window = make_napari_viewer()
    window.add_image(np.zeros((64, 64)), name="phase")
    predict = open_dock(window, "Predict")
    qtbot.waitUntil(lambda: predict._facts is not None)
    predict.run()
    qtbot.waitUntil(lambda: len(window.layers) == 2)
    assert window.window._task_status_manager.is_busy()
    window.close()
    qtbot.waitUntil(lambda: job.closed, timeout=10_000)


def test_a_training_can_go_on_after_its_window_was_closed(
    make_napari_viewer, qtbot, fake_training
):
    job = fake_training(steps=50, wait=0.05)
    window = make_napari_viewer()
    for name in ("phase", "DAPI"):
        window.add_image(np.random.default_rng(0).random((64, 64)), name=name)
    train = open_dock(window, "Train")
    train.refresh()
    train.run()
    qtbot.waitUntil(lambda: "running" in load_settings())
    window.close()
    qtbot.waitUntil(lambda: job.closed, timeout=10_000)
    qtbot.wait(100)
    assert load_settings()["running"]["folder"] == str(job.folder)


def test_closing_the_panel_ends_a_training_that_can_go_on(
    make_napari_viewer, qtbot, fake_training
):
    job = fake_training(steps=500, wait=0.05)
    window = make_napari_viewer(show=True)
    for name in ("phase", "DAPI"):
        window.add_image(np.random.default_rng(0).random((64, 64)), name=name)
    train = open_dock(window, "Train")
    qtbot.waitUntil(lambda: train._placed)
    train.refresh()
    train.run()
    qtbot.waitUntil(lambda: "running" in load_settings())
    frame_of(train).destroyOnClose()
    qtbot.waitUntil(lambda: job.closed, timeout=10_000)
    qtbot.wait(100)
    assert load_settings()["running"]["folder"] == str(job.folder)


def test_the_sample_opens_from_the_menu(window):
    window.open_sample(PLUGIN, "virtual_staining")
    assert [layer.name for layer in window.layers] == ["phase", "DAPI", "MAP2", "NFH"]
