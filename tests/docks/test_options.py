import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.docks.options import Options, read_value, write_value
from napari_im2im.docks.predict.options import OPTIONS as PREDICT_OPTIONS
from napari_im2im.docks.train.options import OPTIONS, SUGGESTIONS
from napari_im2im.errors import ConfigError
from napari_im2im.inference.config import PredictConfig
from napari_im2im.training.config import TrainConfig


@pytest.fixture
def options(qtbot):
    form = Options(TrainConfig, OPTIONS, SUGGESTIONS)
    qtbot.addWidget(form)
    return form


def test_untouched_options_change_nothing(options, qtbot):
    assert options.values() == {}
    predict = Options(PredictConfig, PREDICT_OPTIONS)
    qtbot.addWidget(predict)
    assert predict.values() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patch", {"y": 64, "x": 96}),
        ("batch_size", 4),
        ("optimizer.learning_rate", 0.0003),
        ("loss", {"l1": 0.5, "ssim": 0.5}),
        ("network.name", "UNet"),
        ("network.kwargs", {"channels": [8, 16]}),
        ("spatial_axes", "zyx"),
        ("effort.epochs", 3),
        ("device", "cuda:1"),
        ("output", "/data/my runs"),
    ],
)
def test_what_is_written_arrives_in_the_config(options, name, value):
    options.set_value(name, value)
    config = TrainConfig.model_validate(options.values())
    for part in name.split("."):
        config = getattr(config, part)
    assert (str(config) if name == "output" else config) == value


def test_what_is_remembered_comes_back(options, qtbot):
    options.set_value("patch", {"y": 64})
    options.set_value("augmentation", "none")
    again = Options(TrainConfig, OPTIONS, SUGGESTIONS)
    qtbot.addWidget(again)
    again.set_texts({**options.texts(), "an option of the past": "1"})
    assert again.values() == options.values() != {}


def test_nonsense_is_refused_with_an_example():
    with pytest.raises(ConfigError, match="Patch can't be read: 'y: \\['"):
        read_value("y: [", "Patch")


numbers = st.integers(1, 4096) | st.floats(1e-6, 1e6)


@given(st.dictionaries(st.sampled_from(["z", "y", "x", "l1"]), numbers, min_size=1))
def test_entries_are_read_as_they_are_written(entries):
    assert read_value(write_value(entries), "Tile") == entries
