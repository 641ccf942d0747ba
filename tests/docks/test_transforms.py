import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image

from napari_im2im.docks.transforms import carried_transform

sizes = st.floats(0.1, 10)
angles = st.floats(-180, 180)
shears = st.floats(-1, 1)


@settings(deadline=None, max_examples=30)
@given(
    scale=st.tuples(sizes, sizes),
    translate=st.tuples(angles, angles),
    angle=angles,
    shear=shears,
    offset=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    zoom=st.tuples(st.sampled_from([0.5, 1, 2]), st.sampled_from([0.5, 1, 4])),
)
def test_the_same_place_stays_the_same_place(
    scale, translate, angle, shear, offset, zoom
):
    affine = np.array([[1.1, 0.2, 3], [0, 0.9, -4], [0, 0, 1]])
    source = Image(
        np.zeros((40, 40)),
        scale=scale,
        translate=translate,
        rotate=angle,
        shear=[shear],
        affine=affine,
    )
    arguments = carried_transform(
        source,
        "yx",
        "yx",
        zoom=dict(zip("yx", zoom, strict=True)),
        offset=dict(zip("yx", offset, strict=True)),
    )
    result = Image(np.zeros((10, 10)), **arguments)
    # The corner of a pixel, not its centre, is what zooming keeps.
    corner_of_result = result.data_to_world((-0.5, -0.5))
    corner_of_region = source.data_to_world((offset[0] - 0.5, offset[1] - 0.5))
    assert corner_of_result == pytest.approx(corner_of_region, abs=1e-6)
    far = tuple(8 * f - 0.5 for f in zoom)
    near = tuple(8 + o - 0.5 for o in offset)
    assert result.data_to_world(far) == pytest.approx(
        source.data_to_world(near), abs=1e-6
    )


def test_a_dropped_axis_takes_its_scale_and_unit_along():
    source = Image(
        np.zeros((3, 4, 5)),
        scale=(2, 0.5, 0.25),
        translate=(7, 8, 9),
        units=("second", "micrometer", "micrometer"),
        axis_labels=("t", "y", "x"),
    )
    arguments = carried_transform(source, ("time", "y", "x"), ("y", "x"))
    result = Image(np.zeros((4, 5)), **arguments)
    assert result.scale == pytest.approx((0.5, 0.25))
    assert result.translate == pytest.approx((8, 9))
    assert [str(unit) for unit in result.units] == ["micrometer", "micrometer"]
    assert result.axis_labels == ("y", "x")


def test_a_new_axis_is_not_transformed():
    source = Image(np.zeros((4, 5)), scale=(2, 3), translate=(1, 1))
    arguments = carried_transform(source, "yx", ("channel", "y", "x"))
    result = Image(np.zeros((2, 4, 5)), **arguments)
    assert result.scale == pytest.approx((1, 2, 3))
    assert result.translate == pytest.approx((0, 1, 1))


def test_labels_that_say_nothing_stay_so():
    source = Image(np.zeros((3, 4, 5)))
    assert carried_transform(source, "zyx", "yx")["axis_labels"] is None
