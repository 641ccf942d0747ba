"""An exported package is what the zoo and its partners read."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from PIL import Image as Picture

from biapy_rules import why_biapy_refuses
from napari_im2im.errors import ConfigError, ImageError, ModelError
from napari_im2im.models.conversion import write_formats
from napari_im2im.models.networks import NetworkConfig
from napari_im2im.models.package import load_package
from napari_im2im.models.writing import write_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.tasks.opening import open_task
from napari_im2im.zoo.export import (
    Checked,
    ExportConfig,
    ExportFinished,
    export_events,
    job,
)
from napari_im2im.zoo.export.drafts import remembered, suggest_metadata
from napari_im2im.zoo.export.staging import limit_batch
from packages import tiny_content, write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.events import Event

AUTHOR = {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097"}
METADATA: dict[str, Any] = {
    "name": "Nuclei from phase contrast",
    "description": "Predicts DAPI from phase contrast.",
    "authors": [{**AUTHOR, "github_user": "nobody-looks-this-up"}],
    "cite": [{"text": "Somebody et al.", "url": "https://example.org/never-opened"}],
    "git_repo": "https://example.org/never-opened/either",
    "tags": ["image-to-image", "2d"],
    "training_data": {"name": "Neurons in culture", "url": "https://example.org/data"},
}
RUN = {
    "training": {
        "data": {"inputs": ["/home/ada/phase.tif"], "targets": ["/home/ada/dna.tif"]},
        "output": "/home/ada/runs",
    },
    "metrics": {"pcc": 0.9},
}


@pytest.fixture
def _no_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the checks that take long."""
    for check in ("core_events", "engine_events"):
        monkeypatch.setattr(job, check, lambda *_: iter(()))


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert without a new process, which takes seconds to start."""
    monkeypatch.setattr(job, "convert_weights", write_formats)


def export(model: Path, output: Path, **changes: Any) -> list[Event]:
    settings = {"metadata": METADATA, **changes}
    config = ExportConfig.model_validate({"model": model, "output": output} | settings)
    return list(export_events(config))


def verdicts(events: list[Event]) -> dict[str, str]:
    return {e.name: e.verdict for e in events if isinstance(e, Checked)}


@pytest.mark.usefixtures("_in_process")
@pytest.mark.parametrize(
    ("axes", "channels", "added"),
    [(("y", "x"), (2, 1), ("torchscript", "onnx")), (("z", "y", "x"), (2, 3), ())],
    ids=["2D", "3D"],
)
def test_an_export_passes_all_checks(
    tmp_path: Path, axes: tuple[str, ...], channels: tuple[int, int], added: Any
) -> None:
    content = replace(tiny_content(axes, *channels, halo=0), config=RUN)
    model = write_package(tmp_path / "run" / "model", content)
    tags = ["image-to-image", f"{len(axes)}d"]
    metadata = {**METADATA, "tags": tags}
    events = export(
        model.parent, tmp_path / "out.zip", formats=added, metadata=metadata
    )
    found = verdicts(events)
    # No halo is written down, which random weights would need.
    assert {name for name, verdict in found.items() if verdict != "passed"} <= {
        "Tiles give what the whole image gives",
        "GitHub names",
    }
    assert found["GitHub names"] == "warning"
    assert {f"bioimageio.core runs {name}" for name in formats(events)} <= set(found)
    assert formats(events) == {"pytorch_state_dict", *added}
    package = load_package(tmp_path / "out.zip")
    assert package.name == METADATA["name"]
    source = package.weights["pytorch_state_dict"].architecture
    assert source is not None
    # Without being asked: BiaPy and ilastik don't bring MONAI.
    assert source.source == "basic_unet.py"
    assert_no_private_folder(tmp_path / "out.zip")
    check_cover(tmp_path / "out.zip")
    assert why_biapy_refuses(tmp_path / "out.zip") == ""
    assert remembered()["authors"][0]["name"] == "Ada Lovelace"


def formats(events: list[Event]) -> set[str]:
    last = events[-1]
    assert isinstance(last, ExportFinished)
    assert hashlib.sha256(last.path.read_bytes()).hexdigest() == last.sha256
    return set(last.formats)


def description(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as file:
        content: dict[str, Any] = yaml.safe_load(file.read("rdf.yaml"))
    return content


def assert_no_private_folder(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            assert b"/home/ada" not in file.read(name), name
        readme = file.read("README.md").decode()
    assert "## Validation" in readme
    assert "`phase.tif`" in readme
    assert "cover.png" in readme


def check_cover(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file, file.open("cover.png") as cover:
        width, height = Picture.open(cover).size
    assert 1.9 < width / height < 2.2


@pytest.mark.usefixtures("_no_checks")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("axes", [("y", "x"), ("z", "y", "x")], ids=["2D", "3D"])
def test_biapy_accepts_what_training_wrote(
    tmp_path: Path, task: str, axes: tuple[str, ...]
) -> None:
    config = TrainConfig(task=task).completed()
    tags = open_task(config, Layout(axes, ("a", "b"), ("c",))).tags
    content = replace(tiny_content(axes, 2, 3), config=RUN, tags=tags)
    model = write_package(tmp_path / "model", content)
    metadata = {key: value for key, value in METADATA.items() if key != "tags"}
    draft = suggest_metadata(load_package(model)) | metadata
    export(model, tmp_path / "out.zip", formats=[], metadata=draft)
    assert why_biapy_refuses(tmp_path / "out.zip") == ""


@pytest.mark.usefixtures("_no_checks")
def test_biapy_has_no_monai(tmp_path: Path) -> None:
    model = write_package(tmp_path / "model", replace(tiny_content(), config=RUN))
    export(model, tmp_path / "out.zip", formats=[], architecture="library")
    assert why_biapy_refuses(tmp_path / "out.zip") == "it doesn't have monai, einops"


@pytest.mark.usefixtures("_in_process")
def test_the_network_may_come_as_a_file(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    events = export(model, tmp_path / "out.zip", formats=[], architecture="source")
    assert verdicts(events)["Network as a source file"] == "passed"
    entry = description(tmp_path / "out.zip")["weights"]["pytorch_state_dict"]
    assert entry["architecture"]["source"] == "basic_unet.py"
    with zipfile.ZipFile(tmp_path / "out.zip") as file:
        assert b"Apache License" in file.read("basic_unet.py")
        assert b"monai" not in file.read("environment.yaml")
    # Files of this program are run without asking.
    assert verdicts(events)["bioimageio.core runs pytorch_state_dict"] == "passed"


@pytest.mark.usefixtures("_no_checks")
def test_a_network_without_a_file_says_why(tmp_path: Path) -> None:
    small = NetworkConfig(name="SegResNet", kwargs={"init_filters": 4})
    model = write_tiny_package(tmp_path / "model", config=small)
    events = export(model, tmp_path / "out.zip", formats=[], architecture="source")
    text = {e.name: e.text for e in events if isinstance(e, Checked)}
    assert "no source file for SegResNet" in text["Network as a source file"]
    entry = description(tmp_path / "out.zip")["weights"]["pytorch_state_dict"]
    assert entry["architecture"]["import_from"] == "monai.networks.nets"


@pytest.mark.usefixtures("_in_process", "_no_checks")
def test_the_same_export_gives_the_same_bytes(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    for name in ("one.zip", "two.zip"):
        export(model, tmp_path / name, formats=["onnx"])
    one, two = ((tmp_path / name).read_bytes() for name in ("one.zip", "two.zip"))
    assert one == two


@pytest.mark.parametrize(("batch", "size"), [(1, 1), ("batch", None)])
def test_a_model_that_takes_one_image_at_a_time_says_so(
    tmp_path: Path, batch: int | str, size: int | None
) -> None:
    from onnx import TensorProto, helper, save

    shape = [batch, 1, 8, 8]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"
    ]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "same", ends[:1], ends[1:])
    opset = helper.make_opsetid("", 18)
    save(helper.make_model(graph, opset_imports=[opset]), tmp_path / "weights.onnx")
    axes = [{"type": "batch", "id": "batch"}, {"type": "channel", "id": "channel"}]
    described: dict[str, Any] = {
        "weights": {"onnx": {"source": "weights.onnx"}},
        "inputs": [{"axes": axes}],
        "outputs": [{"axes": [dict(axis) for axis in axes]}],
    }
    limit_batch(described, tmp_path)
    for tensor in (*described["inputs"], *described["outputs"]):
        assert tensor["axes"][0].get("size") == size


@pytest.fixture
def two_formats(tmp_path: Path) -> Path:
    """Return a model that came with ONNX weights made of its state dict."""
    model = write_tiny_package(tmp_path / "model")
    content = yaml.safe_load((model / "rdf.yaml").read_text())
    (model / "weights.onnx").write_bytes(b"broken")
    content["weights"]["onnx"] = {
        "source": "weights.onnx",
        "sha256": hashlib.sha256(b"broken").hexdigest(),
        "opset_version": 18,
        "parent": "pytorch_state_dict",
    }
    (model / "rdf.yaml").write_text(yaml.safe_dump(content))
    return model


def test_weights_that_came_with_a_model_can_be_left_out(
    tmp_path: Path, two_formats: Path
) -> None:
    with pytest.raises(ModelError, match="--leave_out onnx"):
        export(two_formats, tmp_path / "out.zip", formats=[])
    events = export(
        two_formats, tmp_path / "out.zip", formats=["onnx"], leave_out=["onnx"]
    )
    assert formats(events) == {"pytorch_state_dict"}
    with zipfile.ZipFile(tmp_path / "out.zip") as file:
        assert "weights.onnx" not in file.namelist()


@pytest.mark.usefixtures("_no_checks", "_in_process")
def test_weights_lose_a_parent_that_is_left_out(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    events = export(
        model,
        tmp_path / "out.zip",
        formats=["torchscript"],
        leave_out=["pytorch_state_dict"],
    )
    assert formats(events) == {"torchscript"}
    assert "parent" not in description(tmp_path / "out.zip")["weights"]["torchscript"]


@pytest.mark.parametrize(
    ("left", "error", "said"),
    [
        (["pytorch_state_dict", "onnx"], ModelError, "leave fewer out"),
        (["keras_v3"], ConfigError, "it has onnx, pytorch_state_dict"),
    ],
)
def test_what_is_left_out_must_make_sense(
    tmp_path: Path, two_formats: Path, left: list[str], error: Any, said: str
) -> None:
    with pytest.raises(error, match=said):
        export(two_formats, tmp_path / "out.zip", formats=[], leave_out=left)
    assert not (tmp_path / "out.zip").exists()


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    output = tmp_path / "out.zip"
    output.write_bytes(b"mine")
    with pytest.raises(ImageError, match="exists already"):
        export(model, output, formats=[])
    assert output.read_bytes() == b"mine"


def test_only_a_zip_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out.zip"):
        export(write_tiny_package(tmp_path / "model"), tmp_path / "out", formats=[])


def test_a_failed_check_leaves_no_file(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    damage_result(model)
    events: list[Event] = []
    config = ExportConfig.model_validate(
        {
            "model": model,
            "output": tmp_path / "out.zip",
            "metadata": METADATA,
            "formats": [],
        }
    )
    with pytest.raises(ModelError, match="pytorch_state_dict"):
        events.extend(export_events(config))
    assert not (tmp_path / "out.zip").exists()


def damage_result(model: Path) -> None:
    import numpy as np

    path = model / "test_output.npy"
    np.save(path, np.load(path) + 50)
    content = yaml.safe_load((model / "rdf.yaml").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    content["outputs"][0]["test_tensor"]["sha256"] = digest
    (model / "rdf.yaml").write_text(yaml.safe_dump(content))


def test_stopping_leaves_no_file(tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    config = ExportConfig.model_validate(
        {"model": model, "output": tmp_path / "out.zip", "metadata": METADATA}
    )
    events = export_events(config)
    next(event for event in events if isinstance(event, Checked))
    events.close()
    assert list(tmp_path.glob("out*")) == []
