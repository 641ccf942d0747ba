"""The models that the Model Zoo dock knows of, read in a thread."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_im2im.docks.job import Job
from napari_im2im.events import Event, Message, Progress
from napari_im2im.zoo.catalogue import (
    Entry,
    LocalModels,
    RunsHere,
    catalogue_events,
    local_entries,
    zoo_entries,
)
from napari_im2im.zoo.index import IndexRead, ZooIndex, licences

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from qtpy.QtWidgets import QWidget

    from napari_im2im.docks.model_zoo.model_list import EntryList
    from napari_im2im.zoo.settings import ZooSettings


class Catalogue(QObject):  # type: ignore[misc]
    """All models by key: of the zoo, of this computer, and those just opened."""

    changed = Signal()
    told = Signal(str)
    """Emitted with a sentence about the reading of the list."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entries: dict[str, Entry] = {}
        self.index: ZooIndex | None = None
        self._opened: dict[str, Entry] = {}
        self._local: tuple[Entry, ...] = ()
        self._sizes: dict[str, int | None] = {}
        self._reading: Job | None = None
        self._asked_covers: set[str] = set()

    @property
    def reading(self) -> bool:
        """Whether the list is being read."""
        return self._reading is not None

    @property
    def offline(self) -> bool:
        """Whether the last try to reach the zoo failed."""
        return self.index is not None and bool(self.index.problem)

    @property
    def licences(self) -> list[str]:
        """The licences of the zoo's models."""
        return licences(self.index.models) if self.index is not None else []

    def reload(self, settings: ZooSettings) -> None:
        """Read the models of this computer, and the zoo's list, again."""
        if self.reading:
            return
        self.told.emit("Reading the list …")
        job = Job(partial(catalogue_events, settings), self)
        job.happened.connect(self._hear)
        job.failed.connect(self.told)
        job.ended.connect(self._end)
        self._reading = job
        job.start()

    def look_again(self) -> None:
        """Look for models that were trained or deleted in the meantime."""
        if not self.reading:
            job = Job(_read_local, self)
            job.happened.connect(self._keep_local)
            job.start()

    def add(self, entry: Entry) -> None:
        """Add a model that was opened from a file."""
        self._opened[entry.key] = entry
        self.merge()

    def keep_size(self, key: str, size: int | None) -> None:
        """Remember how large a model is that isn't here yet."""
        self._sizes[key] = size
        if key in self.entries and self.entries[key].size is None:
            self.entries[key] = replace(self.entries[key], size=size)

    def merge(self) -> None:
        """Put all models together; what is known of them stays known."""
        known = {key: entry.compatibility for key, entry in self.entries.items()}
        zoo = zoo_entries(self.index) if self.index is not None else []
        self.entries = {
            entry.key: replace(
                entry,
                compatibility=entry.compatibility or known.get(entry.key),
                size=entry.size or self._sizes.get(entry.key),
            )
            for entry in (*self._opened.values(), *self._local, *zoo)
        }
        self.changed.emit()

    def read_covers(
        self, wanted: Sequence[Entry], settings: ZooSettings, shown: EntryList
    ) -> None:
        """Read covers that haven't been asked for, and give them to a list."""
        from napari_im2im.docks.model_zoo.jobs import read_covers

        new = [
            entry
            for entry in wanted
            if entry.summary.covers and entry.key not in self._asked_covers
        ]
        if new:
            self._asked_covers |= {entry.key for entry in new}
            job = Job(partial(read_covers, new, settings, self.offline), self)
            job.happened.connect(lambda covers: shown.set_covers(covers.images))
            job.start()

    def status(self, shown: int) -> str:
        """Return how many models are shown, and of what date the list is."""
        if self.index is None:
            return (
                "There is no list of the zoo yet: refresh it under Options when online."
            )
        text = f"{shown} of {len(self.entries)} models"
        text += f" · list of {self.index.date:%d %B %Y}"
        if self.offline:
            return f"{text}. Offline: {self.index.problem}"
        return f"{text}. {self.index.unread}" if self.index.unread else text

    def _hear(self, event: Event) -> None:
        match event:
            case LocalModels(entries=entries):
                self._local = entries
                self.merge()
            case IndexRead(index=index):
                self.index = index
                self.merge()
            case RunsHere(key=key, compatibility=compatibility):
                if key in self.entries:
                    entry = replace(self.entries[key], compatibility=compatibility)
                    self.entries[key] = entry
            case Progress(done=done, total=total):
                self.told.emit(f"Reading descriptions: {done} of {total} …")
            case Message(text=text):
                self.told.emit(text)

    def _end(self, _: str) -> None:
        self._reading = None
        if self.entries or self.index is not None:
            self.changed.emit()

    def _keep_local(self, entries: tuple[Entry, ...]) -> None:
        if entries != self._local:
            self._local = entries
            self.merge()


def _read_local() -> Generator[Any]:
    yield local_entries()
