"""``napari-im2im export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from napari_im2im.cli.json_lines import JsonOption
from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.events import Event, Message, Progress

if TYPE_CHECKING:
    from collections.abc import Generator


class Export(JsonOption):
    """Check a model and write it as a package for the BioImage Model Zoo.

    Metadata come from the model, from --parent and from --metadata, the later
    before the earlier; authors and licence of the last export fill the gaps.
    """

    model: CliPositionalArg[str] = Field(
        description="Run folder, package, or the name of a model on this computer."
    )
    output: CliPositionalArg[Path] = Field(description="The zip to write.")
    metadata: Path | None = Field(
        None, description="YAML file with name, authors, license, cite, tags, …"
    )
    parent: str | None = Field(
        None, description="Model to take all metadata over from: a path or a name."
    )
    formats: list[str] = Field(
        default_factory=lambda: ["torchscript", "onnx"],
        description="Weights formats to add.",
    )
    leave_out: list[str] = Field(
        default_factory=list,
        description="Weights formats of the model that stay out of the zip.",
    )
    architecture: Literal["auto", "source", "library"] = Field(
        "auto",
        description="source: a file in the package builds the network with PyTorch "
        "alone, as BiaPy and ilastik need; library: MONAI does; auto: the file where "
        "there is one.",
    )
    overwrite: bool = Field(False, description="Replace the zip if it exists.")
    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of the model that may run.",
    )

    def run(self) -> None:
        """Export, print a line for each check, and name the zip on stdout."""
        from pydantic import ValidationError

        from napari_im2im.cli.console import follow, results
        from napari_im2im.zoo.export import (
            ExportConfig,
            ExportFinished,
            export_events,
        )
        from napari_im2im.zoo.metadata import Metadata, field_errors

        path = self._path(self.model)
        draft = self._draft(path)
        errors = field_errors(draft)
        if errors:
            listed = " ".join(f"{field}: {text}" for field, text in errors.items())
            where = self.metadata or "a file that --metadata names"
            raise ConfigError(f"Complete the metadata in {where}. {listed}")
        try:
            config = ExportConfig(
                model=path,
                output=self.output,
                metadata=Metadata.model_validate(draft),
                formats=self.formats,
                leave_out=self.leave_out,
                architecture=self.architecture,
                overwrite=self.overwrite,
            )
        except ValidationError as error:
            raise ConfigError(
                f"--formats {' '.join(self.formats)} can't be used: choose from "
                "torchscript and onnx."
            ) from error
        job = export_events(config, trusted=self.trust)
        if not self.json_lines:
            job = _in_words(job)
        last = follow(job, "Exporting", json_lines=self.json_lines)
        if not isinstance(last, ExportFinished):
            raise ModelError(f"The export of {path} ended unfinished.")
        if not self.json_lines:
            results.print(str(last.path))

    def _draft(self, path: Path) -> dict[str, Any]:
        from napari_im2im.zoo.export.drafts import (
            open_model,
            read_metadata,
            suggest_metadata,
            take_over,
        )

        package = open_model(path)
        if self.parent is None:
            draft = suggest_metadata(package)
        else:
            draft = take_over(package, open_model(self._path(self.parent)))
        return draft if self.metadata is None else draft | read_metadata(self.metadata)

    @staticmethod
    def _path(model: str) -> Path:
        from napari_im2im.api.models import find_model

        return find_model(model)


def _in_words(events: Generator[Event]) -> Generator[Event]:
    """Tell of each check when it begins and when it ends."""
    from napari_im2im.zoo.export import Checked

    try:
        for event in events:
            if not isinstance(event, Checked):
                yield event
            elif event.verdict == "running":
                yield Progress(0, 0, event.name)
            else:
                level = "info" if event.verdict == "passed" else "warning"
                text = f"{event.name}: {event.verdict}. {event.text}".strip()
                yield Message(text, level=level)
    finally:
        events.close()
