"""A bar in notebooks and terminals, for jobs that are called from Python."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from napari_im2im.events import (
    MetricsLogged,
    PredictionStarted,
    Progress,
    TileDone,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_im2im.events import Event


def in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def with_bar(events: Generator[Event], activity: str) -> Generator[Event]:
    """Yield the events of a job, and show how far it is.

    Parameters
    ----------
    events
        The job. It is closed when this generator is.
    activity
        What to call it beside the bar.
    """
    from tqdm.auto import tqdm

    with tqdm(desc=activity, dynamic_ncols=True, leave=True) as bar:
        try:
            for event in events:
                _show(bar, event)
                yield event
        finally:
            events.close()


def _show(bar: Any, event: Event) -> None:
    match event:
        case Progress(total=total) if total:
            bar.total = total
            bar.update(event.done - bar.n)
        case PredictionStarted():
            bar.reset(total=event.tiles)
            bar.update(event.done)
        case TileDone():
            bar.total = event.total
            bar.update(event.index - bar.n)
        case MetricsLogged():
            shown = ("train_loss", "validation_loss", "pcc")
            values = {k: f"{v:.4g}" for k, v in event.values.items() if k in shown}
            bar.set_postfix(values)
