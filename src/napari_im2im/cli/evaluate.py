"""``napari-im2im evaluate``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import ConfigError, DataError
from napari_im2im.evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.table import Table

    from napari_im2im.evaluation.forecast import EvaluationForecast
    from napari_im2im.evaluation.job import EvaluationFinished
    from napari_im2im.evaluation.report import Summary


class Evaluate(JsonOption, EvaluateConfig):
    """Compare predictions, or a model, with the truth.

    PSNR, SSIM, MS-SSIM, PCC and MAE of each image and channel; for masks Dice and
    IoU of each class, for objects average precision and F1; and their means over
    groups of images.
    """

    config: Path | None = Field(
        None,
        description="YAML file with any of these keys; options override it.",
    )

    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of the model that may run.",
    )

    dry_run: bool = Field(
        False,
        description="Say what would be compared and written, and stop there.",
    )

    def run(self) -> None:
        """Evaluate, and print the means with their spread."""
        if bool(self.predictions) == bool(self.model):
            raise ConfigError(
                "Name either predictions (--predictions 'out/*.tif') or a model and "
                "what to apply it to (--model NAME --inputs 'in/*.tif')."
            )
        if not self.truth or (self.model and not self.inputs):
            missing = "--truth" if not self.truth else "--inputs"
            raise ConfigError(
                f"Name the files of {missing}, e.g. '{missing} in/*.tif'."
            )
        from napari_im2im.api.models import find_model
        from napari_im2im.cli.console import follow, print_table, results, status
        from napari_im2im.evaluation.forecast import forecast_evaluation
        from napari_im2im.evaluation.job import EvaluationFinished, evaluate_events

        own = {"config", "json_lines", "trust", "dry_run"}
        values = self.model_dump(exclude=own, exclude_unset=True)
        if self.model:
            values["model"] = str(find_model(self.model))
        job = EvaluateConfig.model_validate(values)
        if self.dry_run:
            forecast = forecast_evaluation(job, trusted=self.trust)
            results.print(
                json_line(forecast) if self.json_lines else forecast.describe()
            )
            _say_what_would_fail(forecast)
            return
        events = evaluate_events(job, trusted=self.trust)
        last = follow(events, "Evaluating", json_lines=self.json_lines)
        if not isinstance(last, EvaluationFinished):
            return
        if not self.json_lines:
            status.print(last.normalization)
            print_table(summary_table(last))
            for file in last.files:
                results.print(str(file))
        if last.failed:
            names = ", ".join(failure.image for failure in last.failed)
            total = len(last.failed) + last.summaries[0].images
            raise DataError(f"{len(last.failed)} of {total} images failed: {names}.")


def _say_what_would_fail(forecast: EvaluationForecast) -> None:
    """Name the images that can't be compared, and why.

    Raises
    ------
    DataError
        If there are any.
    """
    from napari_im2im.cli.console import failure_line, status

    for failure in forecast.failed:
        status.print(failure_line(failure.image, failure.reason), soft_wrap=True)
    if forecast.failed:
        names = ", ".join(failure.image for failure in forecast.failed)
        failed = len(forecast.failed)
        total = failed + len(forecast.comparisons)
        raise DataError(f"{failed} of {total} images would fail: {names}.")


def summary_table(finished: EvaluationFinished) -> Table:
    """Return means ± standard deviations between images, a row for each group."""
    from rich.table import Table

    metrics = _shown(finished.summaries)
    table = Table("Group", "Channel", "Images", box=None, pad_edge=False)
    for metric in metrics:
        table.add_column(_LABELS.get(metric, metric), justify="right")
    for summary in finished.summaries:
        table.add_row(
            summary.group,
            summary.channel,
            str(summary.images),
            *_cells(summary, metrics),
        )
    return table


def _shown(summaries: Sequence[Summary]) -> list[str]:
    """Return the metrics that were measured and fit; the tables on disk have all."""
    return [
        name
        for name in summaries[0].mean
        if name not in _ON_DISK_ONLY
        and not all(math.isnan(summary.mean[name]) for summary in summaries)
    ]


_ON_DISK_ONLY = {f"{name} {t}" for name in ("ap", "f1") for t in (0.6, 0.7, 0.8)}

_LABELS: Mapping[str, str] = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "pcc": "PCC",
    "mae": "MAE",
    "euclidean": "Euclidean",
    "cosine": "Cosine",
    "dice": "Dice",
    "iou": "IoU",
    "ap": "AP",
    "ap 0.5": "AP 0.5",
    "ap 0.9": "AP 0.9",
    "f1 0.5": "F1 0.5",
    "f1 0.9": "F1 0.9",
}


def _cells(summary: Summary, metrics: Sequence[str]) -> Iterator[str]:
    for metric in metrics:
        mean, std = summary.mean[metric], summary.std[metric]
        # NaN is unequal to itself.
        spread = f" ± {std:.2g}" if std == std else ""
        yield f"{mean:.4g}{spread}" if mean == mean else "–"
