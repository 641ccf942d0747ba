import math

import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QColor, QPalette

from napari_im2im.docks.train.loss_plot import _ON_DARK, _ON_LIGHT, LossPlot


def luminance(color):
    parts = [color.redF(), color.greenF(), color.blueF()]
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("theme", "colors"), [("dark", _ON_DARK), ("light", _ON_LIGHT)]
)
def test_lines_stand_out_in_both_themes(theme, colors):
    background = get_theme(theme).background.as_hex()
    for color in colors:
        low, high = sorted((luminance(color), luminance(QColor(background))))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def pixels(plot):
    return plot.grab().toImage()


def test_the_plot_changes_with_what_is_added(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(320, 160)
    empty = pixels(plot)
    for step in range(1, 20):
        plot.add(step, 1 / step, 1.2 / step)
    plot.add(20, math.nan, math.inf)
    drawn = pixels(plot)
    assert drawn != empty
    plot.log.click()
    logarithmic = pixels(plot)
    assert logarithmic != drawn
    plot.mark_best(19)
    assert pixels(plot) != logarithmic
    text = plot._canvas.accessibleDescription()
    assert text == "train 0.05263 at step 19, validation 0.06316 at step 19"
    plot.clear()
    plot.log.click()
    assert pixels(plot) == empty


def test_the_lines_follow_the_theme(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(320, 160)
    plot.add(1, 1.0)
    plot.add(2, 0.5)
    pictures = []
    for background in ("#262930", "#efebe9"):
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Window, QColor(background))
        plot.setPalette(palette)
        pictures.append(pixels(plot))
    assert pictures[0] != pictures[1]


def test_a_single_validation_can_be_seen(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(320, 160)
    plot.add(10, validation=0.5)
    alone = pixels(plot)
    seen = {
        QColor(alone.pixel(x, y)).name()
        for x in range(alone.width() - 16, alone.width())
        for y in range(alone.height())
    }
    assert {color.name() for color in (_ON_DARK[1], _ON_LIGHT[1])} & seen
