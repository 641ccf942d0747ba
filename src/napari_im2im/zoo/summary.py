"""What a list shows of a model, from its description as it was written.

Reads both versions of the format and anything malformed without complaint: a
list stays a list when one of its models is odd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    Size,
    SteppedSize,
    TensorSpec,
    UnknownSize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TASKS = ("segment", "restore", "predict an image", "detect", "classify", "other")
"""What models are for, in the order in which their words are looked for."""

_TASK_WORDS = {
    "predict an image": "image-to-image|pix2pix|virtual staining|label-free|in silico",
    "restore": "denoising|restoration|noise2void|n2v|super-?resolution|deconvolution"
    "|splitting|decomposition|unmixing|reconstruction",
    "segment": "segment|boundar|membrane detection|stardist|cellpose|u-?net2?d? nucle",
    "detect": "detection|spots?|tracking",
    "classify": "classif",
}

_LETTERS = {"b": "batch", "t": "time", "c": "channel", "i": "index"}


@dataclass(frozen=True)
class Summary:
    """The part of a description that a list and its filters need.

    ``dimensions`` holds ``"2D"`` or ``"3D"``; ``aliases`` are other names of the
    model (its former id, DOIs); ``covers`` and ``documentation`` are file
    references as the description gives them. ``inputs`` have axes, sizes and pixel
    sizes, but no steps: enough to tell whether an image fits.
    """

    name: str = ""
    text: str = ""
    authors: tuple[str, ...] = ()
    licence: str = ""
    tags: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    documentation: str = ""
    dimensions: frozenset[str] = frozenset()
    task: str = "other"
    weights_formats: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    reads: str = ""
    writes: str = ""
    inputs: tuple[TensorSpec, ...] = ()

    def has_words(self, words: str, *names: str) -> bool:
        """Return whether all words stand in the summary or in ``names``."""
        text = " ".join(
            (
                *names,
                *self.aliases,
                self.name,
                self.text,
                self.licence,
                *self.tags,
                *self.authors,
                *self.weights_formats,
            )
        ).casefold()
        return all(word in text for word in words.casefold().split())


def summarize(raw: Mapping[str, Any]) -> Summary:
    """Return the summary of a description's content.

    Parameters
    ----------
    raw
        The content of an ``rdf.yaml``, of format 0.4 or 0.5.
    """
    name, text = _text(raw.get("name")), _text(raw.get("description"))
    tags = tuple(_text(tag) for tag in _items(raw.get("tags")))
    inputs, outputs = _items(raw.get("inputs")), _items(raw.get("outputs"))
    weights = raw.get("weights")
    return Summary(
        name=name,
        text=text,
        authors=tuple(
            _text(_get(author, "name")) for author in _items(raw.get("authors"))
        ),
        licence=_text(raw.get("license")),
        tags=tags,
        citations=tuple(_citation(entry) for entry in _items(raw.get("cite"))),
        covers=tuple(_source(cover) for cover in _items(raw.get("covers"))),
        documentation=_source(raw.get("documentation")),
        dimensions=_dimensions(inputs),
        task=_task(" ".join((*tags, name, text)).casefold()),
        weights_formats=tuple(
            str(key)
            for key, entry in (weights.items() if isinstance(weights, dict) else ())
            if entry
        ),
        aliases=_aliases(raw),
        reads=", ".join(map(_tensor, inputs)),
        writes=", ".join(map(_tensor, outputs)),
        inputs=tuple(map(_spec, inputs)),
    )


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _source(value: object) -> str:
    return _text(_get(value, "source") if isinstance(value, dict) else value)


def _citation(entry: object) -> str:
    text = _text(_get(entry, "text"))
    link = _text(_get(entry, "doi")) or _text(_get(entry, "url"))
    if re.match(r"10\.\d+/", link):
        link = f"https://doi.org/{link}"
    return f"{text} {link}".strip()


def _axes(tensor: object) -> list[tuple[str, Any]]:
    """Return name and size (as written in format 0.5) of each axis of a tensor."""
    axes = _get(tensor, "axes")
    if isinstance(axes, str):
        shape = _get(tensor, "shape")
        sizes: list[Any] = [None] * len(axes)
        if isinstance(shape, list):
            sizes = shape
        elif isinstance(smallest := _get(shape, "min"), list):
            steps = _items(_get(shape, "step")) or [0] * len(smallest)
            sizes = [
                {"min": low, "step": step} if step else low
                for low, step in zip(smallest, steps, strict=False)
            ]
        return [
            (_LETTERS.get(letter, letter), size)
            for letter, size in zip(axes, sizes, strict=False)
        ]
    return [
        (
            _text(_get(axis, "id"))
            or ("x" if _get(axis, "type") == "space" else _text(_get(axis, "type"))),
            len(_items(_get(axis, "channel_names"))) or _get(axis, "size"),
        )
        for axis in _items(axes)
    ]


def _pixel_sizes(tensor: object) -> dict[str, tuple[float, str]]:
    """Return pixel size and unit of the axes that have both, in format 0.5."""
    written = {
        _text(_get(axis, "id")): (_get(axis, "scale") or 1.0, _text(_get(axis, "unit")))
        for axis in _items(_get(tensor, "axes"))
    }
    return {
        name: (float(size), unit)
        for name, (size, unit) in written.items()
        if unit and isinstance(size, int | float)
    }


def _spec(tensor: object) -> TensorSpec:
    axes = []
    pixel_sizes = _pixel_sizes(tensor)
    for name, size in _axes(tensor):
        known: Size = UnknownSize()
        if isinstance(size, int):
            known = FixedSize(size)
        elif isinstance(low := _get(size, "min"), int):
            known = SteppedSize(low, _get(size, "step") or 1)
        pixel_size, unit = pixel_sizes.get(name, (None, None))
        axes.append(AxisSpec(name, known, pixel_size=pixel_size, unit=unit))
    name = _text(_get(tensor, "id") or _get(tensor, "name"))
    return TensorSpec(
        name, tuple(axes), "float32", optional=_get(tensor, "optional") is True
    )


def _dimensions(inputs: list[Any]) -> frozenset[str]:
    # An input with a z axis of exactly one plane is a 2D model in 3D clothes.
    return frozenset(
        "3D" if any(name == "z" and size != 1 for name, size in _axes(tensor)) else "2D"
        for tensor in inputs
        if any(name in "zyx" for name, _ in _axes(tensor))
    )


def _tensor(tensor: object) -> str:
    parts = []
    for name, size in _axes(tensor):
        if name == "batch":
            continue
        if isinstance(size, dict) and "min" in size:
            size = f"≥ {size['min']}"
        parts.append(name if isinstance(size, dict | None) else f"{name} {size}")
    return f"{_text(_get(tensor, 'id') or _get(tensor, 'name'))} ({', '.join(parts)})"


def _task(words: str) -> str:
    return next(
        (task for task in _TASK_WORDS if re.search(_TASK_WORDS[task], words)), "other"
    )


def _aliases(raw: Mapping[str, Any]) -> tuple[str, ...]:
    config = raw.get("config")
    names = (
        raw.get("id"),
        _get(config, "_conceptdoi"),
        _get(_get(config, "bioimageio"), "nickname"),
        _get(_get(config, "bioimageio"), "doi"),
    )
    return tuple(dict.fromkeys(_text(name) for name in names if name))
