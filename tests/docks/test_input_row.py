import dask.array
import numpy as np
from napari.layers._source import layer_source

from napari_im2im.docks.input_row import InputRow, finite
from napari_im2im.images.image import Image


def test_axes_are_swapped_by_hand(viewer, show):
    viewer.add_image(np.zeros((5, 6, 7)), name="stack")
    row = show(InputRow(viewer, "Image"))
    row.reset_choices()
    assert row.axes_row.button.text() == "z 5 · y 6 · x 7 ?"
    row.axes_row._boxes[0].setCurrentText("x")
    assert row.axes_row.button.text() == "x 5 · y 6 · z 7"
    assert row.image().axes == ("x", "y", "z")
    viewer.add_image(np.zeros((5, 6)), name="another")
    assert row.image().axes == ("x", "y", "z")


def test_a_model_changes_the_guess_but_not_the_choice(viewer, show):
    viewer.add_image(np.zeros((3, 6, 7)), name="stack")
    row = show(InputRow(viewer, "Image"))
    row.reset_choices()
    assert row.image().axes[0] == "channel"
    row.expect(1, "zyx")
    assert row.image().axes[0] == "z"
    row.set_first_axis("time")
    row.expect(3, "yx")
    assert row.image().axes[0] == "time"


def test_a_file_shown_by_two_layers_is_not_the_image(viewer, show):
    path = "folder/a.tif"
    with layer_source(path=path):
        layer = viewer.add_image(np.zeros((8, 8)))
    row = show(InputRow(viewer, "Image"))
    row.reset_choices()
    assert row.origin().file == path
    with layer_source(path=path):
        viewer.add_image(np.zeros((8, 8)))
    assert row.origin().file is None
    assert row.origin().layers == (layer.name,)


def test_what_is_not_finite_is_replaced():
    pixels = np.array([[1.0, np.nan], [3.0, np.inf]], np.float32)
    np.testing.assert_array_equal(
        finite(Image(pixels, ("y", "x"))).read(), [[1, 2], [3, 2]]
    )
    lazy = finite(Image(dask.array.from_array(pixels), ("y", "x")))
    np.testing.assert_array_equal(lazy.read(), [[1, 0], [3, 0]])
