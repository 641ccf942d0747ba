from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_im2im.errors import ModelError
from napari_im2im.zoo.references import referenced_files

DATA = Path(__file__).parents[1] / "data" / "zoo"


def names(raw: dict[str, object]) -> set[str]:
    return {file.name for file in referenced_files(raw)}


def test_every_file_of_a_0_5_description_is_found(
    package_files: dict[str, bytes],
) -> None:
    raw = yaml.safe_load(package_files["rdf.yaml"])
    assert names(raw) == set(package_files) - {"rdf.yaml"}
    essential = {file.name for file in referenced_files(raw) if file.essential}
    assert essential == {"weights.onnx", "input.npy", "output.npy"}
    (weights,) = (f for f in referenced_files(raw) if f.name == "weights.onnx")
    assert weights.sha256 == raw["weights"]["onnx"]["sha256"]


def test_every_file_of_a_0_4_description_is_found() -> None:
    raw = yaml.safe_load((DATA / "chatty-frog__v0.rdf.yaml").read_text("utf-8"))
    found = names(raw)
    assert {"test_input.npy", "test_output.npy"} <= found
    assert any(name.endswith((".h5", ".zip")) for name in found)


def test_the_architecture_of_a_0_4_description_is_a_file() -> None:
    raw = {
        "weights": {
            "pytorch_state_dict": {
                "source": "w.pt",
                "architecture": "unet.py:UNet",
                "architecture_sha256": "a" * 64,
                "dependencies": "conda:environment.yaml",
            }
        }
    }
    files = {file.name: file for file in referenced_files(raw)}
    assert files["unet.py"].sha256 == "a" * 64
    assert files["unet.py"].essential
    assert not files["environment.yaml"].essential
    raw["weights"]["pytorch_state_dict"]["architecture"] = "monai.networks.nets.UNet"
    assert "monai.networks.nets.UNet" not in names(raw)


def test_files_on_the_web_get_the_name_that_they_have_there() -> None:
    raw = {
        "weights": {
            "onnx": {"source": "https://example.org/a/w%201.onnx?download=1"},
            "torchscript": {
                "source": "https://zenodo.org/api/records/1/files/w.pt/content"
            },
        }
    }
    assert names(raw) == {"w 1.onnx", "content"} - {"content"} | {"w.pt"}


def test_configuration_and_arguments_are_no_files() -> None:
    raw = {
        "config": {"a": {"source": "/etc/passwd"}},
        "weights": {
            "pytorch_state_dict": {
                "source": "w.pt",
                "architecture": {"callable": "x", "kwargs": {"source": "../x"}},
            }
        },
    }
    assert names(raw) == {"w.pt"}


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "../../secrets.pt",
        "a/../../b.pt",
        "C:\\Windows\\x.pt",
        "\\\\server\\share\\x.pt",
        "..\\x.pt",
        "file:///etc/passwd",
        "ftp://example.org/w.pt",
        "s3://bucket/w.pt",
        "data:text/plain,x",
        "https:///w.pt",
        "https://example.org/",
        "https://example.org/a/..",
        "a\0b",
        " ",
    ],
)
@pytest.mark.parametrize("key", ["weights", "covers", "attachments", "test_inputs"])
def test_sources_outside_the_package_are_refused(source: str, key: str) -> None:
    raw = {
        "weights": {key: {"onnx": {"source": source}}},
        "covers": {key: [source]},
        "attachments": {key: {"files": [source]}},
        "test_inputs": {key: [source]},
    }[key]
    with pytest.raises(ModelError, match="refused"):
        referenced_files(raw)


@pytest.mark.parametrize("name", ["rdf.yaml", "bioimageio.yaml", "other.rdf.yaml"])
def test_a_second_description_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="another description"):
        referenced_files({"documentation": name})


def test_two_files_of_one_name_are_refused() -> None:
    raw = {"covers": ["https://a.org/c.png", "https://b.org/c.png"]}
    with pytest.raises(ModelError, match="two different files"):
        referenced_files(raw)
