"""What a training leaves for people: curves, previews, and what the network is."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import Im2ImError
from napari_im2im.events import MetricsLogged, Preview
from napari_im2im.images.panels import Panel, colored, grey, write_panels
from napari_im2im.training.data.augmentation_config import augmentation_of
from napari_im2im.training.data.variations import variations
from napari_im2im.training.runs.charts import draw_bars, draw_metrics, read_metrics
from napari_im2im.training.runs.summary import as_table, by_part, network_layers
from napari_im2im.training.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from napari_im2im.events import Event
    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.preparation import Preparation
    from napari_im2im.training.runs.folder import RunFolder
    from napari_im2im.training.runs.summary import Layer

_MOST_PARTS = 24
"""Bars in the chart of the network."""

_VARIATIONS = 5
"""Patches that show what augmentation does."""

_MOST_VALUES = 30_000
"""Values that may wait to be written for TensorBoard."""

_SHOWN = 4
"""Channels of a preview that are shown."""

_logger = logging.getLogger(__name__)


class RunRecord:
    """Writes what a training shows into its run folder.

    Curves and previews are written when they are told, at validations; charts when
    the training is over, so that no step waits for them.

    Parameters
    ----------
    run
        The folder.
    step
        Steps that the run has taken already.
    """

    def __init__(self, run: RunFolder, step: int = 0) -> None:
        self._run = run
        self._step = step
        self._curves: Any = None
        self._layers: list[Layer] = []

    def describe_network(self, network: torch.nn.Module) -> None:
        """Write ``network.txt``."""
        self._layers = network_layers(network)
        self._run.write_file("network.txt", as_table(self._layers).encode())

    def describe_augmentation(self, preparation: Preparation) -> None:
        """Draw what a patch looks like after augmentation, where it changes."""
        config = augmentation_of(preparation.config.augmentation)
        sample = preparation.split.training[0]
        shape = tuple(preparation.patch.values())
        patch = _middle(sample, shape)
        if preparation.others is not None:
            other = _middle(preparation.others.training[0], shape)
            patch = replace(patch, target=other.target)
        labels = TASKS[preparation.config.task].target == "labels"
        varied = variations(patch, config, _VARIATIONS, labels=labels)
        rows = [[Panel("input", grey(_plane(patch.input, 0)))]]
        rows.append([Panel("target", _shown(_plane(patch.target, 0), labels))])
        for number, (source, target) in enumerate(varied, start=1):
            rows[0].append(Panel(str(number), grey(_plane(source, 0))))
            rows[1].append(Panel(str(number), _shown(_plane(target, 0), labels)))
        write_panels(self._run.path / "charts" / "augmentations.png", rows)

    def take(self, event: Event) -> None:
        """Write what an event of the training brings."""
        match event:
            case MetricsLogged():
                for name, value in event.values.items():
                    self._writer().add_scalar(name, value, event.step)
            case Preview():
                name = f"step-{event.step:07}.png"
                write_panels(self._run.path / "previews" / name, preview_panels(event))

    def close(self) -> None:
        """Draw the charts; a disk that refuses is no reason to lose the training."""
        try:
            if self._curves is not None:
                self._curves.close()
            for name, chart in self._charts().items():
                file = name.replace(" ", "-").replace("/", "-")
                self._run.write_file(f"charts/{file}.png", chart)
        except (Im2ImError, OSError) as error:
            _logger.warning("Charts or curves are incomplete: %s", error)

    def _charts(self) -> dict[str, bytes]:
        if not self._run.metrics.exists():
            return {}
        charts = draw_metrics(read_metrics(self._run.metrics))
        parts = by_part(self._layers)
        if len(parts) > _MOST_PARTS:
            parts = by_part(self._layers, 1)
        if charts and 1 < len(parts) <= _MOST_PARTS:
            charts["network"] = draw_bars(parts, "Weights")
        return charts

    def _writer(self) -> Any:
        if self._curves is None:
            from tensorboardX import SummaryWriter

            folder = self._run.path / "tensorboard"
            # Where the disk is full its thread ends, and a short queue would block.
            self._curves = SummaryWriter(
                str(folder), purge_step=self._step or None, max_queue=_MOST_VALUES
            )
        return self._curves


def _middle(sample: Sample, shape: Sequence[int]) -> Sample:
    sides = zip(sample.spatial_shape, shape, strict=True)
    corners = [(size - n) // 2 for size, n in sides]
    return sample.crop(
        tuple(slice(a, a + n) for a, n in zip(corners, shape, strict=True))
    )


def preview_panels(event: Preview) -> list[list[Panel]]:
    """Return input, target and prediction side by side, a row for each channel.

    Of stacks the middle plane is shown; target and prediction with the limits of
    the target: its percentiles 1 and 99.8.
    """
    source = Panel("input", grey(_plane(event.input, 0)))
    rows = []
    for channel in range(min(len(event.prediction), _SHOWN)):
        target = _plane(event.target, min(channel, len(event.target) - 1))
        prediction = _plane(event.prediction, channel)
        if event.labels:
            shown = [colored(target), colored(prediction)]
        else:
            limits = np.percentile(target, (1, 99.8)).tolist()
            shown = [grey(target, limits), grey(prediction, limits)]
        titles = (target_title(event), f"step {event.step}")
        panels = [Panel(t, p) for t, p in zip(titles, shown, strict=True)]
        rows.append([source, *panels])
    return rows


def target_title(event: Preview) -> str:
    """Return what to call the target of a preview."""
    return "another field's target" if event.unpaired else "target"


def _shown(plane: np.ndarray, labels: bool) -> np.ndarray:
    return colored(plane) if labels else grey(plane)


def _plane(array: np.ndarray, channel: int) -> np.ndarray:
    """Return a channel of ``(c, [z,] y, x)``, of a stack its middle."""
    pixels: np.ndarray = array[channel]
    return pixels[len(pixels) // 2] if pixels.ndim == 3 else pixels


def newest_preview(run: Path) -> Path | None:
    """Return the last preview of a run folder, if it has one."""
    previews = sorted((run / "previews").glob("step-*.png"))
    return previews[-1] if previews else None
