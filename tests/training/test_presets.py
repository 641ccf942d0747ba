"""Recipes, each built and trained for two steps."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.measure import label

from napari_im2im.errors import ConfigError
from napari_im2im.events import NewBest
from napari_im2im.models.networks import build_network
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.presets import list_presets, load_preset, with_preset
from napari_im2im.training.tasks.catalogue import TASKS

PRESETS = [preset.name for preset in list_presets()]
TINY = {"z": 16, "y": 16, "x": 32}
DEFAULT = {"features": [32, 32, 64, 128, 256, 32]}


def tiny(name, folder):
    """Return the recipe with few pixels and an eighth of the width, for two steps."""
    recipe = load_preset(name).config()
    widths = {
        key: [max(4, width // 8) for width in value]
        for key, value in (recipe.network.kwargs or DEFAULT).items()
        if key in ("channels", "features")
    }
    if recipe.network.name == "UNETR":
        widths = {"feature_size": 8, "hidden_size": 48, "mlp_dim": 96}
    patch = {axis: TINY[axis] for axis in recipe.spatial_axes}
    values = with_preset(name, {"patch": patch, "network": {"kwargs": widths}})
    quick = {"batch_size": 2, "effort": {"steps": 2}, "device": "cpu"}
    values["adversarial"] = {**values.get("adversarial", {}), "channels": 8}
    return TrainConfig.model_validate({**values, **quick, "output": folder})


def tiny_pairs(make_pair, axes, task="image"):
    shape = (16, 16, 48) if axes == "zyx" else (48, 64)
    pairs = [make_pair(shape, axes, seed=n, name=f"field {n}") for n in range(2)]
    if TASKS[task].target == "labels":
        pairs = [(image, labels_of(image, task)) for image, _ in pairs]
    return pairs


def labels_of(image, task):
    """Return the bright regions, as one class or with a number for each."""
    bright = image.data > np.median(image.data)
    labels = bright if task == "semantic" else label(bright)
    return replace(image, data=labels.astype(np.uint16))


@pytest.mark.parametrize("name", PRESETS)
def test_each_recipe_builds_and_trains(name, make_pair, tmp_path):
    config = tiny(name, tmp_path)
    axes = tuple(config.spatial_axes)
    recipe = load_preset(name).config()
    sizes = {"spatial_axes": axes, "in_channels": 1, "out_channels": 1}
    network = build_network(recipe.network, **sizes, patch=recipe.patch)
    assert sum(weight.numel() for weight in network.parameters()) > 300_000
    pairs = tiny_pairs(make_pair, config.spatial_axes, config.task)
    best = [e for e in train_events(config, pairs) if isinstance(e, NewBest)]
    assert np.isfinite(best[-1].value)


def test_each_recipe_says_what_it_is_for_and_where_it_was_published():
    assert PRESETS == [
        "cyclegan-2d",
        "cyclegan-3d",
        "denoise-2d",
        "denoise-3d",
        "embedseg-2d",
        "embedseg-3d",
        "instance-2d",
        "instance-3d",
        "labelfree-2d",
        "labelfree-3d",
        "lightmycells-2d",
        "mae-2d",
        "mae-3d",
        "modality-transfer-3d",
        "pix2pix-2d",
        "pix2pix-3d",
        "restoration-2d",
        "restoration-3d",
        "semantic-2d",
        "semantic-3d",
        "super-resolution-2d",
    ]
    for preset in list_presets():
        assert preset.text.endswith(".")
        assert "https://doi.org/" in preset.paper


def test_what_is_given_overrides_the_recipe():
    values = with_preset("labelfree-2d", {"optimizer": {"warmup": 0.1}, "name": "a"})
    config = TrainConfig.model_validate(values)
    assert config.optimizer.warmup == 0.1
    assert config.optimizer.learning_rate == 2e-4
    assert config.name == "a"


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean labelfree-2d"):
        load_preset("label-free-2d")
    with pytest.raises(ConfigError, match="choose from cyclegan-2d, "):
        load_preset("x")
