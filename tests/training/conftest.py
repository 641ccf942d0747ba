"""Small pairs of images that can be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from scipy.ndimage import gaussian_filter

from napari_im2im.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_im2im.training.data.examples import Pair

# A busy computer is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Let tiny networks run on one core: sharing them out costs more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_pair() -> Callable[..., Pair]:
    """Return a maker of pairs: the target is a brighter, inverted input, uint16."""

    def make(shape=(64, 64), axes="yx", seed=0, name="a", scale=None) -> Pair:
        random = np.random.default_rng(seed)
        texture = gaussian_filter(random.random(shape), 1.5)
        texture = (texture - texture.min()) / np.ptp(texture)
        scale = scale or {}
        units = dict.fromkeys(scale, "micrometer")
        return tuple(
            Image(pixels.astype(np.uint16), tuple(axes), scale, units, name=label)
            for pixels, label in (
                (100 + 200 * texture, name),
                (5000 - 3000 * texture, f"{name} stained"),
            )
        )

    return make
