from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.images.blocks import iterate_blocks

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 5))


@given(st.lists(SIZES, min_size=1, max_size=4), st.integers(0, 500))
def test_blocks_cover_each_pixel_once_and_start_on_chunks(
    sizes: list[tuple[int, int]], most_bytes: int
) -> None:
    shape, chunks = zip(*sizes, strict=True)
    dtype = np.dtype(np.uint16)
    covered = np.zeros(shape, int)
    for block in iterate_blocks(shape, chunks, dtype, most_bytes=most_bytes):
        covered[block] += 1
        starts = [part.start % chunk for part, chunk in zip(block, chunks, strict=True)]
        assert not any(starts)
        pixels = covered[block].size
        assert pixels * 2 <= most_bytes or pixels <= np.prod(chunks)
    assert (covered == 1).all()
