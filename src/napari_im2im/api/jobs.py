"""What jobs in Python have in common: configuration, images, events."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from napari_im2im.api.arrays import Axes, ImageSource, listed, to_image
from napari_im2im.api.progress import in_notebook, with_bar
from napari_im2im.errors import ConfigError, DataError
from napari_im2im.events import Event

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pydantic import BaseModel

_Config = TypeVar("_Config", bound="BaseModel")

Watcher = Callable[[Event], object]
"""What is told about each event of a running job."""


def run_job(
    events: Generator[Event],
    on_event: Watcher | None,
    activity: str,
    progress: bool | None,
) -> Event | None:
    """Run a job to its end, or close it where ``on_event`` raises.

    Returns its last event; ``progress`` is whether to show a bar, None in notebooks.
    """
    if in_notebook() if progress is None else progress:
        events = with_bar(events, activity)
    last = None
    try:
        for last in events:
            if on_event is not None:
                on_event(last)
    finally:
        events.close()
    return last


def make_config(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Return a configuration; what is wrong with it becomes a sentence."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        close = difflib.get_close_matches(key, kind.model_fields, n=1)
        hint = f" Did you mean {close[0]}?" if close and close[0] != key else ""
        raise ConfigError(f"{kind.__name__}.{key}: {first['msg']}.{hint}") from error


def axis_letters(key: str, axes: Axes | None) -> dict[str, str]:
    """Return axes as the configurations have them."""
    if axes is None:
        return {}
    return {key: axes if isinstance(axes, str) else "".join(a[0] for a in axes)}


def image_pairs(
    sides: tuple[Sequence[ImageSource], Sequence[ImageSource]],
    axes: tuple[Axes | None, Axes | None],
    names: tuple[str, str],
) -> list[Any]:
    """Return pairs of images; the first of a pair may be several."""
    counts = [len(side) for side in sides]
    one, other = (name.removesuffix("s") for name in names)
    if counts[0] != counts[1]:
        raise DataError(
            f"There are {counts[0]} {names[0]} and {counts[1]} {names[1]}: each {one} "
            f"needs its {other}."
        )
    pairs = []
    for number, (first, second) in enumerate(zip(*sides, strict=True), start=1):
        images = [to_image(each, axes[0], f"{one} {number}") for each in listed(first)]
        truth = to_image(second, axes[1], f"{other} {number}")
        pairs.append((images[0] if len(images) == 1 else images, truth))
    return pairs
