"""The charts of a training."""

import pytest
from matplotlib.figure import Figure

from napari_im2im.training.runs.charts import _use_logarithms


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([0.9, 0.31], {"0.4", "0.6", "1"}), ([1.2, 0.0009], {"0.001", "0.1", "1"})],
)
def test_losses_are_labelled_as_people_write_them(losses, expected):
    figure = Figure()
    axes = figure.subplots()
    axes.plot(losses)
    _use_logarithms(axes)
    figure.draw_without_rendering()
    ticks = axes.get_yticklabels(which="both")
    texts = {tick.get_text() for tick in ticks}
    assert expected <= texts
    assert not any("e" in text for text in texts)
