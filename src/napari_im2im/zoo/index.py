"""The zoo's list of models: read, kept for offline days, searched."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import yaml

from napari_im2im import folders
from napari_im2im.errors import ModelError, NetworkError
from napari_im2im.events import Event, Progress
from napari_im2im.zoo.settings import ZooSettings
from napari_im2im.zoo.summary import Summary, summarize
from napari_im2im.zoo.web import MEBIBYTE, WebCache

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence
    from datetime import datetime

_CONNECTIONS = 8


@dataclass(frozen=True)
class ZooModel:
    """One model of the zoo, in its newest version.

    ``source`` is the address of its description, which hashes to ``sha256``;
    ``report`` the address of the zoo's own test report. ``description`` is the
    content of the description, empty as long as it hasn't been read.
    """

    id: str
    version: str
    source: str
    sha256: str
    report: str
    description: Mapping[str, Any] = field(default_factory=dict, repr=False)
    summary: Summary = field(default_factory=Summary, repr=False)

    @property
    def title(self) -> str:
        """Name of the model, or its nickname as long as the name isn't known."""
        return self.summary.name or self.id

    @property
    def names(self) -> frozenset[str]:
        """All that the model can be called by: nickname, former id, DOI."""
        return frozenset({self.id, *self.summary.aliases})

    def file_url(self, name: str) -> str:
        """Return the address of a file that the description refers to."""
        return sibling_url(self.source, name)


@dataclass(frozen=True)
class ZooIndex:
    """The zoo's models and the date of the list.

    ``problem`` is empty, or says why the list is not today's.
    """

    models: tuple[ZooModel, ...]
    date: datetime
    problem: str = ""

    @property
    def unread(self) -> str:
        """A sentence about models that only their nickname is known of, or empty."""
        names = [model.id for model in self.models if not model.description]
        if not names:
            return ""
        which = f"descriptions of {len(names)} models"
        if len(names) == 1:
            which = f"description of {names[0]}"
        return f"The {which} can't be read at present."

    def find(self, name: str) -> ZooModel | None:
        """Return the model of that nickname, former id or DOI."""
        name = name.strip().removeprefix("bioimage-io/")
        for model in self.models:
            if name in (model.id, f"{model.id}/{model.version}"):
                return model
        folded = name.casefold()
        return next(
            (
                model
                for model in self.models
                if any(_same_record(alias.casefold(), folded) for alias in model.names)
            ),
            None,
        )

    def unknown(self, name: str) -> ModelError:
        """Return the error for a name that no model has; it names the nearest."""
        nicknames = [model.id for model in self.models]
        close = get_close_matches(name.removeprefix("bioimage-io/"), nicknames, n=1)
        meant = f"did you mean {close[0]}?" if close else "search its list."
        return ModelError(f"The zoo has no model {name!r}: {meant}")


@dataclass(frozen=True)
class IndexRead(Event):
    """A list is there; a later event brings one that is more complete."""

    index: ZooIndex


@dataclass(frozen=True)
class Query:
    """What to look for; an empty field doesn't restrict the result.

    ``dimensions`` is ``"2D"`` or ``"3D"``, ``task`` one of `summary.TASKS`.
    """

    words: str = ""
    dimensions: str = ""
    task: str = ""
    licence: str = ""

    def matches(self, summary: Summary, *names: str) -> bool:
        """Return whether a model with these names is one that is looked for."""
        if self.dimensions and self.dimensions not in summary.dimensions:
            return False
        if self.task and self.task != summary.task:
            return False
        if self.licence and self.licence != summary.licence:
            return False
        return summary.has_words(self.words, *names)


def search(models: Sequence[ZooModel], query: Query) -> list[ZooModel]:
    """Return the models that a query asks for, in the order of their names."""
    return sorted(
        (model for model in models if query.matches(model.summary, model.id)),
        key=lambda model: model.title.casefold(),
    )


def open_cache(settings: ZooSettings) -> WebCache:
    """Return the cache of the zoo's lists, descriptions, reports and covers."""
    return WebCache(folders.cache_folder() / "zoo" / "web", settings)


def read_index(
    settings: ZooSettings | None = None, *, offline: bool = True
) -> ZooIndex:
    """Return the list of models with the descriptions that the cache has.

    Parameters
    ----------
    settings
        Address and time limits.
    offline
        Read the cache only, which takes no time. Otherwise the list (not the
        descriptions) is renewed first.

    Raises
    ------
    NetworkError
        If there is neither a usable answer nor a copy.
    """
    settings = settings or ZooSettings()
    with open_cache(settings) as cache:
        return _read_index(settings, cache, offline=offline)


