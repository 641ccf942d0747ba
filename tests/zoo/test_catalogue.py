from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from napari_im2im.events import Message
from napari_im2im.zoo.catalogue import (
    Entry,
    LocalModels,
    RunsHere,
    catalogue_events,
    describe_entry,
    zoo_entries,
)
from napari_im2im.zoo.download import download_events
from napari_im2im.zoo.index import IndexRead, read_index

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server


def test_the_list_comes_in_steps_and_says_what_runs(
    collection: list[str], settings: ZooSettings
) -> None:
    events = list(catalogue_events(settings))
    assert isinstance(events[0], LocalModels)
    answers = {e.key: e.compatibility for e in events if isinstance(e, RunsHere)}
    assert set(answers) == set(collection)
    assert answers["chatty-frog"].runs
    assert "None of its outputs is an image" in answers["greedy-whale"].reason


def test_answers_are_kept_for_the_next_time(
    collection: list[str], settings: ZooSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [e for e in catalogue_events(settings) if isinstance(e, RunsHere)]

    def never(_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr("napari_im2im.zoo.catalogue.check_runs", never)
    second = [e for e in catalogue_events(settings) if isinstance(e, RunsHere)]
    assert {e.key: e.compatibility for e in first} == {
        e.key: e.compatibility for e in second
    }


def test_without_a_web_the_local_models_are_listed(settings: ZooSettings) -> None:
    events = list(catalogue_events(settings))
    assert isinstance(events[0], LocalModels)
    assert not any(isinstance(event, IndexRead) for event in events)
    last = events[-1]
    assert isinstance(last, Message)
    assert last.level == "warning"
    assert "can't be had" in last.text


def test_offline_the_cached_list_comes_with_its_reason(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    list(catalogue_events(settings))
    server.answers.clear()
    events = [e for e in catalogue_events(settings) if isinstance(e, IndexRead)]
    assert events[0].index.problem == ""
    assert "404" in events[-1].index.problem
    assert len(events[-1].index.models) == len(collection)


def test_a_downloaded_model_has_its_folder_and_size(
    served_model: str, settings: ZooSettings
) -> None:
    list(catalogue_events(settings))
    list(download_events(served_model, settings))
    (entry,) = zoo_entries(read_index(settings))
    assert entry.folder is not None
    assert entry.size is not None
    assert entry.size > 500_000
    described = dict(describe_entry(entry, {"ilastik": 1.0, "biapy": 0.5}))
    assert described["Licence"] == "MIT"
    assert described["Passed the zoo's tests in"] == "ilastik"
    assert described["Name in the zoo"] == "humble-heron"


def test_a_description_that_cannot_be_used_says_so(
    server: Server,
    settings: ZooSettings,
    served_model: str,
    package_files: dict[str, bytes],
) -> None:
    content = yaml.safe_load(package_files["rdf.yaml"])
    content["format_version"] = "0.3.6"
    server.put("heron/rdf.yaml", yaml.safe_dump(content))
    index = server.answers["collection/index.json"]
    text = index.body.decode()
    digest = text.partition('"sha256": "')[2][:64]
    server.put("collection/index.json", text.replace(digest, ""))
    (answer,) = (e for e in catalogue_events(settings) if isinstance(e, RunsHere))
    assert "0.3.6" in answer.compatibility.reason


def test_an_entry_without_a_name_shows_its_key(tmp_path: Path) -> None:
    from napari_im2im.zoo.summary import Summary

    assert Entry("some-key", Summary(), folder=tmp_path).title == "some-key"
