"""The options of a command, as the fields of its model name them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kind = Literal["value", "flag", "list", "mapping", "group"]


@dataclass(frozen=True)
class Option:
    """One key of a job, e.g. ``network.kwargs``.

    ``kind`` is ``flag`` for a yes or no, ``list`` for several values,
    ``mapping`` where any key may follow the name (``network.kwargs.features``),
    and ``group`` for a model of its own (``network``).
    """

    name: str
    kind: Kind
    default: Any


def options_of(model: type[BaseModel], prefix: str = "") -> dict[str, Option]:
    """Return all options of a model by their dotted names."""
    options = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        kinds = list(_members(field.annotation))
        group = next((kind for kind in kinds if _is_model(kind)), None)
        default = field.get_default(call_default_factory=True, validated_data={})
        options[key] = Option(key, "group" if group else _kind(kinds), default)
        if group is not None:
            options |= options_of(group, f"{key}.")
    return options


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None.

    A name without its group (``learning_rat`` for ``optimizer.learning_rate``) is
    compared with the last parts too, and with their initials (``lr``).
    """
    names = list(known)
    initials = {_initials(known_name): known_name for known_name in names}
    if name.strip("-") in initials:
        return initials[name.strip("-")]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return close[0]
    by_last_part = {known_name.rpartition(".")[2]: known_name for known_name in names}
    last_part = name.rpartition(".")[2]
    close = difflib.get_close_matches(last_part, by_last_part, n=1, cutoff=0.6)
    return by_last_part[close[0]] if close else None


def _initials(name: str) -> str:
    """Return the first letters of a name of several words, e.g. ``lr``."""
    words = name.rpartition(".")[2].split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else name


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the plain types of an annotation, unions and metadata unpacked."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif hasattr(annotation, "__metadata__"):
        yield from _members(get_args(annotation)[0])
    elif annotation is not type(None):
        yield annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(kinds: list[Any]) -> Kind:
    origins = [get_origin(kind) or kind for kind in kinds]
    classes = [origin for origin in origins if isinstance(origin, type)]
    if any(issubclass(c, Mapping) for c in classes):
        return "mapping"
    if any(issubclass(c, Sequence) and not issubclass(c, str) for c in classes):
        return "list"
    return "flag" if kinds == [bool] else "value"
