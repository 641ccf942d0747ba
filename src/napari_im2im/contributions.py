"""What the manifest names: the sample, and the reader of model descriptions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
        arguments |= {"name": name, "blending": "additive"}
        layers.append((data, arguments, kind))
    return [
        (data, {**arguments, "metadata": dict(phase.metadata)}, kind)
        for data, arguments, kind in layers
    ]


def read_model_description(
    path: str | list[str],
) -> Callable[[str | list[str]], list[LayerDataTuple]] | None:
    """Open a model in the Model Zoo dock, which shows its sample input.

    Parameters
    ----------
    path
        A description (``rdf.yaml``, ``bioimageio.yaml``) or a zipped package.

    Returns
    -------
    callable or None
        The reader. It returns no layer of its own where there is a window: the
        dock reads the model in a thread and adds the layers when they are there.
    """
    from pathlib import Path

    if isinstance(path, list) or not Path(path).is_file():
        return None
    return _open_model


def _open_model(path: str | list[str]) -> list[LayerDataTuple]:
    import napari

    assert isinstance(path, str)
    viewer = napari.current_viewer()
    if viewer is None:
        from napari_im2im.docks.model_zoo.jobs import open_model

        (opened,) = open_model(path)
        return list(opened.sample) or [(None,)]
    from napari_im2im.docks.opening import open_dock

    open_dock(viewer, "Model Zoo").open_path(path)
    return [(None,)]
