from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_im2im.errors import ModelError
from napari_im2im.zoo.sources import Source, recognise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("affable-shark", Source("nickname", "affable-shark")),
        (" bioimage-io/affable-shark ", Source("nickname", "affable-shark")),
        ("affable-shark/v1", Source("nickname", "affable-shark/v1")),
        ("laid-back-t-rex", Source("nickname", "laid-back-t-rex")),
        ("10.5281/zenodo.5764893", Source("doi", "10.5281/zenodo.5764893")),
        ("doi:10.5281/zenodo.5764893", Source("doi", "10.5281/zenodo.5764893")),
        ("https://doi.org/10.5281/zenodo.1", Source("doi", "10.5281/zenodo.1")),
        ("https://bioimage.io/#/artifacts/affable-shark", "affable-shark"),
        ("https://bioimage.io/#/?id=bioimage-io%2Faffable-shark", "affable-shark"),
        ("https://bioimage.io/#/p/affable-shark?version=v0", "affable-shark"),
        ("https://a.org/m.zip?x=1", Source("link", "https://a.org/m.zip?x=1")),
        ("nuclei segmentation", Source("words", "nuclei segmentation")),
        ("2D", Source("words", "2D")),
        ("", Source("words", "")),
    ],
)
def test_recognise(text: str, expected: Source | str) -> None:
    if isinstance(expected, str):
        expected = Source("nickname", expected)
    assert recognise(text) == expected


def test_an_existing_path_is_a_path_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "affable-shark").mkdir()
    monkeypatch.chdir(tmp_path)
    assert recognise("affable-shark") == Source("path", "affable-shark")
    assert recognise(f'"{tmp_path}"') == Source("path", str(tmp_path))
    assert recognise(tmp_path.as_uri()) == Source("path", str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "/no/such/file",
        "~/no-such-file",
        "./my-model",
        "models/my-model",
        "model.zip",
        "my-model.yaml",
        "C:\\models\\x",
        "file:///no/such/file",
    ],
)
def test_a_mistyped_path_is_an_error_and_nothing_to_look_up(text: str) -> None:
    with pytest.raises(ModelError, match="check the path"):
        recognise(text)


@pytest.mark.parametrize("text", ["ftp://a.org/m.zip", "s3://b/m", "javascript://x"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match="only http"):
        recognise(text)
