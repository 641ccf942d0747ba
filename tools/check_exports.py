"""Run exported models where napari-im2im isn't installed.

    tox -e zoo-check
    python tools/check_exports.py --out FOLDER --only 2d-one-channel

Small models of every kind are trained for a few steps and exported. A fresh virtual
environment gets what the model zoo itself uses, and not this package; there
``bioimageio test`` runs each weights format, and ONNX and TorchScript run alone at
three sizes. The network is used to install the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import Image

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = (
    "bioimageio.core==0.11.*",
    "pydantic<2.14",
    "torch",
    "monai",
    "einops",
    "onnxruntime",
)
METADATA = {
    "description": "Trained for a few steps, to check that exports run elsewhere.",
    # Without a GitHub name, which the zoo's test would look up.
    "authors": [{"name": "Ada Lovelace"}],
    "license": "CC0-1.0",
}

# What runs in the fresh environment: two runtimes without any library of the zoo.
ALONE = """
import json, sys, zipfile, tempfile
from importlib.util import find_spec
from pathlib import Path
import numpy as np
assert find_spec("napari_im2im") is None
import onnxruntime, torch
folder = Path(tempfile.mkdtemp())
zipfile.ZipFile(sys.argv[1]).extractall(folder)
module = torch.jit.load(folder / "weights_torchscript.pt").eval()
session = onnxruntime.InferenceSession(folder / "weights.onnx")
(argument,) = session.get_inputs()
for number, shape in enumerate(json.loads(sys.argv[2])):
    pixels = np.random.default_rng(number).normal(size=shape).astype(np.float32)
    with torch.inference_mode():
        one = module(torch.from_numpy(pixels)).numpy()
    (other,) = session.run(None, {argument.name: pixels})
    difference = float(np.abs(one - other).max() / one.std())
    assert difference < 1e-3, (shape, difference)
    print("ONNX and TorchScript alone:", shape, f"differ by {difference:.1g} std")
"""


@dataclass(frozen=True)
class Case:
    """A model to train and export, ``pretrain`` first where there is any."""

    spatial: tuple[str, ...]
    inputs: int = 1
    outputs: int = 1
    train: dict[str, Any] = field(default_factory=dict)
    architecture: str = "auto"
    pretrain: dict[str, Any] | None = None


TWO, THREE = ("y", "x"), ("z", "y", "x")
NARROW = {"kwargs": {"features": [8, 8, 8, 16, 16, 8]}}
CASES = {
    "2d-one-channel": Case(TWO, architecture="library"),
    "2d-two-to-three": Case(TWO, 2, 3),
    "3d-one-to-two": Case(THREE, 1, 2),
    "3d-residual-source": Case(
        THREE,
        train={"network": {"name": "UNet", "kwargs": {"channels": [4, 4, 8, 8]}}},
    ),
    "2d-semantic": Case(TWO, train={"task": "semantic"}),
    "3d-semantic": Case(THREE, 2, train={"task": "semantic"}),
    "2d-instances": Case(TWO, train={"task": "instances"}),
    "3d-instances": Case(THREE, train={"task": "instances"}),
    "2d-embedding": Case(TWO, train={"task": "embedding"}),
    "2d-noise2void": Case(TWO, train={"task": "noise2void"}),
    "2d-pix2pix": Case(TWO, outputs=2, train={"adversarial": {"weight": 0.01}}),
    "2d-cyclegan": Case(TWO, train={"task": "unpaired"}),
    "2d-finetuned-from-masked": Case(
        TWO, train={"task": "semantic"}, pretrain={"task": "masked"}
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder; default: a temporary one")
    parser.add_argument("--only", nargs="+", choices=CASES, help="some of the models")
    parser.add_argument("--python", type=Path, help="of an environment that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["NAPARI_IM2IM_HOME"] = str(folder / "home")
        python = options.python or make_environment(folder / "environment")
        failed = [
            name
            for name in options.only or CASES
            if not check(export(name, CASES[name], folder), python)
        ]
    say(f"Failed: {', '.join(failed)}." if failed else "All exports run elsewhere.")
    return bool(failed)


def make_environment(folder: Path) -> Path:
    """Install what the zoo uses; return the environment's Python."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = str(REPOSITORY / "constraints.txt")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-c", constraints, *REQUIREMENTS],
        check=True,
    )
    return python


