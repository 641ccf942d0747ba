"""The layers of a test: input, expected, actual, difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.experimental import link_layers

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_im2im.zoo.comparison import Comparison
    from napari_im2im.zoo.testing import FormatTested

_SHARED = ("opacity", "gamma", "interpolation2d")
_SAME_UNITS = ("contrast_limits", "colormap")


class ReproductionLayers:
    """Shows the result of the first weights format that ran, side by side.

    Parameters
    ----------
    viewer
        The window.
    name
        Name of the model.
    """

    def __init__(self, viewer: napari.Viewer, name: str) -> None:
        self._viewer = viewer
        self._name = name
        self.layers: list[Layer] = []

    def show(self, result: FormatTested) -> None:
        """Add the layers of a result, once."""
        if self.layers or not result.whole:
            return
        worst = max(result.whole, key=lambda c: c.difference / max(c.allowed, 1e-30))
        arrays = {"input": result.image, "expected": worst.expected}
        arrays |= {"actual": worst.actual}
        if worst.expected.shape == worst.actual.shape:
            arrays["difference"] = _difference(worst)
        for name, array in arrays.items():
            self.layers.append(
                self._viewer.add_image(
                    array.squeeze(), name=f"{self._name} · {name}", rgb=False
                )
            )
        self._link(worst)

    def _link(self, worst: Comparison) -> None:
        link_layers(self.layers, _SHARED)
        by_name = dict(zip(("input", "expected", "actual"), self.layers, strict=False))
        by_name["actual"].contrast_limits = by_name["expected"].contrast_limits
        link_layers([by_name["expected"], by_name["actual"]], _SAME_UNITS)
        if len(self.layers) > 3:
            # What is allowed looks like nothing: no noise blown up.
            limit = max(worst.difference, worst.allowed)
            self.layers[3].colormap = "PiYG"
            self.layers[3].contrast_limits = (-limit, limit)
        for layer in self._viewer.layers:
            layer.visible = layer in self.layers
        self._viewer.layers.selection.active = self.layers[0]
        self._viewer.canvas.grid.enabled = True
        self._viewer.reset_view()


def _difference(comparison: Comparison) -> np.ndarray:
    expected = comparison.expected.astype(np.float64)
    difference = np.nan_to_num(comparison.actual - expected)
    return np.asarray(difference, np.float32)
