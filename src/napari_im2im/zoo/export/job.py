"""The export, a generator of events."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.events import Event, Message
from napari_im2im.images.atomic import refuse_existing, replaced_when_done
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.conversion import FILES, convert_weights
from napari_im2im.models.describing import DESCRIPTION_NAME
from napari_im2im.models.package import load_package
from napari_im2im.zoo.export.checks import (
    completeness,
    core_events,
    engine_events,
    format_events,
)
from napari_im2im.zoo.export.drafts import open_model, remember
from napari_im2im.zoo.export.events import Checked, ExportFinished
from napari_im2im.zoo.export.staging import (
    add_samples,
    add_source,
    add_weights,
    apply_metadata,
    check_is_publishable,
    copy_files,
    forget_parents,
    limit_batch,
    write_description,
)
from napari_im2im.zoo.metadata import advice

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from typing import Any

    from napari_im2im.models.conversion import Converted
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.zoo.export.config import ExportConfig
    from napari_im2im.zoo.metadata import Metadata

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say: the same export makes the same bytes."""


def export_events(
    config: ExportConfig, *, trusted: Collection[str] = ()
) -> Generator[Event]:
    """Make a package for publication; closing the generator leaves nothing behind.

    Parameters
    ----------
    config
        Which model, with which metadata, to which zip.
    trusted
        sha256 of the model's code that may run.

    Yields
    ------
    Event
        `Checked` as each check begins and ends, `Message` with advice,
        `ExportFinished` last.

    Raises
    ------
    ConfigError
        If the zip has another suffix, or weights that the model doesn't have are to
        be left out.
    ImageError
        If it exists or can't be written.
    ModelError
        If the model can't be read, or a check failed; no zip is written then.
    TrustError
        If converting needs code that isn't trusted.
    """
    if config.output.suffix.lower() != ".zip":
        raise ConfigError(f"{config.output} is no zip: name it {config.output}.zip.")
    refuse_existing(config.output, overwrite=config.overwrite)
    package = open_model(config.model)
    check_is_publishable(package)
    _check_left_out(config, package)
    for text in advice(config.metadata).values():
        yield Message(text)
    with tempfile.TemporaryDirectory(prefix="napari-im2im-export-") as temporary:
        folder = Path(temporary) / "package"
        folder.mkdir()
        described = copy_files(package, folder, config.leave_out)
        apply_metadata(described, config.metadata, package, folder)
        add_samples(described, package, folder)
        limit_batch(described, folder)
        yield from _weights_events(config, package, described, folder, trusted)
        if not described["weights"]:
            raise ModelError(
                f"Without {', '.join(config.leave_out)} there are no weights: leave "
                "fewer out."
            )
        forget_parents(described, package)
        if "pytorch_state_dict" in described["weights"] and (
            config.architecture == "source"
            or (config.architecture == "auto" and _is_ours(package))
        ):
            yield from _source_events(package, described, folder)
        built = yield from format_events(described, folder)
        write_description(described, folder)
        staged = load_package(folder)
        yield from core_events(built, staged, package.weights, trusted)
        yield from engine_events(staged, package.weights, trusted)
        share = completeness(described, folder)
        yield Checked("Metadata", "passed", f"{share:.0%} of all fields are filled in.")
        yield from _people_events(config.metadata)
        archive = Path(temporary) / "package.zip"
        write_zip(folder, archive)
        yield from _reload_events(archive, staged)
        with replaced_when_done(config.output, overwrite=config.overwrite) as target:
            shutil.copyfile(archive, target)
    remember(config.metadata)
    yield ExportFinished(
        config.output, tuple(staged.weights), share, sha256_of(config.output)
    )


def _check_left_out(config: ExportConfig, package: ModelPackage) -> None:
    known = {*package.weights, *FILES}
    strange = [name for name in config.leave_out if name not in known]
    if strange:
        raise ConfigError(
            f"{package.name} has no weights {strange[0]} to leave out: it has "
            f"{', '.join(package.weights)}."
        )


def write_zip(folder: Path, archive: Path) -> None:
    """Pack a folder, so that equal content makes equal bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths.sort(key=lambda path: path.name != DESCRIPTION_NAME)
    with zipfile.ZipFile(archive, "w") as file:
        for path in paths:
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with path.open("rb") as source, file.open(member, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _weights_events(
    config: ExportConfig,
    package: ModelPackage,
    described: dict[str, Any],
    folder: Path,
    trusted: Collection[str],
) -> Generator[Event]:
    """Convert to the formats that are asked for and not there yet."""
    there = {*package.weights, *config.leave_out}
    missing = [name for name in config.formats if name not in there]
    if not missing:
        return
    names: dict[str, str] = {name: f"Weights as {name}" for name in missing}
    for name in names.values():
        yield Checked(name, "running")
    try:
        converted = convert_weights(package, missing, folder, trusted=trusted)
    except ModelError as error:
        # The package is as good without them as it was before.
        for name in names.values():
            yield Checked(name, "warning", str(error))
        return
    add_weights(described, converted, folder)
    for entry in converted:
        yield Checked(names[entry.format], *_outcome(entry))


def _people_events(metadata: Metadata) -> Generator[Event]:
    """Warn of what an export that works offline can't verify."""
    people = [*metadata.authors, *metadata.maintainers]
    names = dict.fromkeys(one.github_user for one in people if one.github_user)
    if names:
        text = f"Not looked up: see that {', '.join(names)} can be found on GitHub."
        yield Checked("GitHub names", "warning", text)


def _is_ours(package: ModelPackage) -> bool:
    """Return whether training wrote it, with a network of a library."""
    entry = package.weights.get("pytorch_state_dict")
    architecture = entry.architecture if entry is not None else None
    return bool(package.config) and (
        architecture is not None and architecture.source is None
    )


def _source_events(
    package: ModelPackage, described: dict[str, Any], folder: Path
) -> Generator[Event]:
    name = "Network as a source file"
    yield Checked(name, "running")
    try:
        file = add_source(described, package, folder)
    except ModelError as error:
        yield Checked(
            name,
            "warning",
            f"Left out: {error} Programs without MONAI run the other weights.",
        )
        return
    yield Checked(name, "passed", f"{file} builds it with PyTorch alone.")


def _outcome(entry: Converted) -> tuple[Any, str]:
    if entry.source is None:
        return "warning", f"Left out: {entry.reason}."
    sizes = f"{entry.sizes} sizes" if entry.sizes > 1 else "its one size"
    return "passed", (
        f"{entry.comment} Differs by {entry.difference:.1g} standard deviations at "
        f"most, compared at {sizes}."
    )


def _reload_events(archive: Path, staged: ModelPackage) -> Generator[Event]:
    name = "Package opens again"
    yield Checked(name, "running")
    reopened = load_package(archive)
    if reopened.sha256 != staged.sha256 or set(reopened.weights) != set(staged.weights):
        raise ModelError("The zip differs from what was checked: export again.")
    size = archive.stat().st_size / 1e6
    yield Checked(
        name, "passed", f"{size:.1f} MB, weights: {', '.join(reopened.weights)}."
    )
