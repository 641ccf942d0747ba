"""Pictures of images side by side."""

import numpy as np
from PIL import Image as Picture

from napari_im2im.images.panels import Panel, colored, grey, write_panels


def test_limits_become_black_and_white():
    pixels = np.array([[-5.0, 0.0], [10.0, 20.0]])
    assert grey(pixels, (0, 10)).tolist() == [[0, 0], [255, 255]]
    assert grey(np.zeros((2, 2))).max() == 0


def test_labels_differ_in_colour_and_nothing_is_black():
    shown = colored(np.array([[0, 1], [2, 300]]))
    assert shown.shape == (2, 2, 3)
    assert not shown[0, 0].any()
    assert len({tuple(color) for color in shown.reshape(-1, 3)}) == 4


def test_panels_stand_side_by_side_below_their_titles(tmp_path):
    white = np.full((20, 60), 255, np.uint8)
    rows = [[Panel("a", white), Panel("b", white)], [Panel("long " * 40, white)]]
    picture = np.asarray(Picture.open(write_panels(tmp_path / "new" / "p.png", rows)))
    assert picture.shape == (96, 124, 3)
    assert (picture[28:48, :60] == 255).all()
    assert not picture[28:48, 60:64].any()
    assert picture[:28].any()
