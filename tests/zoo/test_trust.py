"""Each rule of trust, against a package that a villain might publish."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import yaml

from napari_im2im.cli import DONE, FAILED, main
from napari_im2im.errors import Im2ImError, ModelError, TrustError
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime, usable_engines
from napari_im2im.zoo.compatibility import check_runs
from napari_im2im.zoo.testing import reproduction_events
from napari_im2im.zoo.trust import (
    Code,
    TrustStore,
    code_of,
    code_of_steps,
    code_to_agree,
)
from packages import (
    STEPPED,
    change_steps,
    custom_step,
    tensor,
    write_custom_package,
)

FORMATS = ("torchscript", "onnx", "pytorch_state_dict")
IMAGE = np.random.default_rng(0).normal(size=(1, 1, 16, 16)).astype(np.float32)


CODE = """from pathlib import Path

import torch
import yaml

Path(MARKER).write_text("imported")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return image * self.factor
"""


class Doubling(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.factor


def build(
    folder: Path,
    architecture: dict[str, Any] | None = None,
    formats: tuple[str, ...] = ("pytorch_state_dict",),
    network: torch.nn.Module | None = None,
) -> Path:
    return write_custom_package(
        folder,
        network or Doubling(),
        [tensor("raw", STEPPED)],
        [tensor("out", {"y": "raw", "x": "raw"})],
        [IMAGE],
        formats=formats,
        architecture={"kwargs": {}, **(architecture or {})},
    )


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that code of the villain makes."""
    return tmp_path / "pwned"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with code of its own and TorchScript weights, to be changed."""
    return build(
        tmp_path_factory.mktemp("template") / "model",
        {"source": CODE, "callable": "Net"},
        ("pytorch_state_dict", "torchscript"),
    )


@pytest.fixture
def both(template: Path, tmp_path: Path, marker: Path) -> Path:
    """A package with TorchScript weights, and others with a villain's code."""
    folder = Path(shutil.copytree(template, tmp_path / "model"))
    code = CODE.replace("MARKER", repr(str(marker)))
    replace_file(folder, folder / "network.py", code.encode())
    return folder


@pytest.fixture
def own_code(both: Path) -> Path:
    """A package with an architecture file that acts as soon as it is run."""
    return change_weights(both, torchscript=None)


def change_weights(folder: Path, **changes: Any) -> Path:
    """Change the weights entries of a description; None takes one out."""
    description = folder / "rdf.yaml"
    content = yaml.safe_load(description.read_text("utf-8"))
    weights = {**content["weights"], **changes}
    content["weights"] = {key: entry for key, entry in weights.items() if entry}
    description.write_text(yaml.safe_dump(content), "utf-8")
    return folder


def change_architecture(folder: Path, **architecture: Any) -> Path:
    """Let the state dict of a package belong to another network."""
    entry = yaml.safe_load((folder / "rdf.yaml").read_text("utf-8"))["weights"][
        "pytorch_state_dict"
    ]
    return change_weights(
        folder, pytorch_state_dict={**entry, "architecture": architecture}
    )


def replace_file(folder: Path, path: Path, content: bytes) -> None:
    """Replace a file and its sha256 in the description, as a villain would."""
    old = sha256_of(path)
    path.write_bytes(content)
    description = folder / "rdf.yaml"
    text = description.read_text("utf-8")
    assert old in text
    description.write_text(text.replace(old, sha256_of(path)), "utf-8")


def test_opening_runs_nothing_and_shows_the_code(own_code: Path, marker: Path) -> None:
    package = load_package(own_code)
    usable_engines(package)
    (code,) = code_of(package).values()
    assert code.token == sha256_of(own_code / "network.py")
    assert code.sentence == f"network.py (15 lines, sha256 {code.token[:8]}…)"
    assert "class Net" in code.text
    assert not marker.exists()


def test_code_runs_only_after_consent(own_code: Path, marker: Path) -> None:
    package, store = load_package(own_code), TrustStore()
    with pytest.raises(TrustError, match=r"network\.py"):
        load_runtime(package, trusted=store.trusted())
    assert not marker.exists()
    code = code_to_agree(package, FORMATS, store.trusted())
    assert code is not None
    store.agree(code, package.name)
    assert code_to_agree(package, FORMATS, TrustStore().trusted()) is None
    runtime = load_runtime(package, trusted=TrustStore().trusted())
    np.testing.assert_allclose(runtime([IMAGE])[0], 2 * IMAGE, rtol=1e-5)
    runtime.close()
    assert marker.exists()


