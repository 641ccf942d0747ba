import numpy as np
from napari.layers import Image as ImageLayer

from napari_im2im.contributions import load_sample_layers
from napari_im2im.docks.layers import layer_to_image


def test_the_sample_is_a_phase_layer_and_three_stains():
    layers = [
        ImageLayer(data, **arguments) for data, arguments, _ in load_sample_layers()
    ]
    assert [layer.name for layer in layers] == ["phase", "DAPI", "MAP2", "NFH"]
    assert all("Christiansen" in layer.metadata["citation"] for layer in layers)
    phase = layer_to_image(layers[0])
    assert phase.sizes == {"channel": 2, "y": 1024, "x": 768}
    for layer in layers[1:]:
        stain = layer_to_image(layer)
        assert stain.axes == ("y", "x")
        assert stain.dtype == np.uint8
