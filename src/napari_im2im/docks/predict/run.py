"""One prediction as the dock shows it: layers, progress and what was learned."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from napari_im2im.docks.advice import describe_duration
from napari_im2im.events import (
    Event,
    Message,
    PredictionFinished,
    PredictionStarted,
    Progress,
    TileDone,
)

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLabel

    from napari_im2im.docks.job_row import JobRow
    from napari_im2im.docks.options import Options
    from napari_im2im.docks.predict.results import ResultLayers
    from napari_im2im.inference.config import PredictConfig

_WORTH_SAYING = 60
"""Seconds from which a dock says that there is no GPU."""

_SURE_AFTER = 5
"""Seconds of predicting after which it is said how long it takes."""

_TELLING = 2**19
"""Pixels from which the pace is kept: smaller images take as long as the loading."""


class PredictionRun:
    """Shows the events of a prediction.

    Parameters
    ----------
    config
        The job.
    results
        Its layers.
    job_row
        Where progress and notes stand.
    options
        Where what was automatic is shown.

    Attributes
    ----------
    pace
        Seconds a pixel of the result, once it is complete; None if it was small.
    """

    def __init__(
        self,
        config: PredictConfig,
        results: ResultLayers,
        job_row: JobRow,
        options: Options,
    ) -> None:
        self.config = config
        self.results = results
        self.pace: float | None = None
        self._slow: QLabel | None = None
        self._row = job_row
        self._options = options
        self._begun = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._device = ""

    def hear(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, PredictionStarted):
            self._start(event)
        elif isinstance(event, TileDone):
            self._count(event)
        elif isinstance(event, Progress):
            self._row.show_progress(
                event.done, event.total, event.activity, event.seconds_left
            )
        elif isinstance(event, Message):
            if event.level == "info":
                self._row.show_status(event.text)
            else:
                self._row.add_note(event.text)
        elif isinstance(event, PredictionFinished):
            provenance = {"config": self.config.model_dump(mode="json")}
            self.results.finish(event.outputs, provenance | dict(event.metadata))
            pixels = _pixels(event.outputs[0].sizes)
            self.pace = event.seconds / pixels if pixels >= _TELLING else None

    def end(self, end: str) -> None:
        """Show how it ended, in the words of `Job.ended`."""
        took = describe_duration(time.monotonic() - self._begun)
        if self._slow is not None:
            self._slow.setText("No GPU found: it ran on the CPU.")
        if end == "finished":
            self._row.show_status(f"Done in {took}.")
            return
        self.results.stop()
        kept = self.results.layers[:1]
        text = f"{'Ended' if end == 'failed' else 'Stopped'} after {took}."
        if kept:
            text += f" What was done is kept as {kept[0].name}."
        self._row.show_status(text)

    def _start(self, event: PredictionStarted) -> None:
        self.results.start(event.outputs, resumed=event.done > 0)
        tile = " × ".join(str(size) for size in event.tile_shape.values())
        halo = " × ".join(str(size) for size in event.halo.values())
        self._options.set_hint("tile", f"{tile} (chosen for this model)")
        self._options.set_hint("halo", f"{halo} (measured for this model)")
        self._device = event.device
        plural = "s" if event.tiles != 1 else ""
        self._row.show_progress(
            event.done,
            event.tiles,
            f"{event.tiles} tile{plural} with {event.engine} on {event.device}",
        )

    def _count(self, event: TileDone) -> None:
        now = time.monotonic()
        # The first tile takes longest; the pace is that of the others.
        since, before = self._first = self._first or (now, event.index)
        elapsed, tiles = now - since, event.index - before
        left = elapsed / tiles * (event.total - event.index) if tiles else None
        self._row.show_progress(
            event.index, event.total, f"tile {event.index} of {event.total}", left
        )
        sure = elapsed > _SURE_AFTER and self._slow is None and self._device == "cpu"
        if sure and left is not None and left > _WORTH_SAYING:
            self._slow = self._row.add_note("No GPU found: it runs on the CPU.")
        self.results.tile_done(event.region)


def _pixels(sizes: dict[str, int]) -> int:
    return math.prod(size for axis, size in sizes.items() if axis != "channel")