def test_consent_is_for_this_version_of_the_file_only(
    own_code: Path, tmp_path: Path, marker: Path
) -> None:
    package, store = load_package(own_code), TrustStore()
    code = code_to_agree(package, FORMATS, ())
    assert code is not None
    store.agree(code, package.name)
    evil = "import os\nNet = os.abort\n"
    good = (own_code / "network.py").read_bytes()
    (own_code / "network.py").write_text(evil)
    with pytest.raises(ModelError, match="damaged or was changed"):
        load_runtime(load_package(own_code), trusted=store.trusted())
    # The villain adapts the description as well.
    (own_code / "network.py").write_bytes(good)
    replace_file(own_code, own_code / "network.py", evil.encode())
    with pytest.raises(TrustError):
        load_runtime(load_package(own_code), trusted=store.trusted())
    assert not marker.exists()


def test_consent_can_be_withdrawn(own_code: Path) -> None:
    store, code = TrustStore(), code_to_agree(load_package(own_code), FORMATS, ())
    assert code is not None
    store.agree(code, "own code")
    assert store.trusted() == {code.token}
    (agreement,) = store.agreements()
    assert (agreement.model, agreement.name) == ("own code", "network.py")
    with pytest.raises(TrustError, match="Nobody agreed to code of another"):
        store.withdraw("another")
    assert store.withdraw("own code") == [agreement]
    assert store.trusted() == frozenset()
    store.agree(code, "own code")
    assert store.withdraw(code.token[:8])[0].token == code.token
    assert store.agreements() == []


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_damaged_consent_is_no_consent(content: str) -> None:
    store = TrustStore()
    store.path.parent.mkdir(parents=True)
    store.path.write_text(content)
    with pytest.raises(ModelError, match="agree again"):
        store.trusted()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "exec"),
        ("shutil", "rmtree"),
        (".unet", "Net"),
        ("..unet", "Net"),
        ("unet/../../evil", "Net"),
        ("runpy", "run_path"),
        ("my_library", "__import__"),
    ],
)
def test_no_consent_makes_these_imports_acceptable(
    own_code: Path, module: str, name: str, marker: Path
) -> None:
    architecture = {
        "import_from": module,
        "callable": name,
        "kwargs": {"command": f"touch {marker}", "args": ["touch", str(marker)]},
    }
    try:
        package = load_package(change_architecture(own_code, **architecture))
    except ModelError:
        return
    (code,) = code_of(package).values()
    assert "refused" in code.sentence
    with pytest.raises(TrustError, match="refused"):
        code_to_agree(package, FORMATS, ())
    with pytest.raises(TrustError):
        TrustStore().agree(code, package.name)
    for trusted in ((), {f"{module}:{name}"}, {""}):
        with pytest.raises(Im2ImError):
            load_runtime(package, trusted=trusted)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("torch.nn", "Identity"), ("monai.networks.nets", "BasicUNet")],
)
def test_networks_of_well_known_libraries_need_no_consent(
    own_code: Path, module: str, name: str
) -> None:
    architecture = {"import_from": module, "callable": name}
    assert code_of(load_package(change_architecture(own_code, **architecture))) == {}


@pytest.mark.parametrize("name", ["load", "hub", "os"])
def test_a_well_known_library_is_allowed_for_networks_only(
    own_code: Path, name: str
) -> None:
    architecture = {"import_from": "torch.nn.modules.module", "callable": name}
    with pytest.raises(ModelError):
        load_runtime(load_package(change_architecture(own_code, **architecture)))


def test_other_libraries_need_consent(own_code: Path) -> None:
    architecture = {"import_from": "plantseg.models.model", "callable": "UNet3D"}
    package = load_package(change_architecture(own_code, **architecture))
    code = code_to_agree(package, FORMATS, ())
    assert code is not None
    assert code.token == "plantseg.models.model:UNet3D"
    assert "installed library" in code.sentence
    with pytest.raises(TrustError, match="plantseg"):
        load_runtime(package)


def test_weights_without_code_are_preferred(both: Path, marker: Path) -> None:
    package = load_package(both)
    assert code_to_agree(package, FORMATS, ()) is None
    runtime = load_runtime(package)
    assert runtime.weights_format == "torchscript"
    runtime.close()
    assert not marker.exists()


