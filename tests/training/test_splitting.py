from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.errors import DataError
from napari_im2im.training.data import Sample
from napari_im2im.training.splitting import split_samples

STEP = {"y": 16, "x": 16}


def sample(height, width, name="a"):
    pixels = np.arange(height * width, dtype=np.float32).reshape(1, height, width)
    return Sample(pixels, pixels, name)


@given(
    st.integers(48, 300), st.integers(48, 300), st.floats(0.01, 0.3), st.integers(0, 3)
)
def test_the_strip_of_one_image_is_apart_from_what_is_learned(
    height, width, fraction, seed
):
    split = split_samples(
        [[sample(height, width)]], fraction=fraction, step=STEP, seed=seed
    )
    learned, held_out = split.training[0], split.validation[0]
    assert not np.intersect1d(learned.input, held_out.input).size
    axis = 1 if height >= width else 2
    gap = max(height, width) - learned.input.shape[axis] - held_out.input.shape[axis]
    assert gap == 16
    assert held_out.input.shape[axis] % 16 == 0


def test_the_sentence_names_the_strip():
    split = split_samples([[sample(64, 256)]], fraction=0.15, step=STEP)
    assert split.text == (
        "One image only: validation uses a separate strip of the same image, "
        "the last 32 pixels along x."
    )


@given(st.integers(2, 30), st.floats(0.01, 0.9), st.integers(0, 5))
def test_images_are_learned_or_held_out(count, fraction, seed):
    images = [[sample(16, 16, f"{i}")] * 2 for i in range(count)]
    split = split_samples(images, fraction=fraction, step=STEP, seed=seed)
    learned = {s.name for s in split.training}
    held_out = {s.name for s in split.validation}
    assert learned
    assert held_out
    assert learned | held_out == {f"{i}" for i in range(count)}
    assert not learned & held_out
    assert split.validation_images == len(held_out)


@pytest.mark.parametrize("seed", range(5))
def test_an_image_that_is_all_but_empty_does_not_judge(seed):
    images = [[sample(16, 16, f"{i}")] for i in range(9)]
    for i in (0, 4):
        images[i] = [Sample(images[i][0].input, np.zeros((1, 16, 16)), f"{i}")]
    split = split_samples(images, fraction=0.15, step=STEP, seed=seed)
    assert split.validation[0].name not in ("0", "4")


def test_nothing_held_out_is_said():
    split = split_samples([[sample(16, 16)]], fraction=0, step=STEP)
    assert split.validation_images == 0
    assert "Nothing is held out" in split.text


def test_an_image_too_small_for_a_strip_is_refused():
    with pytest.raises(DataError, match=r"a is 40 pixels along x.*\(48 are needed\)"):
        split_samples([[sample(16, 40)]], fraction=0.15, step=STEP)
