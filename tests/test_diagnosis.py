"""What doctor finds, with things missing."""

import json
from importlib.metadata import PackageNotFoundError

import pytest

from napari_im2im import diagnosis
from napari_im2im.cli import DONE, FAILED, main
from napari_im2im.diagnosis import (
    check_folder,
    check_requirements,
    check_runtimes,
    check_window,
    check_zoo,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_missing_and_an_old_package_are_problems_with_their_cure(monkeypatch):
    def version(name):
        if name == "zarr":
            raise PackageNotFoundError
        return "0.1" if name == "napari" else real(name)

    real = diagnosis.version
    monkeypatch.setattr(diagnosis, "version", version)
    problems = {
        finding.text: finding.advice
        for finding in check_requirements()
        if finding.state == "problem"
    }
    assert "zarr is missing" in problems
    (old,) = (text for text in problems if text.startswith("napari is 0.1"))
    assert problems[old].startswith("pip install 'napari>=")


def test_a_window_is_no_must(monkeypatch):
    monkeypatch.setattr(diagnosis, "find_spec", lambda name: None)
    (finding,) = check_window()
    assert finding.state == "note"
    assert "napari-im2im[all]" in finding.advice


def test_an_engine_that_does_not_import_is_a_problem(monkeypatch):
    def broken(name):
        raise OSError("libfoo.so not found")

    monkeypatch.setattr(diagnosis, "import_module", broken)
    states = {f.text.split()[0]: f for f in check_runtimes()}
    assert states["torch"].state == "problem"
    assert "libfoo.so" in states["torch"].text


def test_a_folder_says_its_size_or_what_is_in_the_way(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "weights").write_bytes(bytes(2**21))
    assert "2.0 MiB" in check_folder("runs", tmp_path / "runs").text
    blocked = check_folder("runs", tmp_path / "runs" / "weights" / "a")
    assert blocked.state == "problem"
    assert "NAPARI_IM2IM_HOME" in blocked.advice


def test_a_zoo_out_of_reach_is_a_note(monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_ZOO_INDEX_URL", "http://127.0.0.1:9/index.json")
    finding = check_zoo(1.0)
    assert finding.state == "note"
    assert "can't be reached" in finding.text


@pytest.mark.parametrize("broken", [False, True])
def test_the_exit_code_says_whether_something_needed_is_broken(
    monkeypatch, capsys, broken
):
    state = "problem" if broken else "note"
    found = diagnosis.Finding("device", "a thing", state, "mend it")
    monkeypatch.setattr(diagnosis, "diagnose", lambda **options: iter([found]))
    assert main(["doctor"]) == (FAILED if broken else DONE)
    output = capsys.readouterr()
    assert "a thing. → mend it." in output.out
    assert ("1 thing that is needed" in output.err) == broken
    main(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out)["advice"] == "mend it"


def test_everything_is_looked_at_without_the_network(home, capsys):
    main(["doctor", "--offline", "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    topics = {each["topic"] for each in found}
    assert topics == {"version", "window", "runtime", "device", "memory", "folder"}
    assert str(home) in next(f["text"] for f in found if f["topic"] == "folder")
