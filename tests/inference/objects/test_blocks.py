"""Blocks cover an array once, in whole chunks."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_im2im.inference.objects.blocks import cut_blocks, widened, within

SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=3)


@settings(max_examples=30, deadline=None)
@given(shape=SIZES, chunk=st.integers(1, 30), most=st.integers(1, 5000))
def test_blocks_cover_everything_once_and_respect_chunks(shape, chunk, most):
    seen = np.zeros(shape, int)
    blocks = cut_blocks(shape, [chunk] * len(shape), most)
    for block in blocks:
        seen[block] += 1
        assert all(part.start % chunk == 0 for part in block)
    assert (seen == 1).all()
    largest = max(seen[block].size for block in blocks)
    assert largest <= max(most, math.prod(min(chunk, n) for n in shape))


@settings(max_examples=30, deadline=None)
@given(shape=SIZES, margin=st.integers(0, 20))
def test_a_margin_stays_inside_and_the_core_is_found_again(shape, margin):
    array = np.arange(math.prod(shape)).reshape(shape)
    for core in cut_blocks(shape, [7] * len(shape), 50):
        crop = widened(core, [margin] * len(shape), shape)
        np.testing.assert_array_equal(array[crop][within(core, crop)], array[core])
