"""A running job on the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
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
    Message,
    NewBest,
    PredictionStarted,
    Progress,
    TileDone,
    TrainingStarted,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_im2im.events import Event

status = Console(stderr=True, highlight=False)
"""Where sentences about a job go."""

results = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Where results go that another program may read."""


def follow(
    events: Generator[Event], activity: str, *, json_lines: bool = False
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

    Returns
    -------
    Event
        The last event of the job.
    """
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(table_column=Column(ratio=1)),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=status,
        disable=json_lines,
    )
    last: Event | None = None
    try:
        with bar:
            task = bar.add_task(activity, total=None, left="")
            for last in events:
                sentence = "" if json_lines else describe(last)
                if json_lines:
                    results.print(json_line(last))
                if sentence:
                    status.print(sentence, soft_wrap=True)
                if isinstance(last, Progress):
                    bar.update(
                        task,
                        completed=last.done,
                        total=last.total or None,
                        description=last.activity or activity,
                        left=duration(last.seconds_left, " left"),
                    )
                elif isinstance(last, PredictionStarted):
                    bar.update(
                        task,
                        completed=last.done,
                        total=last.tiles,
                        description=activity,
                        left="",
                    )
                elif isinstance(last, TileDone):
                    bar.update(task, advance=1, total=last.total)
    finally:
        events.close()
    if last is None:
        raise RuntimeError(f"The job {activity!r} ended without an event.")
    return last


def describe(event: Event) -> str:
    """Return the line that an event is worth, or nothing."""
    match event:
        case Message(text=text, level="warning"):
            return f"[yellow]Warning:[/yellow] {text}"
        case Message(text=text):
            return text
        case TrainingStarted():
            return (
                f"Training {event.parameters:,} parameters on {event.device}. "
                f"Images to learn from: {event.training_images}. {event.validation}\n"
                f"Run folder: {event.run_folder}"
            )
        case NewBest():
            return f"Step {event.step}: best so far, {event.metric} {event.value:.4g}"
        case PredictionStarted():
            tile = " x ".join(str(size) for size in event.tile_shape.values())
            return (
                f"{event.tiles} tiles of {tile} with {event.engine} on {event.device}"
            )
    return ""


def metrics_line(metrics: Mapping[str, float]) -> str:
    """Return measurements as one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def duration(seconds: float | None, suffix: str = "") -> str:
    """Return a time as people say it: 8 s, 3 min, 2.5 h."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s{suffix}"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min{suffix}"
    return f"{seconds / 3600:.1f} h{suffix}"
