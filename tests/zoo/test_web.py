from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from napari_im2im.errors import NetworkError
from napari_im2im.zoo.web import WebCache, check_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server


@pytest.fixture
def cache(tmp_path: Path, settings: ZooSettings) -> Iterator[WebCache]:
    with WebCache(tmp_path / "cache", settings) as cache:
        yield cache


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "javascript:x", "", "http://"]
)
def test_only_http_addresses_are_opened(url: str) -> None:
    with pytest.raises(NetworkError, match="only http"):
        check_url(url)


def test_an_unchanged_file_is_not_sent_again(server: Server, cache: WebCache) -> None:
    url = server.put("a.json", "[1]", etag='"v1"')
    first = cache.fetch(url)
    second = cache.fetch(url)
    assert first.content == second.content == b"[1]"
    assert server.requests[1][1]["If-None-Match"] == '"v1"'
    assert second.fetched >= first.fetched


def test_a_changed_file_replaces_the_copy(server: Server, cache: WebCache) -> None:
    url = server.put("a.json", "[1]", etag='"v1"')
    cache.fetch(url)
    server.put("a.json", "[2]", etag='"v2"')
    assert cache.fetch(url).content == b"[2]"


def test_offline_uses_the_copy_and_asks_nothing(
    server: Server, cache: WebCache
) -> None:
    url = server.put("a.json", "[1]")
    cache.fetch(url)
    assert cache.fetch(url, offline=True).content == b"[1]"
    assert server.count("a.json") == 1
    with pytest.raises(NetworkError, match="no copy"):
        cache.fetch(url + "?other", offline=True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 404}, "no such file"),
        ({"status": 403}, "refuses"),
        ({"status": 500}, "try again later"),
        ({"delay": 2.0}, "too long"),
        ({"delay": 0.2, "drips": True}, "too slowly"),
        ({"breaks_after": 20}, "broke off"),
        (
            {"headers": {"Location": "file:///etc/passwd"}, "status": 302},
            "can't be read",
        ),
    ],
)
def test_a_bad_answer_is_explained_or_replaced_by_the_copy(
    server: Server,
    cache: WebCache,
    tmp_path: Path,
    hasty: ZooSettings,
    answer: dict[str, object],
    words: str,
) -> None:
    url = server.put("a.txt", b"0123456789abcdef" * 20, **answer)
    with WebCache(tmp_path / "cache", hasty) as hasty_cache:
        with pytest.raises(NetworkError, match=words):
            hasty_cache.fetch(url)
        server.put("a.txt", "good")
        cache.fetch(url)
        server.put("a.txt", b"0123456789abcdef" * 20, **answer)
        copy = hasty_cache.fetch(url)
    assert copy.content == b"good"
    assert words in copy.problem


def test_nobody_there_is_explained(cache: WebCache) -> None:
    with pytest.raises(NetworkError, match="can't be reached"):
        cache.fetch("http://127.0.0.1:9/nothing")


def test_nonsense_never_replaces_a_good_copy(server: Server, cache: WebCache) -> None:
    url = server.put("a.json", "7")
    assert cache.fetch(url, check=int).content == b"7"
    server.put("a.json", "<html>captive portal</html>")
    copy = cache.fetch(url, check=int)
    assert copy.content == b"7"
    assert "something else" in copy.problem


def test_a_known_hash_is_checked_and_makes_a_copy_final(
    server: Server, cache: WebCache
) -> None:
    url = server.put("a.txt", "good")
    digest = hashlib.sha256(b"good").hexdigest()
    with pytest.raises(NetworkError, match="sha256"):
        cache.fetch(url, sha256="0" * 64)
    cache.fetch(url, sha256=digest)
    cache.fetch(url, sha256=digest)
    assert server.count("a.txt") == 2


def test_a_damaged_copy_is_read_again(server: Server, cache: WebCache) -> None:
    url = server.put("a.txt", "good")
    cache.fetch(url)
    (body,) = cache.folder.glob("*.bin")
    body.write_bytes(b"evil")
    assert cache.cached(url) is None
    assert cache.fetch(url).content == b"good"


def test_a_huge_answer_is_cut(server: Server, cache: WebCache) -> None:
    url = server.put("a.txt", b"0" * 5000)
    with pytest.raises(NetworkError, match="larger than"):
        cache.fetch(url, limit=4000)
