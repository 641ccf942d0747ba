"""What a run folder holds for people."""

import csv

import numpy as np
import pytest
import yaml
from PIL import Image as Picture

from napari_im2im.errors import ConfigError
from napari_im2im.events import MetricsLogged, Preview
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.runs.charts import draw_metrics, read_metrics
from napari_im2im.training.runs.record import preview_panels
from napari_im2im.training.runs.report import write_report
from napari_im2im.training.runs.summary import as_table, by_part, network_layers


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    random = np.random.default_rng(0)
    from napari_im2im.images.image import Image

    pairs = []
    for number in range(2):
        pixels = random.normal(100, 20, (64, 64)).astype(np.float32)
        axes = ("y", "x")
        target = Image(2 * pixels, axes, name=f"{number} stained")
        pairs.append((Image(pixels, axes, name=str(number)), target))
    config = TrainConfig(
        name="tiny <b>",
        output=tmp_path_factory.mktemp("runs"),
        patch={"y": 32, "x": 32},
        batch_size=4,
        network={"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}},
        effort={"steps": 12},
        device="cpu",
    )
    events = list(train_events(config, pairs))
    return events[-1].run_folder, events


def test_curves_previews_and_charts_are_written(run):
    folder, events = run
    previews = [event for event in events if isinstance(event, Preview)]
    names = {path.name for path in (folder / "previews").iterdir()}
    assert names == {f"step-{event.step:07}.png" for event in previews}
    charts = {path.stem for path in (folder / "charts").iterdir()}
    assert {"loss", "pcc", "learning_rate", "network", "augmentations"} <= charts
    with Picture.open(folder / "charts" / "loss.png") as chart:
        assert chart.width == 768
    assert "weights, " in (folder / "network.txt").read_text()


def test_tensorboard_has_every_value(run):
    from tensorboardX.proto.event_pb2 import Event

    folder, events = run
    (file,) = (folder / "tensorboard").iterdir()
    data, seen = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        seen += [(value.tag, event.step) for value in event.summary.value]
        data = data[16 + length :]
    logged = [event for event in events if isinstance(event, MetricsLogged)]
    assert sorted(seen) == sorted((k, e.step) for e in logged for k in e.values)


def test_the_report_is_one_page_with_all_of_it(run, tmp_path):
    folder, _ = run
    page = write_report(folder).read_text()
    assert page.count("data:image/png;base64,") >= 6
    assert "tiny &lt;b&gt;" in page
    assert "Best validation" in page
    assert "src=" in page
    assert 'src="data' in page
    assert "href" not in page
    assert write_report(folder, tmp_path / "page.html").exists()
    with pytest.raises(ConfigError, match="no folder of a training"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("monitor", "step"), [("validation_loss", 2), ("pcc", 3), ("step", 4)]
)
def test_the_report_shows_the_validation_of_the_model_that_is_kept(
    tmp_path, monitor, step
):
    config = TrainConfig(effort={"monitor": monitor}).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    table = "step,validation_loss,pcc\n1,3,\n2,1,0.5\n3,2,0.9\n4,2.5,0.8\n"
    (tmp_path / "metrics.csv").write_text(table)
    page = write_report(tmp_path).read_text()
    assert f"<td>step</td><td>{step}</td>" in page


def test_one_validation_makes_no_curve(tmp_path):
    path = tmp_path / "metrics.csv"
    rows = [{"step": 1, "train_loss": 2.0, "pcc": ""}]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    columns = read_metrics(path)
    assert np.isnan(columns["pcc"][0])
    assert draw_metrics(columns) == {}
    twice = {name: values * 2 for name, values in columns.items()}
    assert set(draw_metrics(twice)) == {"loss", "pcc"}


def test_stacks_are_shown_by_their_middle_plane():
    stack = np.zeros((2, 5, 8, 9))
    stack[:, 2] = np.arange(72).reshape(8, 9)
    rows = preview_panels(Preview(3, stack[:1], stack, stack))
    assert [len(row) for row in rows] == [3, 3]
    assert rows[0][2].title == "step 3"
    assert rows[0][1].pixels.max() == 255
    labels = preview_panels(Preview(3, stack[:1], stack, stack, labels=True))
    assert labels[0][1].pixels.shape == (8, 9, 3)


def test_a_network_is_listed_by_its_parts():
    import torch

    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    network[1].requires_grad_(False)
    layers = network_layers(network)
    assert [(layer.kind, layer.weights) for layer in layers] == [
        ("Conv2d", 20),
        ("BatchNorm2d", 4),
    ]
    assert "24 weights, 20 of them learned" in as_table(layers)
    assert by_part(layers) == {"0": 20, "1": 4}
