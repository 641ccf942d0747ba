"""What the manifest names: the sample, and the reader of model descriptions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.types import LayerDataTuple


def load_sample_layers() -> list[LayerDataTuple]:
    """Return the bundled sample: phase contrast, and three fluorescent stains.

    Returns
    -------
    list of tuple
        One layer for the phase planes, one for each stain; what to cite stands in
        the layers' ``metadata``.
    """
    from napari_im2im.docks.layers import image_to_layer_data
    from napari_im2im.images.sample import load_sample

    phase, stains = load_sample()
    phase = replace(phase, name="phase")
    layers = image_to_layer_data(phase, split_channels=False)
    for name, (data, arguments, kind) in zip(
        stains.channel_names, image_to_layer_data(stains), strict=True
    ):
        layers.append((data, {**arguments, "name": name}, kind))
    return [
        (data, {**arguments, "metadata": dict(phase.metadata)}, kind)
        for data, arguments, kind in layers
    ]
