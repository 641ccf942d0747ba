"""The rules by which BiaPy 3.7 accepts a model, as its own check has them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

_WORKFLOWS = {
    "semantic-segmentation",
    "instance-segmentation",
    "denoising",
    "self-supervision",
    "image-to-image",
}
"""Tags of those that models of ours may have."""

_STEPS = {
    "zero_mean_unit_variance",
    "fixed_zero_mean_unit_variance",
    "scale_range",
    "scale_linear",
}
_LIBRARIES = {"pytorch", "torchvision", "bioimageio.core", "numpy", "pip"}
"""What its environment has of what our models may name."""


def why_biapy_refuses(archive: Path) -> str:
    """Return why BiaPy refuses a package; empty where it takes it."""
    with zipfile.ZipFile(archive) as file:
        content: dict[str, Any] = yaml.safe_load(file.read("rdf.yaml"))
        entry = content["weights"].get("pytorch_state_dict")
        if entry is None:
            return "there is no state dict"
        environment = yaml.safe_load(file.read(entry["dependencies"]["source"]))
    if len(content["inputs"]) != 1:
        return "it has several inputs"
    (tensor,) = content["inputs"]
    axes = "".join(axis["id"][0] for axis in tensor["axes"])
    if axes not in ("bcyx", "bczyx"):
        return f"its axes are {axes}"
    steps = [s for s in tensor["preprocessing"] if not _is_float_cast(s)]
    if len(steps) > 1 or not {step["id"] for step in steps} <= _STEPS:
        return f"its steps are {steps}"
    kwargs = entry["architecture"]["kwargs"]
    if kwargs.get("postprocessing") is not None:
        return "its network postprocesses"
    found = _WORKFLOWS & set(content["tags"])
    if not found:
        return f"no workflow is called {content['tags']}"
    if "semantic-segmentation" in found and not isinstance(kwargs["out_channels"], int):
        return "its number of classes can't be told"
    if ("2d" if axes == "bcyx" else "3d") not in content["tags"]:
        return "its tags don't say whether it is 2D or 3D"
    names = [name.partition(">=")[0] for name in environment["dependencies"]]
    missing = [name for name in names if name not in _LIBRARIES]
    return f"it doesn't have {', '.join(missing)}" if missing else ""


def _is_float_cast(step: dict[str, Any]) -> bool:
    dtype = str(step.get("kwargs", {}).get("dtype"))
    return step["id"] == "ensure_dtype" and "float" in dtype
