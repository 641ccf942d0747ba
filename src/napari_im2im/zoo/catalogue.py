"""All models there are, of the zoo and of this computer, in one list."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from sysconfig import get_path
from typing import TYPE_CHECKING

import yaml

from napari_im2im import folders
from napari_im2im.errors import ModelError, NetworkError
from napari_im2im.events import Event, Message
from napari_im2im.images.atomic import write_atomically
from napari_im2im.models.description import find_description
from napari_im2im.models.library import list_models
from napari_im2im.zoo.compatibility import Compatibility, check_runs
from napari_im2im.zoo.index import (
    IndexRead,
    ZooIndex,
    ZooModel,
    parse_description_text,
    read_index,
    refresh_events,
)
from napari_im2im.zoo.installed import list_installed
from napari_im2im.zoo.settings import ZooSettings
from napari_im2im.zoo.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from napari_im2im.models.package import ModelPackage


@dataclass(frozen=True)
class Entry:
    """A model of the list.

    ``model`` is None for one that the zoo doesn't have, ``folder`` for one that
    isn't on this computer; ``origin`` is ``"zoo"``, or the kind of the local
    models (``"bundled"``, ``"run"``, ``"imported"``).
    """

    key: str
    summary: Summary = field(repr=False)
    model: ZooModel | None = None
    folder: Path | None = None
    origin: str = "zoo"
    size: int | None = None
    compatibility: Compatibility | None = None

    @property
    def title(self) -> str:
        """What to call it."""
        return self.summary.name or self.key


@dataclass(frozen=True)
class LocalModels(Event):
    """The models of this computer that the zoo's list doesn't have."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class RunsHere(Event):
    """Whether the model of that key runs here was found out."""

    key: str
    compatibility: Compatibility


def catalogue_events(settings: ZooSettings | None = None) -> Generator[Event]:
    """Read the whole list: this computer, the cache, the web, what runs here.

    Yields
    ------
    Event
        `LocalModels`; `IndexRead` from the cache, if there is one, and from the
        web; `RunsHere` for each model; a warning `Message` where the zoo can't be
        reached and nothing is cached.
    """
    settings = settings or ZooSettings()
    yield LocalModels(local_entries())
    index = None
    try:
        index = read_index(settings)
        yield IndexRead(index)
    except NetworkError:
        # The first start: there is nothing in the cache.
        yield Message("Reading the list of the zoo …")
    try:
        for event in refresh_events(settings):
            if isinstance(event, IndexRead):
                index = event.index
            yield event
    except NetworkError as error:
        yield Message(f"The zoo's list can't be had. {error}", "warning")
    if index is not None:
        yield from compatibility_events(index.models)


def local_entries() -> tuple[Entry, ...]:
    """Return the models of this computer, downloaded ones of the zoo left out."""
    downloaded = {installed.folder for installed in list_installed()}
    entries = []
    for local in list_models():
        if local.path in downloaded:
            continue
        try:
            raw = parse_description_text(find_description(local.path).read_bytes())
        except (OSError, ModelError, ValueError):
            # Listed by its name; opening it says what is wrong.
            raw = {}
        summary = replace(summarize(raw), name=local.name)
        entries.append(Entry(str(local.path), summary, None, local.path, local.kind))
    return tuple(entries)


def zoo_entries(index: ZooIndex) -> list[Entry]:
    """Return the models of the zoo, with where they are on this computer."""
    installed = {local.id: local for local in reversed(list_installed())}
    known = {model.id for model in index.models}
    entries = [
        Entry(
            model.id,
            model.summary,
            model,
            local.folder if (local := installed.get(model.id)) else None,
            size=local.size if local else None,
        )
        for model in index.models
    ]
    for local in installed.values():
        if local.id not in known:
            raw = parse_description_text((local.folder / "rdf.yaml").read_bytes())
            entries.append(
                Entry(
                    local.id,
                    summarize(raw),
                    None,
                    local.folder,
                    "imported",
                    local.size,
                )
            )
    return entries


def describe_entry(
    entry: Entry, scores: Mapping[str, float] | None = None
) -> list[tuple[str, str]]:
    """Return what there is to say of a model, with a word for each.

    Parameters
    ----------
    entry
        The model.
    scores
        Best score of each program in the zoo's own tests.
    """
    summary = entry.summary
    passed = [tool for tool, score in (scores or {}).items() if score == 1.0]
    every = [
        ("Reads", summary.reads),
        ("Writes", summary.writes),
        ("Weights", ", ".join(summary.weights_formats)),
        ("Licence", summary.licence),
        ("Authors", ", ".join(summary.authors)),
        ("Cite", "; ".join(summary.citations)),
        ("Passed the zoo's tests in", ", ".join(passed)),
        ("Name in the zoo", entry.model.id if entry.model else ""),
        ("On this computer", str(entry.folder or "")),
    ]
    return [(name, text) for name, text in every if text]


def describe_model(model: ZooModel) -> ModelPackage:
    """Return the description of a model of the list, whose files aren't here.

    Raises
    ------
    ModelError
        If it hasn't been read yet, or isn't valid.
    """
    from napari_im2im.models.package import parse_description

    if not model.description:
        raise ModelError(f"The description of {model.id} hasn't been read yet.")
    folder = folders.cache_folder() / "zoo" / "descriptions" / model.sha256[:32]
    path = folder / "rdf.yaml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(dict(model.description), sort_keys=False)
        write_atomically(path, text.encode())
    return parse_description(path)


def compatibility_events(models: Iterable[ZooModel]) -> Generator[RunsHere]:
    """Find out which models run here; the answers are kept.

    Yields
    ------
    RunsHere
        For each model whose description was read.
    """
    path = folders.cache_folder() / "zoo" / "compatibility.json"
    here = _software()
    kept = _read_kept(path, here)
    new = False
    try:
        for model in models:
            if not model.description:
                continue
            key = model.sha256 or model.source
            if key not in kept:
                kept[key], new = _compatibility(model), True
            yield RunsHere(model.id, kept[key])
    finally:
        if new:
            answers = {key: asdict(answer) for key, answer in kept.items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps({"software": here, "answers": answers})
            write_atomically(path, content.encode())


def _compatibility(model: ZooModel) -> Compatibility:
    try:
        return check_runs(describe_model(model))
    except ModelError as error:
        return Compatibility(reason=f"Its description can't be used: {error}")


def _software() -> str:
    """Return what an answer depends on: another installation is asked again."""
    # The folder changes whenever a library is installed or removed.
    changed = Path(get_path("purelib")).stat().st_mtime_ns
    return f"{version('napari-im2im')} {version('bioimageio.spec')} {changed}"


def _read_kept(path: Path, here: str) -> dict[str, Compatibility]:
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["software"] != here:
            return {}
        return {
            key: Compatibility(**{**answer, "formats": tuple(answer["formats"])})
            for key, answer in content["answers"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Nothing is lost: the answers are found out again.
        return {}
