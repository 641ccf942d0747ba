from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_im2im.errors import ImageError
from napari_im2im.images.image import Image
from napari_im2im.images.stacking import stack_channels


@pytest.mark.parametrize("lazy", [False, True])
def test_images_are_stacked_as_channels(lazy):
    one, two = np.zeros((4, 5)), np.ones((4, 5, 2))
    if lazy:
        two = dask.array.from_array(two)
    stacked = stack_channels(
        [
            Image(one, ("y", "x"), name="a", channel_names=("a",)),
            Image(two, ("y", "x", "channel"), name="b", channel_names=("b", "c")),
        ]
    )
    assert stacked.sizes == {"channel": 3, "y": 4, "x": 5}
    assert stacked.channel_names == ("a", "b", "c")
    assert stacked.read().mean(axis=(1, 2)).tolist() == [0, 1, 1]


def test_images_of_different_size_are_not_stacked():
    images = [Image(np.zeros((4, n)), ("y", "x"), name=f"{n}") for n in (5, 6)]
    with pytest.raises(ImageError, match="6 and 5 can't be read together"):
        stack_channels(images)
