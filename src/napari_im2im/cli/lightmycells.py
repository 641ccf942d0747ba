"""``napari-im2im lightmycells``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption
from napari_im2im.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from napari_im2im.models.package import ModelPackage

ORGANELLES = ("nucleus", "mitochondria", "tubulin", "actin")
_INPUTS = Path("images") / "organelles-transmitted-light-ome-tiff"


class LightMyCells(JsonOption):
    """Predict organelles in the file layout of the Light My Cells challenge.

    Reads the planes of transmitted light in
    INPUT/images/organelles-transmitted-light-ome-tiff and writes an OME-TIFF of the
    same name and size to OUTPUT/images/nucleus-fluorescence-ome-tiff, and so on for
    each organelle that a model is named for. A model is trained with
    'train --preset lightmycells-2d', one for each organelle; 'evaluate
    --normalization lightmycells' measures as the challenge does
    (https://lightmycells.grand-challenge.org).
    """

    input: Path = Field(Path("/input"), description="Folder of the challenge's input.")
    output: Path = Field(Path("/output"), description="Folder to write the results to.")
    nucleus: str | None = Field(None, description="Model of nuclei: path or name.")
    mitochondria: str | None = Field(None, description="Model of mitochondria.")
    tubulin: str | None = Field(None, description="Model of tubulin.")
    actin: str | None = Field(None, description="Model of actin.")
    resume: bool = Field(False, description="Skip results that are complete.")
    overwrite: bool = Field(False, description="Replace results that exist.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps …")
    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of models that may run it.",
    )

    def run(self) -> None:
        """Predict organelle by organelle."""
        from napari_im2im.api import load_model

        named = {each: getattr(self, each) for each in ORGANELLES}
        models = {each: load_model(name) for each, name in named.items() if name}
        if not models:
            raise ConfigError(
                "Name a model for at least one organelle, e.g. --nucleus MODEL."
            )
        files = sorted((self.input / _INPUTS).glob("*.tif*"))
        if not files:
            raise ConfigError(
                f"There are no TIFF files in {self.input / _INPUTS}: name the folder "
                "that holds images/ with --input."
            )
        failed = [
            name
            for organelle, package in models.items()
            for name in self._predict(organelle, package, files)
        ]
        if failed:
            raise ModelError(f"{len(failed)} predictions failed: {', '.join(failed)}.")

    def _predict(
        self, organelle: str, package: ModelPackage, files: list[Path]
    ) -> list[str]:
        """Predict all files; return what failed."""
        from napari_im2im.cli.console import follow
        from napari_im2im.events import FilesFinished
        from napari_im2im.inference.collection import predict_files_events
        from napari_im2im.inference.config import PredictConfig
        from napari_im2im.inference.file_tasks import PredictionTask
        from napari_im2im.models.tensors import FixedSize

        (output, *more) = package.outputs
        size = output.axis("channel").size if "channel" in output.axis_names else None
        if more or len(package.inputs) > 1 or size not in (None, FixedSize(1)):
            raise ConfigError(
                f"{package.name} doesn't make one channel of one image: the challenge "
                f"wants a model of {organelle} alone."
            )
        folder = self.output / "images" / f"{organelle}-fluorescence-ome-tiff"
        tasks = [PredictionTask((file,), folder / file.name) for file in files]
        job = PredictConfig(
            device=self.device, resume=self.resume, overwrite=self.overwrite
        )
        events = predict_files_events(job, tasks, package, trusted=self.trust)
        last = follow(
            events,
            f"Predicting {organelle}",
            json_lines=self.json_lines,
            go_on="the same command with --resume",
        )
        failed = last.failed if isinstance(last, FilesFinished) else ()
        return [f"{organelle} of {each.input.name}" for each in failed]
