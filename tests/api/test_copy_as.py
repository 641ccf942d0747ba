import shlex

import numpy as np
import pytest
import yaml

from napari_im2im.api.copy_as import Origin, as_command, as_python, as_yaml, job_of
from napari_im2im.cli.arguments import parse_command
from napari_im2im.cli.commands import COMMANDS
from napari_im2im.errors import ImageError
from napari_im2im.inference.config import PredictConfig
from napari_im2im.training.config import TrainConfig

PREDICT = PredictConfig(
    model="models/phase to dapi",
    inputs=["a, b.tif"],
    axes="cyx",
    channels=[0, 2],
    region={"y": (0, 512), "x": (10, 20)},
    tile={"y": 256, "x": 128},
    precision="bfloat16",
    test_time_augmentation=True,
)
TRAIN = TrainConfig(
    name="phase-to-dapi",
    data={"inputs": ["in/*.tif"], "targets": ["out/*.tif"], "target_channels": [1]},
    effort={"seconds": 120},
    loss={"l1": 0.5, "ssim": 0.5},
    patch={"y": 64, "x": 64},
    network={"name": "UNet", "kwargs": {"channels": [8, 16]}},
)


@pytest.mark.parametrize(
    ("config", "command"), [(PREDICT, "predict"), (TRAIN, "train")]
)
def test_the_copied_command_is_the_job(config, command):
    words = shlex.split(as_command(config, command, []))
    parsed = parse_command(words[1:], COMMANDS)
    fields = type(config).model_fields
    assert parsed.model_dump(include=set(fields)) == config.model_dump()


@pytest.mark.parametrize("config", [PREDICT, TRAIN])
def test_the_copied_yaml_is_the_job(config):
    values = yaml.safe_load(as_yaml(config, []))
    assert type(config).model_validate(values) == config


def test_the_copied_python_predicts_with_the_job(monkeypatch):
    calls = []
    monkeypatch.setattr("napari_im2im.api.predict", lambda **k: calls.append(k))
    exec(as_python(PREDICT, "predict", []), {})
    values = calls[0]
    image = values.pop("image")
    assert PredictConfig(inputs=[image], **values) == PREDICT


def test_the_copied_python_trains_with_layers(monkeypatch):
    calls = []
    monkeypatch.setattr("napari_im2im.api.train", lambda **k: calls.append(k))
    config = TRAIN.model_copy(update={"data": TRAIN.data.model_copy()})
    config.data.inputs, config.data.targets = [], []

    class Layer:
        data = np.zeros((2, 3))

    class Viewer:
        layers = {"a": Layer, "b": Layer, "it's": Layer}  # noqa: RUF012

    origins = [Origin(("a", "b"), ("channel", "y", "x")), Origin(("it's",), ("y", "x"))]
    exec(as_python(config, "train", origins), {"viewer": Viewer})
    values = calls[0]
    assert values.pop("inputs").shape == (2, 2, 3)
    assert values.pop("targets").shape == (2, 3)
    assert values.pop("input_axes") == "cyx"
    assert values.pop("target_axes") == "yx"
    assert TrainConfig(**values) == config


def test_layers_that_are_no_files_are_named():
    text = as_command(PREDICT, "predict", [Origin(("phase",), ("y", "x"))])
    assert text.startswith("# Save as files first, and name them as inputs: phase\n")


def test_the_metadata_of_a_layer_say_the_job():
    made = PREDICT.model_copy(update={"resume": True})
    metadata = {"napari_im2im": {"config": made.model_dump(mode="json")}}
    assert job_of(metadata) == PREDICT
    with pytest.raises(ImageError, match="doesn't say what it was made by"):
        job_of({})