def export(name: str, case: Case, folder: Path) -> Path:
    """Train a model for a few steps and write its package."""
    from napari_im2im.events import Message, TrainingFinished
    from napari_im2im.models.package import load_package
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.loop import train_events
    from napari_im2im.zoo.export import Checked, ExportConfig, export_events
    from napari_im2im.zoo.export.drafts import suggest_metadata

    say(f"\n{name}")
    last = None
    stages = [case.train] if case.pretrain is None else [case.pretrain, case.train]
    for stage in stages:
        values = {
            "name": name,
            "output": folder / "runs",
            "effort": {"steps": 8},
            "device": "cpu",
            "network": NARROW,
            "start_from": last and last.package,
            **stage,
        }
        config = TrainConfig.model_validate(values)
        *_, last = train_events(config, [pair(case, seed, stage) for seed in range(2)])
        assert isinstance(last, TrainingFinished)
    output = folder / f"{name}.zip"
    draft = suggest_metadata(load_package(last.package)) | METADATA
    job = ExportConfig.model_validate(
        {
            "model": last.package,
            "output": output,
            "metadata": draft,
            "architecture": case.architecture,
            "overwrite": True,
        }
    )
    for event in export_events(job):
        if isinstance(event, Checked) and event.verdict != "running":
            say(f"  {event.verdict}: {event.name}. {event.text}")
        elif isinstance(event, Message):
            say(f"  {event.text}")
    return output


def pair(case: Case, seed: int, train: dict[str, Any]) -> tuple[Image, Image]:
    """Return noisy discs, and what there is to learn of them."""
    from skimage.measure import label

    from napari_im2im.images.image import Image

    random = np.random.default_rng(seed)
    shape = (24, 64, 64)[-len(case.spatial) :]
    grid = np.indices(shape)
    objects = np.zeros(shape, bool)
    for _ in range(8):
        centre = [random.uniform(4, size - 4) for size in shape]
        squares = [(g - c) ** 2 for g, c in zip(grid, centre, strict=True)]
        objects |= sum(squares) < random.uniform(4, 6) ** 2
    scale = {"z": 0.5, "y": 0.2, "x": 0.2}
    geometry: dict[str, Any] = {
        "scale": {axis: scale[axis] for axis in case.spatial},
        "units": dict.fromkeys(case.spatial, "micrometer"),
    }
    planes = [
        100 + 50 * objects + random.normal(0, 10, shape) for _ in range(case.inputs)
    ]
    axes = ("channel", *case.spatial)
    source = Image(np.stack(planes).astype(np.float32), axes, **geometry)
    task = train.get("task", "image")
    if task == "masked":
        return source, source
    if task in ("semantic", "instances", "embedding"):
        labels = objects if task == "semantic" else label(objects)
        return source, Image(labels.astype(np.uint8), case.spatial, **geometry)
    stains = [1000 * (n + 1) * (objects + 0.1) for n in range(case.outputs)]
    return source, Image(np.stack(stains).astype(np.float32), axes, **geometry)


def check(package: Path, python: Path) -> bool:
    """Run a package in another environment; return whether all of it passes."""
    from napari_im2im.models.conversion import input_shapes
    from napari_im2im.models.package import load_package

    # No variable of this process may lead there to this package.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    zoo_test = [python, "-m", "bioimageio.core", "test", str(package)]
    inputs = load_package(package).inputs
    shapes = [input_shapes(inputs, steps)[0] for steps in (0, 1, 3)]
    alone = [python, "-c", ALONE, str(package), json.dumps(shapes)]
    passed = [run(zoo_test, package.parent, clean), run(alone, package.parent, clean)]
    return all(passed)


def run(command: Sequence[Any], folder: Path, variables: dict[str, str]) -> bool:
    result = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    said = f"{result.stdout}\n{result.stderr}".strip()
    say(said if result.returncode else "\n".join(said.splitlines()[-3:]))
    return result.returncode == 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
