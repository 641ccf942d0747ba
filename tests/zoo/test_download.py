from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import yaml

from napari_im2im.api.models import load_model
from napari_im2im.errors import Im2ImError, ModelError, NetworkError
from napari_im2im.events import Message, Progress
from napari_im2im.models.package import load_package
from napari_im2im.zoo.download import Downloaded, download_events, find_model
from napari_im2im.zoo.installed import find_installed, list_installed
from napari_im2im.zoo.sources import Source

from .conftest import sha256, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server


def get(source: str, settings: ZooSettings) -> Downloaded:
    *_, last = download_events(source, settings)
    assert isinstance(last, Downloaded)
    return last


def nothing_installed(home: Path) -> bool:
    return not list((home / "models").glob("*"))


def test_a_model_is_got_by_its_nickname(
    served_model: str,
    settings: ZooSettings,
    package_files: dict[str, bytes],
    home: Path,
) -> None:
    events = list(download_events(served_model, settings))
    done = events[-1]
    assert isinstance(done, Downloaded)
    assert {path.name: path.read_bytes() for path in done.folder.glob("[!.]*")} == (
        package_files
    )
    assert done.folder == home / "models" / "humble-heron-v0"
    assert load_package(done.folder).name == "Humble heron"
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[-1].done == progress[-1].total > 512_000
    assert not [event for event in events if isinstance(event, Message)]


def test_it_works_offline_from_then_on(
    served_model: str, settings: ZooSettings, server: Server
) -> None:
    folder = get(served_model, settings).folder
    server.answers.clear()
    server.requests.clear()
    assert get(served_model, settings).folder == folder
    assert load_model(served_model).root == folder
    assert find_installed("bioimage-io/humble-heron").folder == folder
    assert find_installed("humble-heron/v0").folder == folder
    assert find_installed("humble-her") is None
    assert not server.requests


