"""Nothing of a package runs that nobody agreed to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from napari_im2im.errors import ModelError, TrustError
from napari_im2im.models.architecture import build_architecture, required_trust
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime
from napari_im2im.models.runtimes.torch_engine import load_network
from packages import write_smooth_package

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage

STATE_DICT = ("pytorch_state_dict",)


def with_architecture(folder: Path, target: Path, **architecture: Any) -> ModelPackage:
    """Copy a package whose state dict belongs to another architecture."""
    shutil.copytree(folder, target)
    file = target / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    entry = content["weights"]["pytorch_state_dict"]
    entry["architecture"] = {"kwargs": {}, **architecture}
    content["weights"] = {"pytorch_state_dict": entry}
    file.write_text(yaml.safe_dump(content))
    return load_package(target)


def test_code_of_the_package_needs_its_hash(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    package = load_package(write_smooth_package(tmp_path / "model", STATE_DICT))
    code = package.root / "network.py"
    touch = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
    code.write_text(f"{touch}\n{code.read_text()}")
    file = package.root / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    architecture = content["weights"]["pytorch_state_dict"]["architecture"]
    architecture["sha256"] = sha256_of(code)
    file.write_text(yaml.safe_dump(content))
    package = load_package(package.root)

    with pytest.raises(TrustError, match=sha256_of(code)):
        load_runtime(package)
    with pytest.raises(TrustError):
        load_runtime(package, engine="torch", trusted=["0" * 64])
    assert not marker.exists()

    load_runtime(package, engine="torch", trusted=[sha256_of(code)])
    assert marker.exists()


def test_agreement_is_to_the_file_not_to_what_is_claimed(tmp_path: Path) -> None:
    package = load_package(write_smooth_package(tmp_path / "model", STATE_DICT))
    code = package.root / "network.py"
    agreed = sha256_of(code)
    code.write_text("raise SystemExit('evil')")

    with pytest.raises(ModelError, match="damaged or was changed"):
        load_runtime(package, trusted=[agreed])


def test_trust_is_asked_again_when_the_conversion_is_cached(tmp_path: Path) -> None:
    package = load_package(write_smooth_package(tmp_path / "model", STATE_DICT))
    agreed = sha256_of(package.root / "network.py")
    load_runtime(package, engine="openvino", trusted=[agreed])

    with pytest.raises(TrustError):
        load_runtime(package, engine="openvino")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "exec"),
        (".network", "Smooth"),
        ("", "Smooth"),
        ("a-b", "Smooth"),
        ("numpy", "__import__"),
    ],
)
def test_no_agreement_makes_these_acceptable(
    smooth_folder: Path, tmp_path: Path, module: str, name: str
) -> None:
    try:
        package = with_architecture(
            smooth_folder, tmp_path / "m", import_from=module, callable=name
        )
    except ModelError:
        return  # Not even a valid description.

    with pytest.raises(TrustError, match="refused"):
        build_architecture(package, trusted=[f"{module}:{name}"])


def test_an_allowed_library_is_allowed_for_its_networks_only(
    smooth_folder: Path, tmp_path: Path
) -> None:
    package = with_architecture(
        smooth_folder, tmp_path / "m", import_from="torch.nn.init", callable="os"
    )

    with pytest.raises(ModelError, match=r"refused|there is no"):
        build_architecture(package)


def test_another_library_is_asked_for_by_name(
    smooth_folder: Path, tmp_path: Path
) -> None:
    package = with_architecture(
        smooth_folder, tmp_path / "m", import_from="numpy", callable="zeros"
    )
    architecture = package.weights["pytorch_state_dict"].architecture
    assert architecture is not None

    assert required_trust(package, architecture) == "numpy:zeros"
    with pytest.raises(TrustError, match="trusting numpy:zeros"):
        build_architecture(package)


def test_a_network_of_an_allowed_library_needs_no_agreement(
    tiny_folder: Path,
) -> None:
    network = build_architecture(load_package(tiny_folder))

    assert type(network).__name__ == "BasicUNet"


def test_a_library_that_is_missing_is_named(
    smooth_folder: Path, tmp_path: Path
) -> None:
    package = with_architecture(
        smooth_folder, tmp_path / "m", import_from="no_such_lib.x", callable="Net"
    )

    with pytest.raises(ModelError, match="needs no_such_lib"):
        build_architecture(package, trusted=["no_such_lib.x:Net"])


def test_pickled_weights_are_not_unpickled(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOIMAGEIO_ALLOW_PICKLE", "1")
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    torch.save(print, folder / "weights.pt")
    file = folder / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    digest = sha256_of(folder / "weights.pt")
    content["weights"]["pytorch_state_dict"]["sha256"] = digest
    file.write_text(yaml.safe_dump(content))

    with pytest.raises(ModelError, match="holds more than tensors"):
        load_network(load_package(folder))


def test_weights_of_another_network_are_named(
    tiny_folder: Path, tmp_path: Path
) -> None:
    kwargs = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1}
    package = with_architecture(
        tiny_folder,
        tmp_path / "m",
        import_from="monai.networks.nets",
        callable="BasicUNet",
        kwargs=kwargs,
    )

    with pytest.raises(ModelError, match="don't fit the network"):
        load_network(package)
