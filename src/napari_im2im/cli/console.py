"""A running job on the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column

from napari_im2im.cli.json_lines import json_line
from napari_im2im.events import (
    FileDone,
    FileFailed,
    FilesFinished,
    FileStarted,
    Message,
    NewBest,
    PredictionStarted,
    Progress,
    TileDone,
    TrainingStarted,
    duration,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from rich.table import Table

    from napari_im2im.events import Event

status = Console(stderr=True, highlight=False)
"""Where sentences about a job go."""

results = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Where results go that another program may read."""

_WIDEST = 1000
"""Characters of a line that nobody reads on a terminal."""


def follow(
    events: Generator[Event],
    activity: str,
    *,
    json_lines: bool = False,
    silent: bool = False,
    go_on: str = "",
) -> Event:
    """Show a job while it runs.

    Parameters
    ----------
    events
        The job. It is closed when this function is left, whatever the reason.
    activity
        What to call the job beside its bar.
    json_lines
        Whether to print each event as JSON instead.
    silent
        Whether to show nothing at all.
    go_on
        The command that goes on with the job after Ctrl-C; ``{run}`` stands for the
        folder of a training.

    Returns
    -------
    Event
        The last event of the job.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C, with a sentence on how to go on, if there is a way.
    """
    shown = _Shown(activity, disable=json_lines or silent)
    last: Event | None = None
    run: Path | None = None
    try:
        with shown.bar:
            for last in events:
                if isinstance(last, TrainingStarted):
                    run = last.run_folder
                if silent:
                    continue
                if json_lines:
                    results.print(json_line(last))
                    continue
                sentence = describe(last)
                if sentence:
                    status.print(sentence, soft_wrap=True)
                if isinstance(last, FileDone):
                    results.print(str(last.output))
                shown.update(last)
    except KeyboardInterrupt:
        known = bool(go_on) and (run is not None or "{run}" not in go_on)
        command = go_on.replace("{run}", shlex.quote(str(run)))
        raise KeyboardInterrupt(f"To go on: {command}" if known else "") from None
    finally:
        events.close()
    if last is None:
        raise RuntimeError(f"The job {activity!r} ended without an event.")
    return last


class _Shown:
    """The bar of a job: what it does, how far it is, its rate and the time left."""

    def __init__(self, activity: str, *, disable: bool) -> None:
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(table_column=Column(ratio=1)),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=status,
            disable=disable,
        )
        self._activity = activity
        self._task = self.bar.add_task(activity, total=None, left="", rate="")

    def update(self, event: Event) -> None:
        match event:
            case Progress():
                self.bar.update(
                    self._task,
                    completed=event.done,
                    total=event.total or None,
                    description=event.activity or self._activity,
                )
                self._pace(event.seconds_left)
            case FileStarted():
                self._activity = f"{event.number}/{event.total} {event.input.name}"
                self._restart(None)
            case PredictionStarted():
                self._restart(event.tiles, event.done)
            case TileDone():
                self.bar.update(self._task, advance=1, total=event.total)
                self._pace()

    def _restart(self, total: int | None, done: int = 0) -> None:
        self.bar.reset(
            self._task,
            total=total,
            completed=done,
            description=self._activity,
            left="",
            rate="",
        )

    def _pace(self, seconds_left: float | None = None) -> None:
        task = self.bar.tasks[self._task]
        left = task.time_remaining if seconds_left is None else seconds_left
        rate = "" if task.speed is None else f"{task.speed:.3g}/s"
        shown = "" if left is None else f"{duration(left)} left"
        self.bar.update(self._task, left=shown, rate=rate)


def describe(event: Event) -> str:
    """Return the line that an event is worth, or nothing."""
    match event:
        case Message(text=text, level="warning"):
            return f"[yellow]Warning:[/yellow] {escape(text)}"
        case Message(text=text):
            return escape(text)
        case TrainingStarted():
            return (
                f"Training {event.parameters:,} parameters on {event.device}. "
                f"Images to learn from: {event.training_images}. {event.validation}\n"
                f"Run folder: {event.run_folder}"
            )
        case FileDone(skipped=True):
            return f"{escape(event.output.name)} is complete already."
        case FileFailed():
            return failure_line(str(event.input), event.reason)
        case FilesFinished() if event.done + event.skipped + len(event.failed) > 1:
            skipped = f", {event.skipped} complete already" if event.skipped else ""
            failed = f", {len(event.failed)} failed" if event.failed else ""
            images = "1 image" if event.done == 1 else f"{event.done} images"
            return f"{images} predicted{skipped}{failed}."
        case NewBest():
            return f"Step {event.step}: best so far, {event.metric} {event.value:.4g}"
        case PredictionStarted():
            tile = " x ".join(str(size) for size in event.tile_shape.values())
            tiles = f"{event.tiles} tile{'s' if event.tiles != 1 else ''} of {tile}"
            return f"{tiles} with {event.engine} on {event.device}"
    return ""


def failure_line(name: str, reason: str) -> str:
    """Return which image failed, and why, as a line."""
    return f"[red]{escape(name)}:[/red] {escape(reason)}"


def metrics_line(metrics: Mapping[str, float]) -> str:
    """Return measurements as one line, without those that couldn't be made."""
    return ", ".join(
        f"{name} {value:.4g}"
        for name, value in metrics.items()
        if not math.isnan(value)
    )


def print_table(table: Table) -> None:
    """Print a table, cut to a terminal but whole for another program."""
    if not results.is_terminal:
        results.width = _WIDEST
    results.print(table)