@pytest.mark.parametrize("name", ["weights.onnx", "input.npy"])
@pytest.mark.parametrize(
    "answer", [{"status": 404}, {"body": b"evil"}, {"breaks_after": 10}]
)
def test_no_half_or_damaged_model_is_ever_in_place(
    served_model: str,
    settings: ZooSettings,
    server: Server,
    home: Path,
    name: str,
    answer: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_im2im.zoo.transfer.ATTEMPTS", 1)
    body = server.answers[f"heron/{name}"].body
    server.put(f"heron/{name}", **({"body": body} | answer))
    with pytest.raises(NetworkError, match=name):
        get(served_model, settings)
    assert nothing_installed(home)
    with pytest.raises(ModelError, match="zoo get humble-heron"):
        load_model(served_model)


def test_what_fails_is_said_alone(
    served_model: str, settings: ZooSettings, server: Server
) -> None:
    for name in ("cover.png", "weights.onnx"):
        del server.answers[f"heron/{name}"]
    said = []
    with pytest.raises(NetworkError, match=r"weights\.onnx"):
        said.extend(download_events(served_model, settings))
    assert not [event for event in said if isinstance(event, Message)]


def test_a_missing_cover_is_no_obstacle(
    served_model: str, settings: ZooSettings, server: Server
) -> None:
    del server.answers["heron/cover.png"]
    events = list(download_events(served_model, settings))
    assert isinstance(events[-1], Downloaded)
    (message,) = (event for event in events if isinstance(event, Message))
    assert "cover.png is left out" in message.text


def test_a_description_that_is_not_the_listed_one_is_refused(
    served_model: str, settings: ZooSettings, server: Server, home: Path
) -> None:
    server.put("heron/rdf.yaml", server.answers["heron/rdf.yaml"].body + b"\n")
    with pytest.raises(NetworkError, match="sha256"):
        get(served_model, settings)
    assert nothing_installed(home)


def test_a_damaged_installed_model_is_got_again(
    served_model: str, settings: ZooSettings
) -> None:
    folder = get(served_model, settings).folder
    weights = folder / "weights.onnx"
    weights.unlink()
    weights.write_bytes(b"rot")
    with pytest.raises(ModelError, match="damaged"):
        list_installed()[0].check()
    assert get(served_model, settings).folder == folder
    list_installed()[0].check()


def test_closing_stops_and_the_next_time_goes_on(
    served_model: str, settings: ZooSettings, server: Server, home: Path
) -> None:
    answer = server.answers["heron/weights.onnx"]
    answer.drips, answer.delay = True, 0.001
    events = download_events(served_model, settings)
    for event in events:
        if isinstance(event, Progress) and event.done > 2_000:
            break
    events.close()
    assert nothing_installed(home)
    unfinished = home / "cache" / "zoo" / "files" / "unfinished"
    part = unfinished / sha256(answer.body)
    wait_until(lambda: part.stat().st_size > 0)
    answer.drips, answer.delay = False, 0.0
    server.requests.clear()
    get(served_model, settings)
    ranges = [h.get("Range") for path, h in server.requests if path.endswith("onnx")]
    assert ranges[0] is not None


def test_a_link_to_a_description(
    served_model: str, settings: ZooSettings, server: Server
) -> None:
    done = get(f"{server.url}/heron/rdf.yaml", settings)
    assert done.model.id == "humble-heron"
    assert done.folder.name.startswith("humble-heron-")


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_link_to_a_zip(
    settings: ZooSettings, server: Server, package_files: dict[str, bytes]
) -> None:
    done = get(server.put("m.zip", zipped(package_files)), settings)
    assert load_package(done.folder).name == "Humble heron"
    assert find_installed("humble-heron").folder == done.folder


def test_a_zip_that_leaves_its_folder_is_refused(
    settings: ZooSettings, server: Server, package_files: dict[str, bytes], home: Path
) -> None:
    url = server.put("m.zip", zipped({**package_files, "../evil.py": b"x"}))
    with pytest.raises(ModelError, match="leave its folder"):
        get(url, settings)
    assert nothing_installed(home)
    assert not list(home.rglob("evil.py"))


@pytest.mark.parametrize("body", [b"<html>", b"PK\x03\x04 no zip", b""])
def test_what_is_no_model_is_refused(
    settings: ZooSettings, server: Server, body: bytes, home: Path
) -> None:
    for path in ("m.zip", "m/rdf.yaml"):
        with pytest.raises(Im2ImError):
            get(server.put(path, body), settings)
    assert nothing_installed(home)


def test_a_doi_is_looked_up_in_the_list_and_then_in_its_archive(
    collection: list[str],
    settings: ZooSettings,
    server: Server,
    package_files: dict[str, bytes],
) -> None:
    for name, content in package_files.items():
        server.put(f"records/123/files/{name}/content", content)
    done = get("10.5281/zenodo.123", settings)
    assert load_package(done.folder).name == "Humble heron"
    assert server.requests[0][0] == "collection/index.json"


def test_an_unknown_nickname_is_looked_up_in_the_list_only(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    with pytest.raises(ModelError, match="no model 'my-modle'"):
        get("my-modle", settings)
    assert not [path for path, _ in server.requests if "modle" in path]


def test_words_and_paths_are_not_downloaded(settings: ZooSettings) -> None:
    with pytest.raises(ModelError, match="needs no download"):
        get("nuclei in mice", settings)


def test_files_on_other_servers_are_brought_into_the_package(
    settings: ZooSettings, server: Server, package_files: dict[str, bytes]
) -> None:
    spec = yaml.safe_load(package_files["rdf.yaml"])
    spec["weights"]["onnx"]["source"] = server.put(
        "far/away.onnx", package_files["weights.onnx"]
    )
    for name, content in package_files.items():
        server.put(f"heron/{name}", content)
    url = server.put("heron/rdf.yaml", yaml.safe_dump(spec))
    package = load_package(get(url, settings).folder)
    assert package.weights["onnx"].source == "away.onnx"
    assert package.file("away.onnx", package.weights["onnx"].sha256).is_file()


@pytest.mark.parametrize("source", ["../x.pt", "/etc/passwd", "file:///etc/passwd"])
def test_a_description_that_reaches_outside_is_refused_before_any_file(
    settings: ZooSettings,
    server: Server,
    package_files: dict[str, bytes],
    home: Path,
    source: str,
) -> None:
    spec = yaml.safe_load(package_files["rdf.yaml"])
    spec["attachments"] = [{"source": source}]
    url = server.put("heron/rdf.yaml", yaml.safe_dump(spec))
    with pytest.raises(ModelError, match="refused"):
        get(url, settings)
    assert [path for path, _ in server.requests] == ["heron/rdf.yaml"]
    assert nothing_installed(home)


def test_a_folder_without_its_record_is_not_a_zoo_model(
    served_model: str, settings: ZooSettings
) -> None:
    folder = get(served_model, settings).folder
    record = folder / ".napari-im2im.json"
    assert json.loads(record.read_text("utf-8"))["id"] == served_model
    record.write_text("{")
    assert list_installed() == []


def test_find_model_for_each_kind(
    collection: list[str], settings: ZooSettings, server: Server
) -> None:
    assert find_model(Source("nickname", "chatty-frog"), settings).id == "chatty-frog"
    link = Source("link", f"{server.url}/x/rdf.yaml")
    assert find_model(link, settings).source == link.value
