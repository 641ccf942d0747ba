from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_im2im.errors import NetworkError
from napari_im2im.events import Progress
from napari_im2im.zoo.index import (
    IndexRead,
    Query,
    ZooIndex,
    licences,
    open_cache,
    read_index,
    refresh_events,
    search,
    sibling_url,
)
from napari_im2im.zoo.reports import read_cover, read_report, read_size

if TYPE_CHECKING:
    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server


def refresh(settings: ZooSettings) -> ZooIndex:
    *_, last = refresh_events(settings)
    assert isinstance(last, IndexRead)
    return last.index


def test_a_refresh_shows_the_list_first_and_then_the_descriptions(
    collection: list[str], settings: ZooSettings
) -> None:
    first, *middle, last = refresh_events(settings)
    assert isinstance(first, IndexRead)
    assert isinstance(last, IndexRead)
    assert sorted(model.id for model in first.index.models) == sorted(collection)
    assert {model.title for model in first.index.models} == set(collection)
    progress = [event for event in middle if isinstance(event, Progress)]
    assert [event.done for event in progress] == list(range(1, len(collection) + 1))
    assert last.index.problem == ""
    assert last.index.find("chatty-frog").title == "StarDist H&E Nuclei Segmentation"


def test_a_description_that_is_gone_comes_from_the_report(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    model = refresh(settings).find("affable-shark")
    assert "artifacts/affable-shark/files/rdf.yaml" not in server.answers
    assert model.title == "NucleiSegmentationBoundaryModel"


def test_the_second_refresh_asks_for_the_list_only(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    refresh(settings)
    server.requests.clear()
    refresh(settings)
    paths = [path for path, _ in server.requests]
    # The description that only the report has could appear at its own address.
    assert set(paths) <= {"collection/index.json"}


def test_offline_shows_the_cached_list_with_its_date(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    online = refresh(settings)
    for answer in server.answers.values():
        answer.status = 500
    offline = refresh(settings)
    assert offline.models == online.models
    assert offline.date == online.date
    assert "500" in offline.problem
    assert read_index(settings).models == online.models


def test_without_web_and_copy_there_is_an_error(settings: ZooSettings) -> None:
    with pytest.raises(NetworkError, match="404"):
        refresh(settings)


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", '{"items": 3}', '{"items": [{"type": "model"}]}', "{", "\xff"],
)
def test_a_list_that_is_none_is_an_error(
    server: Server, settings: ZooSettings, body: str
) -> None:
    server.put("collection/index.json", body)
    with pytest.raises(NetworkError, match="something else"):
        refresh(settings)


def test_slow_descriptions_do_not_keep_the_list_away(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    for path, answer in server.answers.items():
        if path.endswith("rdf.yaml"):
            answer.delay = 3.0
    events = refresh_events(settings)
    assert isinstance(next(events), IndexRead)
    events.close()


def test_a_broken_description_leaves_the_others(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    server.put("artifacts/chatty-frog/files/rdf.yaml", "not: [yaml")
    index = refresh(settings)
    assert index.find("chatty-frog").title == "chatty-frog"
    assert index.problem == ""
    assert "description of chatty-frog can't be read" in index.unread
    assert index.find("humorous-fox").title == "SEM_n2v"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("STARDIST nuclei"), {"chatty-frog"}),
        (Query("pape nuclei"), {"affable-shark", "romantic-shark"}),
        (Query(dimensions="3D"), {"dazzling-blowfish"}),
        (Query(task="predict an image"), {"serious-turtle"}),
        (Query(licence="BSD-3-Clause"), {"chatty-frog", "humorous-fox"}),
        (Query("fox", licence="MIT"), set()),
    ],
)
def test_search(
    collection: list[str], settings: ZooSettings, query: Query, expected: set[str]
) -> None:
    found = search(refresh(settings).models, query)
    assert {model.id for model in found} == expected


def test_licences_are_those_of_the_list(
    collection: list[str], settings: ZooSettings
) -> None:
    assert {"MIT", "CC-BY-4.0"} <= set(licences(refresh(settings).models))


@pytest.mark.parametrize(
    "name",
    [
        "chatty-frog",
        "bioimage-io/chatty-frog",
        "chatty-frog/v0",
        "10.5281/zenodo.6338614",
        "10.5281/zenodo.6338615",
        "https://doi.org/10.5281/zenodo.6338615",
        "10.5281/zenodo.6338614/6338615",
    ],
)
def test_a_model_is_found_by_all_its_names(
    collection: list[str], settings: ZooSettings, name: str
) -> None:
    assert refresh(settings).find(name).id == "chatty-frog"


@pytest.mark.parametrize("name", ["frog", "chatty-fro", "10.5281/zenodo.633861", ""])
def test_no_model_is_found_by_a_part_of_its_name(
    collection: list[str], settings: ZooSettings, name: str
) -> None:
    assert refresh(settings).find(name) is None


def test_the_newest_version_is_the_one_listed(
    collection: list[str], settings: ZooSettings
) -> None:
    assert refresh(settings).find("romantic-shark").version == "v1"


def test_the_report_tells_which_programs_run_the_model(
    collection: list[str], settings: ZooSettings
) -> None:
    model = refresh(settings).find("affable-shark")
    with open_cache(settings) as cache:
        scores = read_report(model, cache).scores
    assert scores["ilastik"] == 1.0
    assert scores["careamics"] == 0.0


def test_a_cover_is_read_once(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    model = refresh(settings).find("humorous-fox")
    path = f"artifacts/humorous-fox/files/{model.summary.covers[0]}"
    server.put(path, b"picture", etag='"c"')
    with open_cache(settings) as cache:
        assert read_cover(model, cache) == b"picture"
        assert read_cover(model, cache, offline=True) == b"picture"
    assert server.count(path) == 1


@pytest.mark.parametrize("status", [200, 404, 500])
def test_the_size_is_asked_for_without_a_download(
    served_model: str,
    server: Server,
    settings: ZooSettings,
    hasty: ZooSettings,
    status: int,
) -> None:
    *_, last = refresh_events(settings)
    assert isinstance(last, IndexRead)
    (model,) = last.index.models
    weights = server.answers["heron/weights.onnx"]
    weights.status = status
    size = len(weights.body) if status == 200 else None
    assert read_size(model, settings) == size
    assert server.count("heron/weights.onnx") == 1
    server.answers["heron/weights.onnx"].delay = 2
    assert read_size(model, hasty) is None


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("http://a/b/rdf.yaml?version=v0", "w.pt", "http://a/b/w.pt?version=v0"),
        ("http://a/b/rdf.yaml", "d/w 1.pt", "http://a/b/d/w%201.pt"),
        (
            "http://z/api/records/1/files/rdf.yaml/content",
            "w.pt",
            "http://z/api/records/1/files/w.pt/content",
        ),
        ("http://a/b/rdf.yaml", "https://c/w.pt", "https://c/w.pt"),
    ],
)
def test_sibling_url(url: str, name: str, expected: str) -> None:
    assert sibling_url(url, name) == expected


def test_the_excerpt_is_that_of_the_real_list() -> None:
    from .conftest import DATA

    index = json.loads((DATA / "index.json").read_text("utf-8"))
    assert {"items", "total", "timestamp", "count_per_type"} == set(index)
