import numpy as np

from napari_im2im.docks.train.preview_strip import (
    PreviewStrip,
    contrast,
    plane,
    to_image,
)


def test_the_middle_plane_of_a_channel_is_shown():
    stack = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(plane(stack, 1), stack[1, 1])
    np.testing.assert_array_equal(plane(stack[:, 0], 7), stack[1, 0])


def test_pictures_survive_nan_and_constant_images():
    pixels = np.array([[np.nan, 0.0], [1.0, 2.0]])
    image = to_image(pixels, contrast(pixels))
    assert (image.width(), image.height()) == (2, 2)
    flat = np.zeros((4, 6))
    assert to_image(flat, contrast(flat)).height() == 4
    nothing = np.full((2, 2), np.nan)
    assert contrast(nothing) == (0, 1)


def test_a_long_strip_is_shown_where_something_is(qtbot):
    strip = PreviewStrip()
    qtbot.addWidget(strip)
    target = np.zeros((1, 16, 160))
    target[:, :, 100:110] = np.random.default_rng(0).random((16, 10))
    strip.show_preview(np.zeros((1, 8, 80)), target, target)
    pictures = [image for _, image in strip._pictures._images]
    assert all(p.width() <= 2.5 * p.height() for p in pictures)
    assert pictures[0].width() * 2 == pictures[1].width()
    seen = {pictures[1].pixel(x, 8) for x in range(pictures[1].width())}
    assert len(seen) > 5


def test_channels_have_their_names(qtbot):
    strip = PreviewStrip()
    qtbot.addWidget(strip)
    strip.set_channel_names(("DAPI", "MAP2"))
    images = np.random.default_rng(0).random((3, 2, 8, 8))
    strip.show_preview(*images)
    names = [strip.channel.itemText(i) for i in range(strip.channel.count())]
    assert names == ["DAPI", "MAP2"]
    before = strip.grab().toImage()
    strip.channel.setCurrentIndex(1)
    assert strip.grab().toImage() != before
    strip.show_preview(images[0], images[1][:1], images[2][:1])
    assert not strip.channel.isVisibleTo(strip)


def test_labels_have_the_same_colours_on_both_sides(qtbot):
    truth = np.repeat([0, 1, 2, 9], 8).reshape(1, 4, 8)
    strip = PreviewStrip()
    qtbot.addWidget(strip)
    strip.show_preview(np.zeros((1, 4, 8)), truth, truth[:, ::-1], labels=True)
    (_, target), (_, now) = strip._pictures._images[1:]
    colors = [target.pixelColor(0, y).name() for y in range(4)]
    assert colors == [now.pixelColor(0, 3 - y).name() for y in range(4)]
    assert colors[0] == "#000000"
    # The colours repeat after seven.
    assert len(set(colors)) == 3
