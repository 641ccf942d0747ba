"""``napari-im2im zoo`` and ``napari-im2im test``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_im2im.cli import DONE, FAILED, MISUSED, main
from napari_im2im.zoo.trust import Code, TrustStore

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.zoo.settings import ZooSettings

    from .conftest import Server


@pytest.fixture(autouse=True)
def address(settings: ZooSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_IM2IM_ZOO_INDEX_URL", settings.index_url)


def test_list_get_and_show(
    served_model: str, server: Server, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "list"]) == DONE
    printed = capsys.readouterr()
    assert served_model in printed.out
    assert "Humble heron" in printed.out
    assert "1 of 1 models" in printed.err
    assert main(["zoo", "get", served_model]) == DONE
    assert str(home / "models" / "humble-heron-v0") in capsys.readouterr().out
    server.answers.clear()
    assert main(["zoo", "list", "heron", "--installed", "--offline"]) == DONE
    assert "here" in capsys.readouterr().out
    assert main(["zoo", "show", served_model, "--offline"]) == DONE
    shown = capsys.readouterr().out
    assert "Reads: raw (channel 1, y ≥ 16, x ≥ 16)" in shown
    assert "Licence: MIT" in shown


def test_other_programs_read_the_list(
    served_model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "list", "--json"]) == DONE
    *_, listed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert listed["name"] == served_model
    assert listed["title"] == "Humble heron"
    assert listed["reason"] == ""
    assert main(["zoo", "get", served_model, "--json"]) == DONE
    *_, downloaded = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert downloaded["event"] == "Downloaded"


def test_filters(collection: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "list", "--dimensions", "3D", "--task", "segment"]) == DONE
    printed = capsys.readouterr().out
    assert "dazzling-blowfish" in printed
    assert "chatty-frog" not in printed


def test_consent_is_listed_and_withdrawn(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = Code("network.py", "builds the network", "4f2a" * 16)
    TrustStore().agree(code, "humble-heron")
    assert main(["zoo", "trusted"]) == DONE
    printed = capsys.readouterr().out
    assert "humble-heron" in printed
    assert "4f2a4f2a4f2a4f2a" in printed
    assert main(["zoo", "withdraw", "humble-heron"]) == DONE
    assert "asks again before it runs" in capsys.readouterr().out
    assert TrustStore().trusted() == frozenset()
    assert main(["zoo", "withdraw", "humble-heron"]) == FAILED
    assert "zoo trusted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["zoo"], MISUSED, "required"),
        (["zoo", "get"], MISUSED, "Name one model"),
        (["zoo", "get", "no-such"], FAILED, "no model 'no-such'"),
        (["zoo", "get", "/no/such.zip"], FAILED, "check the path"),
        (["zoo", "show", "no-such"], FAILED, "no model 'no-such'"),
        (["zoo", "show", "chatty-forg"], FAILED, "did you mean chatty-frog?"),
        (["zoo", "get", "chatty-forg"], FAILED, "did you mean chatty-frog?"),
        (["test", "/no/such"], FAILED, "There is no file"),
    ],
)
def test_mistakes_are_explained(
    collection: list[str],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err
