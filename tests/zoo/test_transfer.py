from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from napari_im2im.errors import NetworkError
from napari_im2im.zoo.transfer import ATTEMPTS, Cancelled, Transfer
from napari_im2im.zoo.web import open_client

from .conftest import sha256, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server

BODY = bytes(range(256)) * 4000


@pytest.fixture
def run(tmp_path: Path, settings: ZooSettings) -> Any:
    def transfer(
        url: str, digest: str | None = None, cancel: threading.Event | None = None
    ) -> Path:
        job = Transfer(url, tmp_path / "store", digest, "weights.pt", retry_delay=0.01)
        with open_client(settings) as client:
            return job.run(client, cancel or threading.Event())

    return transfer


def test_a_file_is_kept_by_its_content(server: Server, run: Any) -> None:
    path = run(server.put("w.pt", BODY), sha256(BODY))
    assert path.name == sha256(BODY)
    assert path.read_bytes() == BODY
    again = run(server.put("other/w.pt", BODY), sha256(BODY))
    assert again == path
    assert server.count("other/w.pt") == 0


def test_a_broken_transfer_goes_on_where_it_broke(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY, breaks_after=300_000, bad_answers=1)
    assert run(url, sha256(BODY)).read_bytes() == BODY
    first, second = (headers for _, headers in server.requests)
    assert "Range" not in first
    assert second["Range"] == "bytes=300000-"


def test_a_server_without_ranges_starts_anew(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY, breaks_after=300_000, bad_answers=2, ranges=False)
    assert run(url, sha256(BODY)).read_bytes() == BODY


def test_without_a_hash_halves_are_never_joined(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY, breaks_after=300_000, bad_answers=1)
    assert run(url).read_bytes() == BODY
    assert all("Range" not in headers for _, headers in server.requests)


def test_what_arrived_is_used_the_next_time(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY, breaks_after=100_000)
    with pytest.raises(NetworkError, match="try again"):
        run(url, sha256(BODY))
    server.put("w.pt", BODY)
    server.requests.clear()
    assert run(url, sha256(BODY)).read_bytes() == BODY
    assert int(server.requests[0][1]["Range"][6:-1]) >= 100_000


def test_a_damaged_file_is_thrown_away(
    server: Server, run: Any, tmp_path: Path
) -> None:
    url = server.put("w.pt", b"evil" * 1000)
    with pytest.raises(NetworkError, match="damaged or was changed"):
        run(url, sha256(BODY))
    assert not list((tmp_path / "store").glob("[!u]*"))
    assert not list((tmp_path / "store" / "unfinished").iterdir())


def test_a_file_that_changed_halfway_is_not_mixed(server: Server, run: Any) -> None:
    url = server.put("w.pt", b"old" * 1_000_000, breaks_after=100_000)
    with pytest.raises(NetworkError):
        run(url, sha256(BODY))
    server.put("w.pt", BODY)
    with pytest.raises(NetworkError, match="damaged"):
        run(url, sha256(BODY))
    assert run(url, sha256(BODY)).read_bytes() == BODY


def test_a_damaged_stored_file_is_fetched_again(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY)
    run(url, sha256(BODY)).write_bytes(b"rot")
    assert run(url, sha256(BODY)).read_bytes() == BODY


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_in_trouble_is_asked_again(
    server: Server, run: Any, status: int
) -> None:
    url = server.put("w.pt", BODY, status=status, bad_answers=2)
    assert run(url, sha256(BODY)).read_bytes() == BODY
    assert server.count("w.pt") == 3


def test_it_gives_up_in_the_end(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY, status=500)
    with pytest.raises(NetworkError, match="500"):
        run(url)
    assert server.count("w.pt") == ATTEMPTS


def test_a_missing_file_is_asked_for_once(server: Server, run: Any) -> None:
    with pytest.raises(NetworkError, match="no such file"):
        run(f"{server.url}/nothing")
    assert server.count("nothing") == 1


def test_only_http_is_opened(run: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(NetworkError, match="only http"):
        run((tmp_path / "secret").as_uri())


def test_a_silent_server_is_given_up(
    server: Server, tmp_path: Path, hasty: ZooSettings
) -> None:
    job = Transfer(
        server.put("w.pt", BODY, delay=30.0),
        tmp_path / "store",
        None,
        "weights.pt",
        retry_delay=0.01,
    )
    start = time.monotonic()
    with open_client(hasty) as client, pytest.raises(NetworkError, match="too long"):
        job.run(client, threading.Event())
    assert time.monotonic() - start < 20


def test_cancelling_stops_within_a_piece(server: Server, run: Any) -> None:
    url = server.put("w.pt", BODY * 10, delay=0.02, drips=True)
    cancel, caught = threading.Event(), []

    def work() -> None:
        try:
            run(url, sha256(BODY), cancel)
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: server.count("w.pt"))
    cancel.set()
    thread.join(20)
    assert not thread.is_alive()
    assert caught


def test_a_full_disk_is_said_before_anything_is_read(
    server: Server, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_im2im.zoo.transfer.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": 1000})(),
    )
    with pytest.raises(NetworkError, match="make room"):
        run(server.put("w.pt", BODY), sha256(BODY))
