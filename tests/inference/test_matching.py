"""Images are assigned to inputs, or a sentence says why not."""

from __future__ import annotations

import numpy as np
import pytest

from inference.specs import input_spec
from napari_im2im.errors import ConfigError
from napari_im2im.images.image import Image
from napari_im2im.inference.matching import match_images


def image(axes: str, *shape: int) -> Image:
    return Image(np.zeros(shape, np.float32), tuple(axes))


def test_channels_fit_one_to_one() -> None:
    matching = match_images([input_spec(channels=3)], [image("cyx", 3, 8, 9)])
    assert matching.groups == 1
    assert matching.sizes == {"y": 8, "x": 9}


def test_a_model_of_one_channel_runs_over_all() -> None:
    matching = match_images([input_spec()], [image("tczyx", 2, 3, 4, 8, 9)])
    assert matching.groups == 3
    assert matching.over == {"time": 2, "z": 4}
    assert len(matching.planes({})) == 24
    assert len(matching.planes({"z": slice(1, 3)})) == 12


def test_chosen_channels_in_the_models_order() -> None:
    matching = match_images([input_spec(channels=2)], [image("cyx", 3, 8, 9)], [2, 0])
    (source,) = matching.sources[0]
    assert source is not None
    assert source.channels == (2, 0)


def named(*names: str) -> Image:
    return Image(
        np.zeros((len(names), 8, 9)), ("channel", "y", "x"), channel_names=names
    )


def test_channels_are_found_by_the_names_of_the_models() -> None:
    spec = input_spec(channel_names=("GFP", "DAPI"))
    matching = match_images([spec], [named("DAPI", "phase", "GFP")])
    (source,) = matching.sources[0]
    assert source is not None
    assert source.channels == (2, 0)
    assert "Reads GFP, DAPI, by name, of the 3 channels" in matching.note
    # In the order of the image they would be taken for each other.
    matching = match_images([spec], [named("DAPI", "GFP")])
    assert [s.channels for (s,) in matching.sources if s is not None] == [(1, 0)]
    assert not matching.note


def test_chosen_channels_go_before_names() -> None:
    spec = input_spec(channel_names=("GFP",))
    image = named("DAPI", "GFP")
    assert match_images([spec], [image]).groups == 1
    matching = match_images([spec], [image], [0, 1])
    assert matching.groups == 2
    assert not matching.note


@pytest.mark.parametrize("names", [("DAPI", "phase"), ("GFP", "GFP")])
def test_other_names_tell_nothing(names: tuple[str, ...]) -> None:
    spec = input_spec(channel_names=("GFP",))
    assert match_images([spec], [named(*names)]).groups == 2


def test_too_few_images() -> None:
    specs = [input_spec(id="a"), input_spec(id="b")]
    with pytest.raises(ConfigError, match=r"2 image\(s\) \(a, b\)"):
        match_images(specs, [image("yx", 8, 8)])


def test_images_of_different_length() -> None:
    specs = [input_spec(id="a"), input_spec(id="b")]
    with pytest.raises(ConfigError, match="different sizes along z"):
        match_images(specs, [image("zyx", 4, 8, 8), image("zyx", 5, 8, 8)])
