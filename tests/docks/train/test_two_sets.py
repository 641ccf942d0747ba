"""Learning without pairs in the Train dock."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_im2im.docks.settings import load_settings
from napari_im2im.docks.train.preview_strip import PreviewStrip
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.events import NewBest, TrainingFinished

SENTENCES = [
    "Translates phase (48 × 64) into what looks like dna (40 × 80), which shows other "
    "fields, for 30 min.",
    "Without pairs nothing tells which model is best: the newest is kept, and parts of "
    "both sets are held out to look at.",
]


@pytest.fixture
def dock(viewer, qtbot, show):
    random = np.random.default_rng(0)
    viewer.add_image(random.random((48, 64), np.float32), name="phase")
    viewer.add_image(random.random((40, 80), np.float32), name="dna")
    dock = show(TrainWidget(viewer))
    qtbot.waitUntil(lambda: len(dock.form.look.facts) == 2)
    dock.form.task.set_task("unpaired")
    dock.refresh()
    return dock


def test_layers_of_other_sizes_are_translated(dock, sentences, qtbot, fake_training):
    job = fake_training()
    assert sentences(dock)[:2] == SENTENCES
    assert not dock.form.cost_map.isVisibleTo(dock)
    assert not dock.form.start.isVisibleTo(dock)
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert job.config.task == "unpaired"
    ((source, target),) = job.pairs
    assert (source.shape, target.shape) == ((48, 64), (40, 80))
    assert load_settings()["train"]["task"] == "unpaired"


def test_pairs_are_asked_for_again(dock, sentences):
    dock.form.task.set_task("image")
    dock.refresh()
    assert "The sizes differ" in sentences(dock)[0]
    assert dock.form.cost_map.isVisibleTo(dock)
    assert dock.form.start.isVisibleTo(dock)


def test_the_discriminator_is_an_option_of_both(dock):
    options = dock.form.options
    options.fold.expand(animate=False)
    weight = options._entries["adversarial.weight"].widget
    identity = options._entries["unpaired.identity"].widget
    assert weight.isVisibleTo(dock)
    assert identity.isVisibleTo(dock)
    dock.form.task.set_task("image")
    assert weight.isVisibleTo(dock)
    assert not identity.isVisibleTo(dock)
    assert not options._form.isRowVisible(options._entries["adversarial.loss"].widget)
    options.set_value("adversarial.weight", 0.01)
    assert options._form.isRowVisible(options._entries["adversarial.loss"].widget)
    assert dock.form.config().adversarial.weight == 0.01
    dock.form.task.set_task("semantic")
    assert not weight.isVisibleTo(dock)


def test_two_folders_are_shown_side_by_side(dock, tmp_path, sentences, qtbot):
    for letter, count in (("trainA", 3), ("trainB", 2)):
        (tmp_path / letter).mkdir()
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 99, (32, 32))
            path = tmp_path / letter / f"{letter}-{number}.tif"
            tifffile.imwrite(path, pixels.astype(np.uint8))
    form = dock.form
    form.origin.setCurrentText("Folder")
    form.folder.folder.line.setText(str(tmp_path))
    form.folder.folder.changed.emit()
    qtbot.waitUntil(lambda: form.folder.found is not None, timeout=20_000)
    dock.refresh()
    assert sentences(dock)[0] == (
        "What stands beside what says nothing: 3 inputs and 2 targets."
    )
    table = form.folder.pairs
    cells = [
        [table.item(row, column).text() for column in range(2)] for row in range(3)
    ]
    assert cells == [
        ["trainA-0.tif", "trainB-0.tif"],
        ["trainA-1.tif", "trainB-1.tif"],
        ["trainA-2.tif", ""],
    ]
    assert form.config().data.folder == tmp_path
    assert dock.job_row.run_button.isEnabled()


def test_the_newest_is_kept_and_said(dock, tmp_path):
    view = dock.view
    view.begin((dock.form.config(), []), "phase-to-dna", ())
    view.hear(NewBest(12, "step", 12.0, tmp_path))
    assert view.best.text() == "Kept: the newest, of step 12, just now"
    assert view.plot._canvas.best is None
    metrics = {"intensity distance": 3.21, "validation_loss": 1.0}
    view.hear(TrainingFinished(tmp_path, tmp_path, metrics, "time is up"))
    assert view.best.text() == "The newest on validation: intensities apart 3.21"


def test_the_preview_says_that_its_target_is_another(qtbot):
    strip = PreviewStrip()
    qtbot.addWidget(strip)
    image = np.zeros((1, 8, 8), np.float32)
    for unpaired, caption in ((True, "another target"), (False, "target")):
        strip.show_preview(image, image, image, unpaired=unpaired)
        assert [name for name, _ in strip._pictures._images][1] == caption


def test_the_task_is_chosen_from_the_keyboard(dock, qtbot):
    box = dock.form.task
    box.set_task("image")
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert box.task == "unpaired"
