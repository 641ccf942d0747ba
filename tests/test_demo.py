"""The demo without a display."""

import numpy as np
from PIL import Image as Picture

from napari_im2im.demo import (
    TEST_ROWS,
    TRAINING_ROWS,
    DemoFinished,
    correlations,
    demo_events,
    rows_of,
    write_comparison,
)
from napari_im2im.events import NewBest
from napari_im2im.images.sample import load_sample


def test_the_demo_trains_predicts_and_writes_its_picture(tmp_path):
    events = list(demo_events(tmp_path, seconds=1))
    assert any(isinstance(event, NewBest) for event in events)
    last = events[-1]
    assert isinstance(last, DemoFinished)
    assert last.picture == tmp_path / "demo.png"
    assert list(last.metrics) == ["PCC DAPI", "PCC MAP2", "PCC NFH"]
    assert last.package.is_relative_to(tmp_path)
    # Three columns of the test part's width, a row for each channel.
    with Picture.open(last.picture) as picture:
        assert picture.width >= 3 * 768
        assert picture.height >= 3 * 256


def test_the_demo_is_tested_on_rows_that_it_never_saw():
    assert TRAINING_ROWS.stop <= TEST_ROWS.start
    phase, _ = load_sample()
    part = rows_of(phase, TEST_ROWS)
    np.testing.assert_array_equal(part.read(), phase.read()[:, 768:])


def test_a_perfect_prediction_correlates_fully_and_looks_the_same(tmp_path):
    phase, fluorescence = (rows_of(each, slice(0, 64)) for each in load_sample())
    truth = fluorescence.read()
    values = correlations(truth.astype("float32"), fluorescence)
    np.testing.assert_allclose(list(values.values()), 1)
    write_comparison(tmp_path / "p.png", phase, fluorescence, truth)
    with Picture.open(tmp_path / "p.png") as picture:
        pixels = np.asarray(picture)
    width = truth.shape[-1]
    target, prediction = pixels[28:92, width + 4 :], pixels[28:92, 2 * (width + 4) :]
    np.testing.assert_array_equal(target[:, :width], prediction[:, :width])
