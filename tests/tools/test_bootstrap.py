"""Setting up on a machine that has nothing but Python."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "bootstrap.py"


@pytest.fixture
def bootstrap():
    specification = importlib.util.spec_from_file_location("bootstrap", TOOL)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def bare(bootstrap, monkeypatch):
    """A Linux without Qt's libraries, as somebody who may not install them."""
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap, "can_load", lambda library: False)
    monkeypatch.setattr(bootstrap, "has_display", lambda: False)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program: None)
    return bootstrap


def test_who_may_not_install_is_told_what_is_missing_in_one_line(bare):
    with pytest.raises(bare.SetupError) as error:
        bare.install_system_libraries(required=True)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert all(package in sentence for package in ("libxcb-cursor0", "libegl1", "xvfb"))
    assert "sudo python3 tools/bootstrap.py system" in sentence


def test_the_demo_goes_on_without_a_window(bare, capsys):
    bare.install_system_libraries(required=False)
    assert "libxcb-cursor0" in capsys.readouterr().err


def test_root_on_debian_gets_them_installed(bare, monkeypatch):
    installed = []
    monkeypatch.setattr(bare, "may_install", lambda: True)
    monkeypatch.setattr(bare, "apt_install", installed.extend)
    bare.install_system_libraries(required=True)
    assert {"libxcb-cursor0", "xvfb", "libgl1-mesa-dri"} <= set(installed)


def test_a_python_without_ensurepip_names_the_package(bare, monkeypatch, tmp_path):
    monkeypatch.setattr(bare, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bare, "find_spec", lambda name: None)
    with pytest.raises(bare.SetupError, match=r"python3\.\d+-venv"):
        bare.make_virtual_environment()


def test_it_needs_nothing_but_the_standard_library():
    command = [sys.executable, "-I", "-S", str(TOOL), "--help"]
    help_text = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "demo" in help_text.stdout
