"""The README of a package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.zoo.metadata import Metadata

_HEADING = re.compile(r"^(#+)[^\n]*[vV]alidation[^\n]*$", re.MULTILINE)


def write_documentation(
    metadata: Metadata, current: str, config: Mapping[str, Any], cover: str | None
) -> str:
    """Return the documentation to publish, as Markdown.

    Parameters
    ----------
    metadata
        What the user wrote.
    current
        The documentation in the package, whose section on validation training
        wrote.
    config
        ``config.napari_im2im`` of the package, empty for models of others.
    cover
        File name of a picture of the test image.

    Returns
    -------
    str
        A text with a section on validation.
    """
    text = metadata.documentation or current
    if not text:
        text = f"# {metadata.name}\n\n{metadata.description}\n"
    if not config:
        # What others measured stays as they wrote it.
        return text if _HEADING.search(text) else f"{text.rstrip()}\n\n{_NOTHING}"
    measured = validation_section(current) or _NOTHING
    parts = [without_validation(text).rstrip(), measured.rstrip()]
    data = _data_sentence(config)
    if data and data not in measured:
        parts.append(data)
    if cover is not None:
        picture = f"![input and prediction]({cover})"
        caption = (
            f"{picture}\n\nLeft the input, right the prediction, of an image that "
            "training didn't learn from."
        )
        if picture not in measured:
            parts.append(caption)
    return "\n\n".join(parts) + "\n"


_NOTHING = (
    "## Validation\n\nThis model was not validated on held-out images. Compare its "
    "prediction with the target on images of your own before you rely on it.\n"
)


def validation_section(text: str) -> str:
    """Return the section on validation, heading included, or an empty text."""
    found = _section(text)
    return "" if found is None else text[found[0] : found[1]]


def without_validation(text: str) -> str:
    """Return a text without its section on validation."""
    found = _section(text)
    return text if found is None else text[: found[0]] + text[found[1] :]


def _section(text: str) -> tuple[int, int] | None:
    heading = _HEADING.search(text)
    if heading is None:
        return None
    level = len(heading.group(1))
    following = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(
        text, heading.end()
    )
    return heading.start(), following.start() if following else len(text)


def _data_sentence(config: Mapping[str, Any]) -> str:
    data = (config.get("training") or {}).get("data") or {}
    inputs, targets = data.get("inputs") or [], data.get("targets") or []
    if not inputs:
        return ""
    return f"Data: {_names(inputs)} as inputs, {_names(targets)} as targets."


def _names(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
