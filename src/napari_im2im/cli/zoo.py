"""``napari-im2im zoo``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import ConfigError, NetworkError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.zoo.catalogue import Entry
    from napari_im2im.zoo.index import ZooIndex


@dataclass(frozen=True)
class Listed:
    """A model of the list; ``folder`` is None where it isn't on this computer.

    ``reason`` says why it can't run here; ``asks`` names the code to trust.
    """

    name: str
    title: str
    dimensions: tuple[str, ...]
    task: str
    licence: str
    reason: str
    asks: tuple[str, ...]
    folder: Path | None


class Zoo(JsonOption):
    """Browse the BioImage Model Zoo and get models from it.

    'list' takes words to search for; 'show' and 'get' take a nickname, DOI or
    link, 'show' also a path. It names the code that a model here would run.
    'trusted' lists the code that you agreed to in the window, 'withdraw' takes back
    what you agreed to for a model or a sha256. The address of the list is the variable
    NAPARI_IM2IM_ZOO_INDEX_URL.
    """

    action: CliPositionalArg[Literal["list", "show", "get", "trusted", "withdraw"]] = (
        Field(description="list, show, get, trusted or withdraw.")
    )
    what: CliPositionalArg[list[str]] = Field(
        default_factory=list, description="Words, or a nickname, DOI or link."
    )
    dimensions: Literal["2D", "3D"] | None = Field(None, description="2D or 3D.")
    task: str | None = Field(None, description="E.g. segment, restore.")
    licence: str | None = Field(None, description="E.g. CC-BY-4.0.")
    installed: bool = Field(False, description="Only models on this computer.")
    runs: bool = Field(False, description="Only models that run here.")
    offline: bool = Field(False, description="Use the list of the last time.")

    def run(self) -> None:
        """Do what is asked for."""
        if self.action == "list":
            self._list()
        elif self.action == "trusted":
            _show_agreements()
        elif len(self.what) != 1:
            raise ConfigError(f"Name one model: napari-im2im zoo {self.action} NAME.")
        elif self.action == "get":
            self._get(self.what[0])
        elif self.action == "withdraw":
            _withdraw(self.what[0])
        else:
            self._show(self.what[0])

    def _index(self) -> ZooIndex:
        """Return the list, renewed unless the user is offline."""
        from napari_im2im.cli.console import follow, status
        from napari_im2im.zoo.index import IndexRead, read_index, refresh_events

        if self.offline:
            return read_index()
        last = follow(refresh_events(), "Reading the zoo")
        if not isinstance(last, IndexRead):
            raise NetworkError("The zoo's list ended unfinished: try again.")
        for problem in filter(None, (last.index.problem, last.index.unread)):
            status.print(f"[yellow]Warning:[/yellow] {problem}")
        return last.index

    def _list(self) -> None:
        from rich.table import Table

        from napari_im2im.cli.console import print_table, results, status
        from napari_im2im.zoo.index import Query

        index = self._index()
        query = Query(
            " ".join(self.what),
            self.dimensions or "",
            self.task or "",
            self.licence or "",
        )
        table = Table(
            "Nickname", "Name", "", "Licence", "Here", box=None, pad_edge=False
        )
        entries = self._entries(index)
        shown = [
            entry
            for entry in sorted(entries, key=lambda entry: entry.title.casefold())
            if query.matches(entry.summary, entry.key)
            and (entry.folder is not None or not self.installed)
            and not (self.runs and entry.compatibility and entry.compatibility.reason)
        ]
        if self.json_lines:
            for entry in shown:
                results.print(json_line(_listed(entry)))
            return
        for entry in shown:
            table.add_row(
                entry.key,
                entry.title,
                " ".join(sorted(entry.summary.dimensions)),
                entry.summary.licence,
                "here" if entry.folder else _short(entry),
            )
        print_table(table)
        status.print(
            f"{len(shown)} of {len(entries)} models, list of {index.date:%d %B %Y}."
        )

    def _entries(self, index: ZooIndex) -> list[Entry]:
        from dataclasses import replace

        from napari_im2im.zoo.catalogue import compatibility_events, zoo_entries

        runs = {
            event.key: event.compatibility
            for event in compatibility_events(index.models)
        }
        return [
            replace(entry, compatibility=runs.get(entry.key))
            for entry in zoo_entries(index)
        ]

    def _show(self, name: str) -> None:
        from napari_im2im.cli.console import results
        from napari_im2im.models.package import load_package
        from napari_im2im.zoo.catalogue import describe_entry
        from napari_im2im.zoo.compatibility import check_runs
        from napari_im2im.zoo.sources import recognise

        source = recognise(name)
        if source.kind == "path":
            package = load_package(source.value)
            results.print(package.name)
            results.print(check_runs(package).sentence)
            results.print(package.text)
            _show_code(package)
            return
        index = self._index()
        model = index.find(source.value)
        if model is None:
            raise index.unknown(source.value)
        (entry,) = (e for e in self._entries(index) if e.key == model.id)
        results.print(entry.title)
        if entry.compatibility is not None:
            results.print(entry.compatibility.sentence)
        for title, text in describe_entry(entry):
            results.print(f"{title}: {text}")
        if entry.folder is not None:
            _show_code(load_package(entry.folder))

    def _get(self, name: str) -> None:
        from napari_im2im.cli.console import follow, results
        from napari_im2im.zoo.download import Downloaded, download_events

        events = download_events(name)
        last = follow(events, f"Getting {name}", json_lines=self.json_lines)
        if isinstance(last, Downloaded) and not self.json_lines:
            results.print(str(last.folder))


def _show_code(package: ModelPackage) -> None:
    """Print what the package would run: read it before you trust it."""
    from napari_im2im.cli.console import results
    from napari_im2im.zoo.trust import code_of, code_of_steps

    for code in (*code_of_steps(package), *code_of(package).values()):
        text = code.refused or f"{code.name} {code.purpose}, --trust {code.token}"
        results.print(f"Code: {text}")
        if code.path is not None:
            results.print(f"  {code.path}")


def _show_agreements() -> None:
    """Print the code that may run, with what `withdraw` takes."""
    from rich.table import Table

    from napari_im2im.cli.console import print_table
    from napari_im2im.zoo.trust import TrustStore

    table = Table("Model", "Code", "sha256", "Agreed", box=None, pad_edge=False)
    for one in TrustStore().agreements():
        table.add_row(one.model, one.name, one.token[:16], one.date[:10])
    print_table(table)


def _withdraw(name: str) -> None:
    from napari_im2im.cli.console import results
    from napari_im2im.zoo.trust import TrustStore

    for one in TrustStore().withdraw(name):
        results.print(f"{one.name} of {one.model} asks again before it runs.")


def _listed(entry: Entry) -> Listed:
    runs = entry.compatibility
    return Listed(
        entry.key,
        entry.title,
        tuple(sorted(entry.summary.dimensions)),
        entry.summary.task,
        entry.summary.licence,
        runs.reason if runs else "",
        tuple(runs.asking.values()) if runs else (),
        entry.folder,
    )


def _short(entry: Entry) -> str:
    runs = entry.compatibility
    if runs is None:
        return ""
    if not runs.runs:
        return "can't run"
    return "asks for trust" if set(runs.formats) <= set(runs.asking) else "runs"
