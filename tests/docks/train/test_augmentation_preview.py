import numpy as np
import pytest

from napari_im2im.docks.train.augmentation_preview import AugmentationDialog
from napari_im2im.images.image import Image
from napari_im2im.training.data.augmentation_config import STRENGTHS


def images():
    pixels = np.random.default_rng(0).integers(0, 999, (2, 64, 48)).astype(np.uint16)
    phase = Image(pixels, ("channel", "y", "x"), name="phase")
    return [phase, Image(pixels[0], ("y", "x"), name="stain")]


@pytest.fixture
def make_dialog(qtbot):
    def make(chosen, open_images=None, **options):
        dialog = AugmentationDialog(chosen, open_images, **options)
        qtbot.addWidget(dialog)
        return dialog

    return make


@pytest.mark.parametrize("word", list(STRENGTHS))
def test_a_word_sets_the_amounts(make_dialog, word):
    dialog = make_dialog("none")
    dialog.strength.setCurrentText(word)
    assert dialog.config() == STRENGTHS[word]
    assert dialog.value() == word


def test_an_amount_makes_it_ones_own(make_dialog):
    dialog = make_dialog("standard")
    dialog.amounts["rotation"].setValue(15)
    dialog.amounts["flip"].setChecked(False)
    assert dialog.strength.currentText() == "own"
    assert dialog.value() == {"flip": False, "rotation": 15}
    assert make_dialog(dialog.value()).config() == dialog.config()


def test_a_sample_and_its_variations_are_shown(make_dialog, qtbot):
    dialog = make_dialog("heavy", images)
    dialog.show()

    def drawn():
        return [[i.pixelColor(5, 5).red() for i in c] for c in dialog.pictures.columns]

    qtbot.waitUntil(lambda: bool(dialog.pictures.columns), timeout=60_000)
    first = drawn()
    assert len(first) == 4
    assert len(first[0]) == 2
    assert "input above" in dialog.status.text()
    qtbot.waitUntil(lambda: not dialog.drawing, timeout=10_000)
    dialog.again.click()
    qtbot.waitUntil(lambda: drawn() != first, timeout=60_000)
    assert drawn()[0] == first[0]
    qtbot.waitUntil(lambda: not dialog.drawing, timeout=10_000)


def test_a_file_that_cannot_be_read_is_named(make_dialog, qtbot):
    from napari_im2im.errors import ImageError

    def fail():
        raise ImageError("a.tif can't be read: choose another.")

    dialog = make_dialog("standard", fail)
    qtbot.waitUntil(lambda: "a.tif" in dialog.status.text(), timeout=60_000)
    qtbot.waitUntil(lambda: not dialog.drawing, timeout=10_000)
