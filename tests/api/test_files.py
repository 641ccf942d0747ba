"""Predicting folders from Python."""

import numpy as np
import pytest

import napari_im2im
from napari_im2im.errors import ConfigError
from napari_im2im.events import FileDone
from napari_im2im.images import Image, open_image, save_image
from packages import write_smooth_package


def test_a_tree_is_predicted_and_what_failed_is_returned(tmp_path):
    model = napari_im2im.load_model(write_smooth_package(tmp_path / "model"))
    pixels = np.random.default_rng(0).normal(size=(40, 48)).astype("float32")
    for name in ("a", "day/b"):
        save_image(Image(pixels, ("y", "x")), tmp_path / "in" / f"{name}.ome.tif")
    (tmp_path / "in" / "c.tif").write_bytes(b"not a TIFF")
    job = (model, tmp_path / "in", tmp_path / "out")
    seen = []
    result = napari_im2im.predict_files(*job, on_event=seen.append)
    assert (result.done, result.skipped) == (2, 0)
    assert [failure.input.name for failure in result.failed] == ["c.tif"]
    files = [event.output for event in seen if isinstance(event, FileDone)]
    assert files[1].parent == tmp_path / "out" / "day"
    expected = napari_im2im.predict(model, pixels)
    np.testing.assert_allclose(
        np.squeeze(open_image(files[1]).data), expected, rtol=1e-5
    )
    with pytest.raises(ConfigError, match="--resume skips"):
        napari_im2im.predict_files(*job)
    assert napari_im2im.predict_files(*job, resume=True).skipped == 2
    with pytest.raises(ConfigError, match="Did you mean resume"):
        napari_im2im.predict_files(*job, resum=True)
