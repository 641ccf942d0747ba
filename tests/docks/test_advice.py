import numpy as np
import pytest

from napari_im2im.docks.advice import (
    Advice,
    advise_memory,
    advise_pair,
    describe_duration,
    describe_sizes,
    first_to_fix,
)
from napari_im2im.docks.predict.advice import (
    ModelFacts,
    advise_prediction,
    facts_of,
)
from napari_im2im.docks.train.advice import suggest_name
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.models.library import BUNDLED_FOLDER
from napari_im2im.models.package import load_package


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (9, "9 s"), (360, "6 min"), (7500, "2 h 5 min"), (10800, "3 h")],
)
def test_durations(seconds, text):
    assert describe_duration(seconds) == text


def test_sizes():
    stack = Image(np.zeros((61, 8, 9)), ("z", "y", "x"))
    assert describe_sizes(stack) == "61 planes of 8 × 9"
    assert describe_sizes(Image(np.zeros((8, 9)), ("y", "x"))) == "8 × 9"
    movie = Image(np.zeros((1, 2, 8, 9)), ("time", "channel", "y", "x"))
    assert describe_sizes(movie) == "1 time point, 2 channels of 8 × 9"


def test_only_the_first_thing_to_fix_is_said():
    advice = [Advice("a"), Advice("b", "stop"), Advice("c", "stop")]
    assert first_to_fix(advice) == [advice[1]]
    assert first_to_fix(advice[:1]) == advice[:1]


def test_a_result_that_is_too_large_goes_to_the_disk():
    (advice,) = advise_memory(int(14e9), int(9e9), "predictions/a.ome.zarr")
    assert advice.text == (
        "The result needs 14 GB, 9.0 GB are free. "
        "It will be written to predictions/a.ome.zarr."
    )
    assert advise_memory(10**6, 10**9, "") == []


FACTS = ModelFacts("m", ("Image",), (1,), "zyx", 1, name="m")


def test_one_of_several_channels_is_offered():
    image = Image(np.zeros((2, 3, 8, 8)), ("channel", "z", "y", "x"), name="cells")
    (advice,) = advise_prediction(
        [image], FACTS, PredictConfig(model="m/model"), labels=False, guessed=False
    )
    assert advice.text == "m reads 1 channel, cells has 2. Choose which."
    assert [(fix.label, fix.value) for fix in advice.fixes] == [
        ("Use 1", [0]),
        ("Use 2", [1]),
    ]


def test_a_3d_model_needs_a_stack():
    image = Image(np.zeros((8, 8)), ("y", "x"), name="cells")
    (advice,) = advise_prediction(
        [image], FACTS, PredictConfig(model="m/model"), labels=False, guessed=False
    )
    assert advice.level == "stop"
    assert "cells has no z" in advice.text


def test_runs_are_named_after_their_layers():
    assert suggest_name("phase", "DAPI") == "phase-to-DAPI"
    assert suggest_name("a/b [c]", "") == "a-b-c"
    assert suggest_name("", "") == "model"


def test_what_a_dock_knows_of_the_bundled_model():
    path = BUNDLED_FOLDER / "phase-to-fluorescence"
    facts = facts_of(load_package(path), str(path))
    assert facts == ModelFacts(str(path), ("Image",), (2,), "yx", 3, name=path.name)


@pytest.mark.parametrize(("factor", "level"), [(2, "info"), (1.5, "stop")])
def test_a_larger_target_is_learned_if_it_is_so_many_times_as_large(factor, level):
    small = Image(np.zeros((32, 32)), ("y", "x"), name="small")
    large = Image(np.zeros((int(32 * factor),) * 2), ("y", "x"), name="large")
    (advice,) = advise_pair(small, large, None, may_enlarge=True)
    assert advice.level == level
    assert ("2 × 2 times the pixels" in advice.text) == (level == "info")
    assert advise_pair(small, large, None)[0].level == "stop"