def refresh_events(settings: ZooSettings | None = None) -> Generator[Event]:
    """Renew the list and read each description that is new.

    Yields
    ------
    Event
        `IndexRead` as soon as the list is known, `Progress` for each
        description, and a last `IndexRead`. Closing the generator stops it.

    Raises
    ------
    NetworkError
        If there is neither a usable answer nor a copy.
    """
    settings = settings or ZooSettings()
    with open_cache(settings) as cache:
        index = _read_index(settings, cache, offline=False)
        yield IndexRead(index)
        if index.problem:
            return
        models = {model.id: model for model in index.models}
        unread = [model for model in index.models if not model.description]
        pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="zoo")
        try:
            jobs = [
                pool.submit(_described, model, cache, offline=False) for model in unread
            ]
            for done, job in enumerate(as_completed(jobs), 1):
                model = job.result()
                models[model.id] = model
                yield Progress(done, len(unread), "Reading the descriptions")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    yield IndexRead(replace(index, models=tuple(models.values())))


def _read_index(settings: ZooSettings, cache: WebCache, *, offline: bool) -> ZooIndex:
    file = cache.fetch(settings.index_url, check=_parse_items, offline=offline)
    models = tuple(
        _described(_parse_model(item, settings.index_url), cache, offline=True)
        for item in _parse_items(file.content)
    )
    return ZooIndex(models, file.fetched, file.problem)


def sibling_url(url: str, name: str) -> str:
    """Return the address of the file ``name`` that lies beside ``url``.

    An absolute http(s) ``name`` is returned as it is. The query stays, as it may
    hold the version.
    """
    if name.startswith(("http://", "https://")):
        return name
    head, question, query = url.partition("?")
    # Zenodo serves a record's files as …/files/NAME/content.
    stem, content = (
        (head.removesuffix("/content"), "/content")
        if head.endswith("/content")
        else (head, "")
    )
    return f"{stem.rpartition('/')[0]}/{quote(name)}{content}{question}{query}"


def parse_description_text(content: bytes) -> dict[str, Any]:
    """Return the content of a description file.

    Raises
    ------
    ValueError
        If it isn't YAML, or isn't a mapping.
    """
    try:
        raw = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError("not a YAML file") from error
    if not isinstance(raw, dict) or "weights" not in raw:
        raise ValueError("not the description of a model")
    return raw


def _parse_items(content: bytes) -> list[dict[str, Any]]:
    try:
        items = json.loads(content)["items"]
        models = [item for item in items if item["type"] == "model"]
        complete = all(item["versions"][-1]["source"] and item["id"] for item in models)
    except (TypeError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise ValueError("not a list of models") from error
    if not complete:
        raise ValueError("a list with incomplete entries")
    return models


def parse_report(content: bytes) -> dict[str, Any]:
    """Return the content of a report; raise ValueError if it is none."""
    report = json.loads(content)
    if not isinstance(report, dict):
        raise ValueError("not a report")
    return report


def _parse_model(item: Mapping[str, Any], index_url: str) -> ZooModel:
    newest = item["versions"][-1]
    version = str(newest.get("version", ""))
    return ZooModel(
        id=str(item["id"]).removeprefix("bioimage-io/"),
        version=version,
        source=str(newest["source"]),
        sha256=str(newest.get("sha256") or ""),
        report=urljoin(index_url, f"reports/{item['id']}/{version}/summary.json"),
    )


def _described(model: ZooModel, cache: WebCache, *, offline: bool) -> ZooModel:
    """Return the model with its description, if it can be had."""
    raw: Mapping[str, Any] = {}
    try:
        raw = parse_description_text(
            cache.fetch(
                model.source,
                sha256=model.sha256 or None,
                check=parse_description_text,
                limit=4 * MEBIBYTE,
                offline=offline,
            ).content
        )
    except NetworkError:
        # The report, on another server, holds the description as well.
        raw = _description_in_report(model, cache, offline=offline)
    return replace(model, description=raw, summary=summarize(raw))


def _description_in_report(
    model: ZooModel, cache: WebCache, *, offline: bool
) -> Mapping[str, Any]:
    try:
        file = cache.fetch(model.report, check=parse_report, offline=offline)
    except NetworkError:
        return {}
    content = parse_report(file.content).get("rdf_content")
    return content if isinstance(content, dict) else {}


def _same_record(alias: str, name: str) -> bool:
    # An old id is "10.5281/zenodo.<all versions>/<this version>".
    doi = name.removeprefix("https://doi.org/").removeprefix("doi:")
    if doi == alias or not doi.startswith("10."):
        return doi == alias
    prefix, _, versions = alias.partition("zenodo.")
    return doi in {f"{prefix}zenodo.{version}" for version in versions.split("/")}


def licences(models: Collection[ZooModel]) -> list[str]:
    """Return the licences of the models, sorted."""
    return sorted({model.summary.licence for model in models} - {""})
