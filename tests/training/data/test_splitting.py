from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.errors import DataError
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.splitting import choose_test, split_samples, units_of

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


def images_of(count):
    return [[sample(16, 16, f"{i}")] for i in range(count)]


def test_groups_are_held_out_whole():
    groups = ["a", "a", "b", "b", "c", "c"]
    split = split_samples(images_of(6), fraction=0.3, step=STEP, groups=groups)
    held_out = {int(s.name) // 2 for s in split.validation}
    learned = {int(s.name) // 2 for s in split.training}
    assert len(held_out) == 1
    assert not held_out & learned
    assert "1 of 3 groups (2 images) held out for validation" in split.text


def test_the_images_of_a_single_group_are_split():
    split = split_samples(images_of(4), fraction=0.25, step=STEP, groups=["a"] * 4)
    assert split.validation_images == 1


def test_every_nth_image_is_held_out():
    split = split_samples(images_of(9), fraction=1 / 3, step=STEP, by="every_nth")
    assert [s.name for s in split.validation] == ["1", "4", "7"]


def test_images_given_for_validation_are_used():
    parts = [None, "val", "train"]
    split = split_samples(images_of(3), fraction=0.1, step=STEP, parts=parts)
    assert [s.name for s in split.validation] == ["1"]
    assert split.parts == ("train", "val", "train")
    assert split.text == "1 image is given for validation: 1."


def test_nothing_left_to_learn_is_refused():
    with pytest.raises(DataError, match="nothing to learn from"):
        split_samples(images_of(2), fraction=0.1, step=STEP, parts=["val", "val"])


def test_a_test_set_is_drawn_from_the_seed_and_named():
    units = units_of([f"{i}" for i in range(10)], [None] * 10)
    test, text = choose_test(units, 0.2, seed=1)
    assert len(test) == 2
    assert choose_test(units, 0.2, seed=1)[0] == test
    assert text == (
        f"2 of 10 images left alone for a test: {test[0].name}, {test[1].name}."
    )


def test_a_test_set_of_too_few_is_refused():
    with pytest.raises(DataError, match="needs 3 images or groups"):
        choose_test(units_of(["a", "b"], [None, None]), 0.2, seed=0)
