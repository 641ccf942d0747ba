"""What a package must pass before it is published."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ModelError
from napari_im2im.zoo.export.events import Checked
from napari_im2im.zoo.testing import FormatTested, reproduction_events
from napari_im2im.zoo.trust import code_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping
    from pathlib import Path

    from bioimageio.spec.model.v0_5 import ModelDescr

    from napari_im2im.events import Event
    from napari_im2im.models.package import ModelPackage

_NOT_HERE = frozenset(
    ("keras_hdf5", "keras_v3", "tensorflow_js", "tensorflow_saved_model_bundle")
)


def format_events(
    described: Mapping[str, Any], folder: Path
) -> Generator[Event, None, ModelDescr]:
    """Check a description and its files against the specification, offline.

    Yields
    ------
    Event
        `Checked`.

    Returns
    -------
    ModelDescr
        The description without what would be looked up on the network.

    Raises
    ------
    ModelError
        Naming the field.
    """
    name = "Description follows the specification"
    yield Checked(name, "running")
    _build(described, folder, read_files=False)
    built = _build(_without_addresses(described), folder, read_files=True)
    warnings = [
        f"{'.'.join(map(str, warning.loc))}: {' '.join(warning.msg.split())}"
        for detail in built.validation_summary.details
        for warning in detail.warnings
        # People's GitHub names were left out here, and are no mistake.
        if "maintainers" not in warning.msg
    ]
    yield Checked(name, "passed", "; ".join(warnings[:3]))
    return built


def completeness(described: Mapping[str, Any], folder: Path) -> float:
    """Return the part of the specification's fields that are filled in, 0 to 1."""
    built = _build(described, folder, read_files=False)
    return float(built.validation_summary.metadata_completeness)


def core_events(
    built: ModelDescr,
    package: ModelPackage,
    own: Collection[str],
    trusted: Collection[str],
) -> Generator[Event]:
    """Let bioimageio.core reproduce the test tensors with each weights format.

    The formats ``own``, which the model came with, are first: if they fail, so do
    those that were made from them.

    Yields
    ------
    Event
        `Checked` for each format.

    Raises
    ------
    ModelError
        If a format fails.
    """
    from bioimageio.core import test_model

    code = code_of(package)
    for weights_format in sorted(package.weights, key=lambda name: name not in own):
        name = f"bioimageio.core runs {weights_format}"
        yield Checked(name, "running")
        needed = code.get(weights_format)
        if needed is not None and needed.token not in trusted:
            yield Checked(name, "warning", f"Not run: it needs {needed.sentence}.")
            continue
        if weights_format in _NOT_HERE:
            yield Checked(name, "warning", "Not run: it needs TensorFlow.")
            continue
        with _quiet():
            summary = test_model(built, weight_format=weights_format)  # type: ignore[arg-type]
        problems = [
            " ".join(error.msg.split())
            for detail in summary.details
            for error in detail.errors
        ]
        # Each test appends to the summary of the same description.
        del summary.details[1:]
        summary.status = "valid-format"
        if problems:
            # What follows is where and by how much, in the notation of Python.
            text = problems[0].partition(" Max relative difference")[0][:300]
            yield Checked(name, "failed", text)
            raise ModelError(
                "bioimageio.core can't reproduce the test image with "
                f"{weights_format}: {text.rstrip('.')}. "
                f"{_cure(package, weights_format, own)}"
            )
        yield Checked(name, "passed", "Reproduces the test image, and other sizes.")


def engine_events(
    package: ModelPackage, own: Collection[str], trusted: Collection[str]
) -> Generator[Event]:
    """Predict the test image with our own engine, whole and in tiles.

    Yields
    ------
    Event
        `Checked` for each format.

    Raises
    ------
    ModelError
        If a format that runs gives another result.
    """
    name = "Tiles give what the whole image gives"
    yield Checked(name, "running")
    verdict, texts = "passed", []
    for event in reproduction_events(package, trusted=trusted):
        if not isinstance(event, FormatTested):
            continue
        texts.append(event.sentence)
        if event.problem:
            verdict = "warning" if verdict == "passed" else verdict
        elif not all(comparison.passed for comparison in event.whole):
            yield Checked(name, "failed", event.sentence)
            raise ModelError(
                f"The test image isn't reproduced: {event.sentence} "
                f"{_cure(package, event.weights_format, own)}"
            )
        elif not event.passed and verdict == "passed":
            # True of networks that look at the whole image; they are blended.
            verdict = "warning"
    yield Checked(name, verdict, " ".join(texts))  # type: ignore[arg-type]


def _cure(package: ModelPackage, weights_format: str, own: Collection[str]) -> str:
    """Say what to do about weights that fail."""
    if {weights_format} in (set(own), set(package.weights)):
        return "No other format would do better: export another version of the model."
    return (
        f"Leave this format out: --leave_out {weights_format}, or its box on the "
        "Export page."
    )


def _build(
    described: Mapping[str, Any], folder: Path, *, read_files: bool
) -> ModelDescr:
    from bioimageio.spec import ValidationContext, build_description
    from bioimageio.spec.model.v0_5 import ModelDescr

    context = ValidationContext(
        root=folder.absolute(),
        file_name="rdf.yaml",
        perform_io_checks=read_files,
        log_warnings=False,
    )
    with _quiet():
        built = build_description(copy.deepcopy(dict(described)), context=context)
    if isinstance(built, ModelDescr):
        return built
    for detail in built.validation_summary.details:
        for error in detail.errors:
            field = ".".join(str(part) for part in error.loc)
            raise ModelError(
                f"The specification rejects {field or 'the description'}: "
                f"{' '.join(error.msg.split())[:300]}. Correct this field."
            )
    raise ModelError("The specification rejects the description.")


def _without_addresses(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with nothing that the specification would look up."""
    content = copy.deepcopy(dict(described))
    for field in ("git_repo", "training_data", "maintainers", "links", "badges"):
        content.pop(field, None)
    for author in [*content.get("authors", ()), *content.get("packaged_by", ())]:
        author.pop("github_user", None)
    for weights in content["weights"].values():
        weights.pop("authors", None)
    for entry in content.get("cite", ()):
        if entry.pop("url", None):
            entry.setdefault("doi", "10.5281/zenodo.0")
    for field in ("uploader", "icon"):
        content.pop(field, None)
    covers = content.get("covers", ())
    content["covers"] = [c for c in covers if "://" not in str(c["source"])]
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the libraries log away from the user's console."""
    import warnings

    from loguru import logger

    names = ("bioimageio", "pydantic")
    for name in names:
        logger.disable(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio")