class Bomb:
    """Unpickling this runs a command."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.marker, "w")


@pytest.mark.parametrize("allow", ["", "1"])
def test_pickled_weights_never_run(
    own_code: Path,
    tmp_path: Path,
    marker: Path,
    allow: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIOIMAGEIO_ALLOW_PICKLE", allow)
    folder = change_architecture(own_code, import_from="torch.nn", callable="Identity")
    weights = folder / "weights_state_dict.pt"
    torch.save({"weight": Bomb(str(marker))}, tmp_path / "new.pt")
    plain = pickle.dumps(Bomb(str(marker)), protocol=2)
    for content in ((tmp_path / "new.pt").read_bytes(), plain):
        replace_file(folder, weights, content)
        with pytest.raises(ModelError):
            load_runtime(load_package(folder))
    assert not marker.exists()


def test_a_pickled_test_tensor_never_runs(
    own_code: Path, tmp_path: Path, marker: Path
) -> None:
    np.save(tmp_path / "x.npy", np.array([Bomb(str(marker))], dtype=object))
    (test_input, *_) = load_package(own_code).description.inputs
    path = own_code / str(test_input.test_tensor.source)
    replace_file(own_code, path, (tmp_path / "x.npy").read_bytes())
    with pytest.raises(ModelError, match=r"\.npy"):
        load_package(own_code).test_inputs()
    assert not marker.exists()


def test_code_behind_a_link_out_of_the_package_is_refused(
    own_code: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    (own_code / "network.py").rename(outside)
    (own_code / "network.py").symlink_to(outside)
    with pytest.raises(ModelError, match="outside its package"):
        code_of(load_package(own_code))


def test_a_link_in_a_zip_is_refused(own_code: Path, tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in own_code.iterdir():
            opened.write(path, path.name)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="link"):
        load_package(archive)


@pytest.mark.parametrize("source", ["../outside.py", "/etc/passwd", "file:///x.py"])
def test_sources_outside_the_package_are_refused(own_code: Path, source: str) -> None:
    text = (own_code / "rdf.yaml").read_text().replace("network.py", source)
    (own_code / "rdf.yaml").write_text(text)
    with pytest.raises(ModelError):
        code_of(load_package(own_code))


STEP = """from pathlib import Path


def spread(factor):
    Path(MARKER).write_text("called")
    return lambda array: array * factor
"""


@pytest.fixture
def own_step(both: Path, marker: Path) -> Path:
    """A package whose postprocessing acts, with an architecture that does too."""
    code = STEP.replace("MARKER", repr(str(marker)))
    step = custom_step(both, "spread", code, factor=3.0)
    change_steps(both, after=[step], expected=6 * IMAGE)
    return both


def test_a_step_with_code_is_asked_for_whatever_the_weights(
    own_step: Path, marker: Path
) -> None:
    package = load_package(own_step)
    (code,) = code_of_steps(package)
    assert code.token == sha256_of(own_step / "spread.py")
    assert code.sentence.startswith("spread.py (6 lines, sha256")
    assert "def spread" in code.text
    assert code_to_agree(package, FORMATS, ()) == code
    assert code_to_agree(package, FORMATS, {code.token}) is None
    runs = check_runs(package)
    assert (
        set(runs.asking) == set(runs.formats) == {"torchscript", "pytorch_state_dict"}
    )
    # Two files, two questions.
    only = load_package(change_weights(own_step, torchscript=None))
    network = code_to_agree(only, FORMATS, {code.token})
    assert network is not None
    assert network.name == "network.py"
    with pytest.raises(TrustError, match=r"spread\.py"):
        list(reproduction_events(only, trusted={network.token}))
    assert not marker.exists()


@pytest.mark.parametrize("source", ["../outside.py", "/etc/passwd", "file:///x.py"])
def test_a_step_outside_the_package_is_refused(own_step: Path, source: str) -> None:
    text = (own_step / "rdf.yaml").read_text().replace("spread.py", source)
    (own_step / "rdf.yaml").write_text(text)
    with pytest.raises(ModelError):
        code_of_steps(load_package(own_step))


def test_a_step_behind_a_link_out_of_the_package_is_refused(
    own_step: Path, tmp_path: Path
) -> None:
    (own_step / "spread.py").rename(tmp_path / "outside.py")
    (own_step / "spread.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(ModelError, match="outside its package"):
        code_of_steps(load_package(own_step))


def test_without_a_window_each_file_is_named_on_the_command_line(
    own_step: Path, marker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_weights(own_step, torchscript=None)
    model = str(own_step)
    tifffile.imwrite(tmp_path / "image.tif", IMAGE[0, 0])
    files = ["--inputs", str(tmp_path / "image.tif"), "--output", str(tmp_path / "to")]
    predict = ["predict", "--model", model, *files]
    step, network = (sha256_of(own_step / f"{n}.py") for n in ("spread", "network"))
    for words in (["test", model], predict):
        assert main(words) == FAILED
        assert step in capsys.readouterr().err
        assert main([*words, "--trust", step]) == FAILED
        assert network in "".join(capsys.readouterr())
    assert main(["zoo", "show", model]) == DONE
    shown = capsys.readouterr().out.replace("\n", "")
    assert f"--trust {step}" in shown
    assert f"--trust {network}" in shown
    # What somebody agreed to in the window is not enough here.
    TrustStore().agree(code_of_steps(load_package(own_step))[0], "spread")
    assert main(["test", model]) == FAILED
    marker.unlink(missing_ok=True)
    assert main(["test", model, "--trust", step, "--trust", network]) == DONE
    assert marker.exists()


def test_a_refused_code_has_a_sentence_of_its_own() -> None:
    code = Code("os.system", "builds", "", refused="refused: it is no network.")
    assert code.sentence == "refused: it is no network."
