from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.errors import ModelError
from napari_im2im.models import archive
from napari_im2im.models.archive import (
    extract_archive,
    extract_to_cache,
    is_safe_name,
    sha256_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members:
            opened.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../secret",
        "a/../../b",
        "C:\\x",
        "..\\x",
        "\\\\host\\x",
        "",
        "~\0",
    ],
)
def test_names_that_leave_the_folder_are_unsafe(name: str) -> None:
    assert not is_safe_name(name)


@given(
    st.lists(st.text("abc_-. ", min_size=1).filter(lambda s: s.strip(". ")), min_size=1)
)
def test_names_made_of_plain_parts_are_safe(parts: list[str]) -> None:
    assert is_safe_name("/".join(parts))


def test_an_archive_is_unpacked_as_it_was_packed(tmp_path: Path) -> None:
    packed = zip_of(tmp_path / "a.zip", ("rdf.yaml", b"x: 1"), ("sub/w.pt", b"w" * 99))

    folder = extract_archive(packed, tmp_path / "out")

    assert (folder / "rdf.yaml").read_bytes() == b"x: 1"
    assert (folder / "sub" / "w.pt").read_bytes() == b"w" * 99


@pytest.mark.parametrize("name", ["/tmp/evil", "../evil", "ok/../../evil", "..\\evil"])
def test_members_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    packed = zip_of(tmp_path / "a.zip", ("fine.txt", b"1"), (name, b"evil"))

    with pytest.raises(ModelError, match="leave its folder"):
        extract_archive(packed, tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip", "in"]


def test_links_are_refused(tmp_path: Path) -> None:
    packed = zip_of(tmp_path / "a.zip", (link("weights.pt"), b"/etc/passwd"))

    with pytest.raises(ModelError, match="link"):
        extract_archive(packed, tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    packed = zip_of(tmp_path / "a.zip", ("weights.pt", bytes(80 * 2**20)))

    with pytest.raises(ModelError, match="suspiciously compressed"):
        extract_archive(packed, tmp_path / "out")


def test_too_much_in_all_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    packed = zip_of(tmp_path / "a.zip", ("a", b"1" * 60), ("b", b"2" * 60))

    with pytest.raises(ModelError, match="more than the"):
        extract_archive(packed, tmp_path / "out")


def test_a_damaged_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    packed = zip_of(tmp_path / "a.zip", ("a", b"hello" * 1000))
    broken = bytearray(packed.read_bytes())
    broken[40] ^= 0xFF
    packed.write_bytes(broken)

    with pytest.raises(ModelError, match="not a readable zip"):
        extract_archive(packed, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_something_else_than_a_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"hello")

    with pytest.raises(ModelError, match=r"a\.zip is not a readable zip"):
        extract_archive(tmp_path / "a.zip", tmp_path / "out")


def test_the_cache_holds_a_folder_for_each_content(tmp_path: Path) -> None:
    one = extract_to_cache(zip_of(tmp_path / "one.zip", ("a", b"1")))
    again = extract_to_cache(zip_of(tmp_path / "same.zip", ("a", b"1")))
    other = extract_to_cache(zip_of(tmp_path / "other.zip", ("a", b"2")))

    assert one == again
    assert (one / "a").read_bytes() == b"1"
    assert (other / "a").read_bytes() == b"2"


def test_a_hash_is_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(io.BytesIO(b"abc").read())

    assert sha256_of(path).startswith("ba7816bf8f01cfea")
