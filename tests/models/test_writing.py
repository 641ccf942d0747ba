from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_im2im.errors import ModelError
from napari_im2im.models.content import PackageContent, image_specs, valid_name
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.models.tensors import SteppedSize
from napari_im2im.models.writing import write_package
from packages import tiny_content, write_tiny_package

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

YX = ("y", "x")


@pytest.fixture(scope="module")
def content() -> PackageContent:
    return tiny_content()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("axes", "in_channels", "out_channels"),
    [(YX, 2, 3), (("z", "y", "x"), 1, 1)],
)
def test_the_zoo_accepts_the_package(
    tmp_path: Path, axes: tuple[str, ...], in_channels: int, out_channels: int
) -> None:
    from bioimageio.core import test_model

    folder = write_tiny_package(tmp_path / "model", axes, in_channels, out_channels)
    summary = test_model(folder / "rdf.yaml")

    assert summary.status == "passed", summary.format()


def test_the_network_comes_back(tmp_path: Path, content: PackageContent) -> None:
    image = torch.randn(1, 1, 48, 32)

    package = load_package(write_package(tmp_path / "model", content))
    network = load_network(package).eval()

    with torch.inference_mode():
        torch.testing.assert_close(network(image), content.network(image))


def test_equal_content_gives_equal_bytes(
    tmp_path: Path, content: PackageContent
) -> None:
    folders = [write_package(tmp_path / name, content) for name in ("a", "b")]

    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]
    for name in names[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_the_old_package_stays_where_the_new_fails(
    tmp_path: Path, content: PackageContent
) -> None:
    folder = write_package(tmp_path / "model", content)
    before = load_package(folder).sha256
    bad = replace(content, test_outputs=(np.full((1, 1, 32, 32), np.nan, np.float32),))

    with pytest.raises(ModelError, match="NaN"):
        write_package(folder, bad)

    assert load_package(folder).sha256 == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_keeps_the_old_package(
    tmp_path: Path, content: PackageContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_package(tmp_path / "model", content)
    before = load_package(folder).sha256

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ModelError, match="No space left on device"):
        write_package(folder, replace(content, text="Another."))

    assert load_package(folder).sha256 == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_weights_that_fit_nowhere_keep_the_old_package(
    tmp_path: Path,
    content: PackageContent,
    no_larger_file: Callable[[int], AbstractContextManager[None]],
) -> None:
    folder = write_package(tmp_path / "model", content)
    before = load_package(folder).sha256
    with no_larger_file(1000), pytest.raises(ModelError, match="File too large"):
        write_package(folder, replace(content, text="Another."))
    assert load_package(folder).sha256 == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_new_package_replaces_all_of_the_old(
    tmp_path: Path, content: PackageContent
) -> None:
    more = replace(content, network_source=("network.py", b"# a network"))
    folder = write_package(tmp_path / "model", more)
    assert (folder / "network.py").read_bytes() == b"# a network"

    write_package(folder, content)

    assert not (folder / "network.py").exists()


def test_what_training_says_is_kept(tmp_path: Path, content: PackageContent) -> None:
    config = {"task": "regression", "metrics": {"pcc": np.float32(0.5)}, "n": (1, 2)}
    content = replace(content, config=config)

    package = load_package(write_package(tmp_path / "model", content))

    assert package.config == {
        "task": "regression",
        "metrics": {"pcc": 0.5},
        "n": [1, 2],
    }
    assert package.file("cover.png").read_bytes().startswith(b"\x89PNG")


def test_the_smallest_size_has_room_for_the_halo() -> None:
    image, result = image_specs(
        spatial_axes=YX,
        input_channels=["a"],
        output_channels=["b"],
        sizes={axis: SteppedSize(16, 16) for axis in YX},
        halo={"y": 40, "x": 0},
    )

    assert image.axis("y").size == SteppedSize(96, 16)
    assert image.axis("x").size == SteppedSize(16, 16)
    assert result.axis("y").halo == 40


def test_units_that_the_zoo_does_not_know_are_left_out(
    tmp_path: Path, content: PackageContent
) -> None:
    inputs, outputs = image_specs(
        spatial_axes=YX,
        input_channels=["a"],
        output_channels=["b"],
        sizes={axis: SteppedSize(16, 16) for axis in YX},
        pixel_size={"y": 0.5, "x": 0.5},
        unit="pixel",
    )
    content = replace(content, inputs=(inputs,), outputs=(outputs,))

    package = load_package(write_package(tmp_path / "model", content))

    assert package.inputs[0].axis("y").pixel_size is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phase → DAPI, day 3", "phase DAPI day 3"),
        ("a", "a model"),
        ("", "model"),
        ("x" * 200, "x" * 128),
    ],
)
def test_names_are_made_valid(name: str, expected: str) -> None:
    assert valid_name(name) == expected
    assert 5 <= len(valid_name(name)) <= 128


def test_packing_the_folder_loses_nothing(
    tmp_path: Path, content: PackageContent
) -> None:
    from bioimageio.spec import save_bioimageio_package

    folder = write_package(tmp_path / "model", content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = save_bioimageio_package(
            folder / "rdf.yaml", output_path=tmp_path / "model.zip"
        )
    repacked, original = load_package(packed), load_package(folder)

    assert repacked.inputs == original.inputs
    assert repacked.outputs == original.outputs
    assert repacked.description.timestamp == original.description.timestamp
    shutil.rmtree(folder)
    assert load_package(packed).test_inputs()[0].shape == (1, 1, 32, 32)


@pytest.mark.parametrize("pixel_size", [0.2, 0.1, 0.3, 1 / 3, 0.65, 0.1083])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_any_pixel_size_leaves_a_whole_halo(pixel_size: float, factor: int) -> None:
    for wanted in range(1, 100):
        source, target = image_specs(
            spatial_axes=("y", "x"),
            input_channels=["in"],
            output_channels=["out"],
            sizes=dict.fromkeys(("y", "x"), SteppedSize(16, 16)),
            halo={"y": wanted, "x": 0},
            pixel_size={"y": pixel_size, "x": pixel_size},
            enlargement={"y": factor, "x": factor},
        )
        halo = target.axis("y").halo
        sizes = [spec.axis("y").pixel_size or 1.0 for spec in (target, source)]
        # As the specification checks it.
        assert (halo * sizes[0] / sizes[1]).is_integer()
        assert wanted * sizes[1] / sizes[0] == factor * wanted
        assert factor * wanted <= halo <= factor * (wanted + 8)


@pytest.mark.parametrize("factor", [1, 3, 7])
@pytest.mark.parametrize("pixel_size", [None, 0.22967365211423785])
def test_an_enlarged_halo_is_that_of_the_input(
    pixel_size: float | None, factor: int
) -> None:
    for halo in range(1, 100):
        source, target = image_specs(
            spatial_axes=("x",),
            input_channels=["in"],
            output_channels=["out"],
            sizes={"x": SteppedSize(16, 16)},
            halo={"x": halo},
            pixel_size={} if pixel_size is None else {"x": pixel_size},
            enlargement={"x": factor},
        )
        sizes = [spec.axis("x").pixel_size or 1.0 for spec in (target, source)]
        assert target.axis("x").halo * sizes[0] / sizes[1] == halo
        assert sizes[1] / sizes[0] == factor
