"""A source file that comes with a package builds the network that MONAI built."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from napari_im2im.errors import ModelError, TrustError
from napari_im2im.models.architecture import build_architecture
from napari_im2im.models.networks import NetworkConfig
from napari_im2im.models.package import Architecture, ModelPackage, load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.models.self_contained import source_file
from packages import TINY, write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path

FLAT = NetworkConfig(
    name="UNet",
    kwargs={"channels": (4, 4, 8, 8), "strides": [[1, 2, 2], [2, 2, 2], 2]},
)
RESIDUAL = NetworkConfig(name="UNet", kwargs={"channels": (4, 4, 8, 8)})
SEGRESNET = NetworkConfig(name="SegResNet", kwargs={"init_filters": 4})
GROUPS = NetworkConfig(kwargs={**TINY.kwargs, "norm": ["group", {"num_groups": 2}]})


def written(folder: Path, config: NetworkConfig, axes: tuple[str, ...]) -> ModelPackage:
    return load_package(write_tiny_package(folder / "model", axes, config=config))


def with_source(package: ModelPackage, source: str) -> ModelPackage:
    """Return a package whose network is built by a file in its folder."""
    entry = package.weights["pytorch_state_dict"]
    assert entry.architecture is not None
    architecture = Architecture(
        entry.architecture.callable, entry.architecture.kwargs, source=source
    )
    entry = replace(entry, architecture=architecture)
    return replace(package, weights={entry.format: entry})


@pytest.mark.parametrize("axes", [("y", "x"), ("z", "y", "x")], ids=["2D", "3D"])
@pytest.mark.parametrize("config", [TINY, RESIDUAL], ids=["BasicUNet", "UNet"])
def test_the_file_gives_the_networks_result(
    tmp_path: Path, config: NetworkConfig, axes: tuple[str, ...]
) -> None:
    package = written(tmp_path, config, axes)
    path = source_file(package)
    (package.root / path.name).write_bytes(path.read_bytes())
    # One of our own files runs without asking.
    network = build_architecture(with_source(package, path.name))
    known = load_network(package)
    network.load_state_dict(known.state_dict())
    pixels = torch.randn(2, 1, *(48 for _ in axes))
    for mode in (True, False):
        torch.testing.assert_close(
            network.train(mode)(pixels), known.train(mode)(pixels)
        )


def test_strides_may_differ_by_axis(tmp_path: Path) -> None:
    assert source_file(written(tmp_path, FLAT, ("z", "y", "x"))).is_file()


def test_a_level_of_odd_size_is_filled_up(tmp_path: Path) -> None:
    package = written(tmp_path, TINY, ("y", "x"))
    path = source_file(package)
    (package.root / path.name).write_bytes(path.read_bytes())
    network, known = (
        build_architecture(with_source(package, path.name)),
        load_network(package),
    )
    network.load_state_dict(known.state_dict())
    pixels = torch.randn(1, 1, 39, 50)
    torch.testing.assert_close(network.eval()(pixels), known.eval()(pixels))


def test_a_changed_file_needs_consent(tmp_path: Path) -> None:
    package = written(tmp_path, TINY, ("y", "x"))
    path = source_file(package)
    (package.root / path.name).write_text(path.read_text() + "\n# changed\n")
    with pytest.raises(TrustError, match=path.name):
        build_architecture(with_source(package, path.name))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SEGRESNET, "no source file for SegResNet"),
        (GROUPS, "doesn't know all"),
    ],
    ids=["another network", "another norm"],
)
def test_what_has_no_file_says_so(
    tmp_path: Path, config: NetworkConfig, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        source_file(written(tmp_path, config, ("y", "x")))


@pytest.mark.parametrize("config", [TINY, RESIDUAL], ids=["BasicUNet", "UNet"])
def test_the_file_imports_nothing_but_torch(
    tmp_path: Path, config: NetworkConfig
) -> None:
    path = source_file(written(tmp_path, config, ("y", "x")))
    code = (
        "import runpy, sys; "
        f"runpy.run_path({str(path)!r}); "
        "assert not {'monai', 'napari_im2im'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
