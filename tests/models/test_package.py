from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from napari_im2im.errors import ModelError
from napari_im2im.models.package import load_package, parse_description
from napari_im2im.models.tensors import FixedSize, ReferencedSize, SteppedSize
from packages import (
    write_fixed_size_package,
    write_smooth_package,
    write_two_input_package,
    write_upscaling_package,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def edited(folder: Path, target: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a package and change its description."""
    shutil.copytree(folder, target)
    file = target / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    edit(content)
    file.write_text(yaml.safe_dump(content))
    return target


def test_a_package_is_what_was_written(tiny_folder: Path) -> None:
    package = load_package(tiny_folder)

    (image,), (result,) = package.inputs, package.outputs
    assert package.name == "Tiny network"
    assert image.axis_names == ("batch", "channel", "y", "x")
    assert image.axis("channel").channel_names == ("in 0", "in 1")
    assert image.axis("y").size == SteppedSize(32, 16)
    assert (image.axis("y").pixel_size, image.axis("y").unit) == (0.5, "micrometer")
    assert [step.id for step in image.steps] == [
        "ensure_dtype",
        "fixed_zero_mean_unit_variance",
        "ensure_dtype",
    ]
    assert image.steps[1].kwargs == {
        "axis": "channel",
        "mean": (20.0, 21.0),
        "std": (4.0, 5.0),
    }
    assert result.axis("y").halo == 8
    assert result.axis("y").size == ReferencedSize("input", "y")
    assert package.test_inputs()[0].shape == (1, 2, 32, 32)
    assert package.test_outputs()[0].shape == (1, 1, 32, 32)


def test_folder_description_and_zip_are_the_same_model(
    tiny_folder: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tiny_folder)

    opened = [
        load_package(path) for path in (tiny_folder, tiny_folder / "rdf.yaml", archive)
    ]

    assert len({package.sha256 for package in opened}) == 1
    assert [package.inputs for package in opened] == [opened[0].inputs] * 3
    np.testing.assert_array_equal(opened[2].test_inputs(), opened[0].test_inputs())


def test_a_zip_with_a_folder_in_it_opens(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "up" / "model")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "up")

    assert load_package(archive).name == "Tiny network"


@pytest.mark.usefixtures("no_network")
def test_nothing_is_looked_up(tiny_folder: Path, tmp_path: Path) -> None:
    def refer_to_the_world(content: dict[str, Any]) -> None:
        content["inputs"][0]["output_of"] = "affable-shark"
        content["authors"] = [{"name": "A", "github_user": "nobody"}]
        content["git_repo"] = "https://example.com/repository"
        content["cite"] = [{"text": "x", "url": "https://example.com"}]

    folder = edited(tiny_folder, tmp_path / "model", refer_to_the_world)

    assert load_package(folder).name == "Tiny network"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("source", ["affable-shark", "10.5281/zenodo.5764892"])
def test_a_mistyped_path_is_not_sent_anywhere(source: str) -> None:
    with pytest.raises(ModelError, match=f"no model at {source}"):
        load_package(source)


def test_reading_imports_no_torch_and_runs_nothing(smooth_folder: Path) -> None:
    code = (
        "import sys\n"
        "from napari_im2im.models.package import load_package\n"
        f"package = load_package({str(smooth_folder)!r})\n"
        "package.test_inputs()\n"
        "assert 'torch' not in sys.modules\n"
        "assert not [name for name in sys.modules if 'architecture_' in name]\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_link_out_of_the_package_is_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    shutil.move(folder / "weights.pt", tmp_path / "weights.pt")
    (folder / "weights.pt").symlink_to(tmp_path / "weights.pt")

    with pytest.raises(ModelError, match="outside its package"):
        load_package(folder).file("weights.pt")


@pytest.mark.parametrize(
    "source", ["../secret.npy", "/etc/passwd", "a/../../b", "ftp://example.org/a"]
)
@pytest.mark.parametrize("place", ["test", "weights", "documentation", "attachment"])
def test_files_outside_the_package_are_refused(
    tiny_folder: Path, tmp_path: Path, source: str, place: str
) -> None:
    def refer(content: dict[str, Any]) -> None:
        if place == "test":
            content["inputs"][0]["test_tensor"] = {"source": source}
        elif place == "weights":
            content["weights"]["pytorch_state_dict"]["source"] = source
        elif place == "documentation":
            content["documentation"] = {"source": f"{source}.md"}
        else:
            content["attachments"] = [{"source": source}]

    folder = edited(tiny_folder, tmp_path / "model", refer)

    with pytest.raises(ModelError, match=r"not inside the package|absolute path"):
        load_package(folder)


def test_a_changed_file_is_not_used(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    np.save(folder / "test_input.npy", np.zeros((1, 2, 32, 32), np.float32))

    with pytest.raises(ModelError, match="damaged or was changed"):
        load_package(folder).test_inputs()


def test_pickled_test_tensors_are_not_loaded(tiny_folder: Path, tmp_path: Path) -> None:
    folder = edited(
        tiny_folder,
        tmp_path / "model",
        lambda content: content["inputs"][0]["test_tensor"].pop("sha256"),
    )
    np.save(folder / "test_input.npy", np.array([print], dtype=object))

    with pytest.raises(ModelError, match=r"not a readable \.npy"):
        load_package(folder).test_inputs()


def test_missing_weights_are_named(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "weights.pt").unlink()

    with pytest.raises(ModelError, match=r"none of its weights \(weights\.pt\)"):
        load_package(folder)
    assert parse_description(folder / "rdf.yaml").weights


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("0.3.2", "format 0.3.2"), ("0.6.0", "format 0.6.0"), (None, "format unknown")],
)
def test_other_formats_are_refused(
    tiny_folder: Path, tmp_path: Path, version: str | None, sentence: str
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["format_version"] = version or ""

    with pytest.raises(ModelError, match=sentence):
        load_package(edited(tiny_folder, tmp_path / "model", change))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1", "not the description"),
        ("type: dataset\nformat_version: 0.3.0", "describes a dataset"),
        ("type: model\nformat_version: 0.5.4", "not a valid description"),
    ],
)
def test_what_is_no_model_says_so(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rdf.yaml").write_text(text)

    with pytest.raises(ModelError, match=sentence):
        load_package(tmp_path)


def test_a_folder_without_a_description_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model"):
        load_package(tmp_path)


def test_the_plainest_name_wins(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "old.bioimageio.yaml").write_text("type: model")

    assert load_package(folder).name == "Tiny network"


def test_sizes_that_refer_to_other_tensors(tmp_path: Path) -> None:
    two = load_package(write_two_input_package(tmp_path / "two"))
    large = load_package(write_upscaling_package(tmp_path / "large"))
    fixed = load_package(write_fixed_size_package(tmp_path / "fixed"))

    assert two.inputs[1].axis("x").size == ReferencedSize("one", "x")
    assert large.outputs[0].axis("x").size == ReferencedSize("image", "x", scale=2.0)
    assert large.outputs[0].axis("x").pixel_size == 0.25
    assert fixed.outputs[0].axis("x").size == FixedSize(32)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 3, 16, 16), "made 3 channels of 'smooth', but its description says 1"),
        ((16, 16), "made an array of .* says batch/channel/y/x"),
    ],
)
def test_a_result_that_is_not_described_is_named(
    tmp_path: Path, shape: tuple[int, ...], sentence: str
) -> None:
    package = load_package(write_smooth_package(tmp_path / "model"))
    with pytest.raises(ModelError, match=sentence):
        package.results([np.zeros(shape, np.float32)])
    with pytest.raises(ModelError, match="returned 0 of the 1 tensors"):
        package.results([])


def test_instance_masks_along_a_space_axis_are_channels(tmp_path: Path) -> None:
    folder = write_smooth_package(tmp_path / "model")
    content = yaml.safe_load((folder / "rdf.yaml").read_text())
    (output,) = content["outputs"]
    output["axes"] = [
        {"type": "space", "id": "s", "size": 16},
        *(axis for axis in output["axes"] if axis.get("id") in ("y", "x")),
    ]
    boxes = {**output, "id": "boxes", "axes": [output["axes"][0]]}
    content["outputs"] = [boxes, output]
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content))
    package = load_package(folder)
    assert [spec.axis_names for spec in package.outputs] == [("channel", "y", "x")]
    assert package.note == "Only images are shown, not boxes (s 16)."
