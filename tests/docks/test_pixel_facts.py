import dask.array
import numpy as np
import pytest

from napari_im2im.docks.pixel_facts import PROBED_PIXELS, advise_pixels, probe_pixels
from napari_im2im.images.image import Image


def test_a_large_image_is_looked_at_in_part():
    read = []

    def make(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((8, 64, 64), np.float32)

    data = dask.array.map_blocks(
        make, chunks=((8,) * 20, (64,) * 20, (64,) * 20), dtype=np.float32
    )
    facts = probe_pixels(Image(data, ("z", "y", "x")))
    assert facts.minimum == facts.maximum == 1
    assert len(read) * 8 * 64 * 64 < 3 * PROBED_PIXELS
    assert len(read) < data.npartitions / 20


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_found(bad):
    pixels = np.arange(64.0).reshape(8, 8)
    pixels[2, 3] = bad
    facts = probe_pixels(Image(pixels, ("y", "x"), name="phase"))
    assert facts.not_finite == pytest.approx(1 / 64)
    assert (facts.minimum, facts.maximum) == (0, 63)
    (advice,) = advise_pixels(Image(pixels, ("y", "x"), name="phase"), facts, "input")
    assert advice.level == "stop"
    assert "phase has NaN or infinite pixels (1.6% " in advice.text


def test_a_constant_input_is_a_warning_only():
    image = Image(np.zeros((8, 8), np.uint8), ("y", "x"), name="dark")
    (advice,) = advise_pixels(image, probe_pixels(image), "input")
    assert advice.level == "warning"
