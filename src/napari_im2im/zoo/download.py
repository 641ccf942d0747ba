"""Getting a model: every file checked, nothing in place before all of it is."""

from __future__ import annotations

import hashlib
import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_im2im import folders
from napari_im2im.errors import ModelError, NetworkError
from napari_im2im.events import Event, Message, Progress
from napari_im2im.zoo.index import (
    ZooModel,
    open_cache,
    parse_description_text,
    read_index,
)
from napari_im2im.zoo.installed import Installed, list_installed
from napari_im2im.zoo.installing import assemble, install_zip
from napari_im2im.zoo.references import referenced_files
from napari_im2im.zoo.settings import ZooSettings
from napari_im2im.zoo.sources import Source, recognise
from napari_im2im.zoo.summary import summarize
from napari_im2im.zoo.transfer import Transfer
from napari_im2im.zoo.web import MEBIBYTE, open_client

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import httpx

_CONNECTIONS = 4


@dataclass(frozen=True)
class Downloaded(Event):
    """A model is complete on this computer, in ``folder``."""

    folder: Path
    model: Installed


def find_model(source: Source, settings: ZooSettings | None = None) -> ZooModel:
    """Return the model of the zoo, or of the web, that a source names.

    A nickname is only ever looked up in the zoo's list, never made an address.

    Parameters
    ----------
    source
        A nickname, DOI or link, as `recognise` returns it.
    settings
        Addresses and time limits.

    Raises
    ------
    ModelError
        If no model has that name.
    NetworkError
        If there is no list, and none can be had.
    """
    settings = settings or ZooSettings()
    if source.kind == "link":
        return ZooModel(id="", version="", source=source.value, sha256="", report="")
    for offline in (True, False):
        try:
            index = read_index(settings, offline=offline)
        except NetworkError:
            if not offline:
                raise
            continue
        found = index.find(source.value)
        if found is not None:
            return found
    record = re.fullmatch(r"10\.5281/zenodo\.(\d+)(?:/\d+)?", source.value, re.I)
    if source.kind == "doi" and record:
        url = f"{settings.records_url}/{record[1]}/files/rdf.yaml/content"
        return ZooModel(id="", version="", source=url, sha256="", report="")
    raise index.unknown(source.value)


def download_events(
    source: ZooModel | str, settings: ZooSettings | None = None
) -> Generator[Event]:
    """Get a model, so that it can be used from then on without a network.

    Parameters
    ----------
    source
        A model of the list; or a nickname, DOI or link to a description or zip.
    settings
        Addresses and time limits.

    Yields
    ------
    Event
        `Progress` in bytes at least every quarter of a second, `Message` for what
        is missing but not needed, `Downloaded` last. Closing the generator stops
        the transfer; what has arrived is used the next time.

    Raises
    ------
    NetworkError
        If a needed file can't be had, or isn't the one that the description names.
    ModelError
        If there is no such model, or it is not a valid and safe package.
    """
    settings = settings or ZooSettings()
    if isinstance(source, str):
        recognised = recognise(source)
        if recognised.kind in ("path", "words"):
            raise ModelError(
                f"{source!r} is no nickname, DOI or link: it needs no download, or "
                "can't be one."
            )
        source = find_model(recognised, settings)
    present = _present(source)
    if present is not None:
        yield Downloaded(present.folder, present)
        return
    with open_client(settings) as client:
        if source.source.partition("?")[0].lower().endswith(".zip"):
            yield from _download_zip(source, client)
        else:
            yield from _download_files(source, settings, client)


def store_folder() -> Path:
    """Return the folder that keeps downloaded files by their sha256."""
    return folders.cache_folder() / "zoo" / "files"


def _present(model: ZooModel) -> Installed | None:
    for installed in list_installed():
        if model.sha256 and installed.sha256 == model.sha256:
            try:
                installed.check()
            except ModelError:
                return None
            return installed
    return None


def _download_files(
    model: ZooModel, settings: ZooSettings, client: httpx.Client
) -> Generator[Event]:
    yield Progress(0, 0, "Getting the description")
    with open_cache(settings) as cache:
        description = cache.fetch(
            model.source,
            sha256=model.sha256 or None,
            check=parse_description_text,
            limit=4 * MEBIBYTE,
        ).content
    raw = parse_description_text(description)
    references = referenced_files(raw)
    # Files of one content are one transfer: two would write over each other.
    transfers = {
        reference.sha256 or reference.source: Transfer(
            model.file_url(reference.source),
            store_folder(),
            reference.sha256,
            reference.name,
        )
        for reference in references
    }
    arrived = yield from _transfer_all(list(transfers.values()), client)
    results = dict(zip(transfers, arrived, strict=True))
    files: dict[str, Path] = {}
    left_out = []
    for reference in references:
        result = results[reference.sha256 or reference.source]
        if isinstance(result, Path):
            files[reference.name] = result
        elif reference.essential:
            raise result
        else:
            left_out.append(f"{reference.name} is left out: {result}")
    for text in left_out:
        yield Message(text, "warning")
    model = replace(
        model,
        sha256=hashlib.sha256(description).hexdigest(),
        summary=summarize(raw),
    )
    yield _installed_event(assemble(model, description, raw, references, files))


def _download_zip(model: ZooModel, client: httpx.Client) -> Generator[Event]:
    transfer = Transfer(model.source, store_folder(), model.sha256 or None, "the zip")
    (result,) = yield from _transfer_all([transfer], client)
    if not isinstance(result, Path):
        raise result
    yield _installed_event(install_zip(result, model.source))


def _transfer_all(
    transfers: Sequence[Transfer], client: httpx.Client
) -> Generator[Event, None, list[Path | NetworkError]]:
    """Run transfers side by side; return a file or the error of each."""
    cancel = threading.Event()
    pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="download")
    try:
        jobs: list[Future[Path]] = [
            pool.submit(transfer.run, client, cancel) for transfer in transfers
        ]
        pending = set(jobs)
        while pending:
            _, pending = wait(pending, timeout=0.2)
            yield _progress(transfers, len(jobs) - len(pending))
        return [_result(job) for job in jobs]
    finally:
        cancel.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _result(job: Future[Path]) -> Path | NetworkError:
    error = job.exception()
    if error is None:
        return job.result()
    if isinstance(error, NetworkError):
        return error
    raise error


def _progress(transfers: Sequence[Transfer], done: int) -> Progress:
    received = sum(transfer.received for transfer in transfers)
    total = sum(transfer.total or transfer.received for transfer in transfers)
    return Progress(
        received,
        max(total, received),
        f"{done} of {len(transfers)} files, {received / 1e6:.1f} of "
        f"{max(total, received) / 1e6:.1f} MB",
    )


def _installed_event(installed: Installed) -> Downloaded:
    return Downloaded(installed.folder, installed)
