"""Folders of this computer."""

import os

import pytest

from napari_im2im.errors import ConfigError
from napari_im2im.folders import check_writable


def test_a_folder_that_does_not_exist_yet_can_be_written(tmp_path):
    check_writable(tmp_path / "a" / "b", needed=1000)
    assert not (tmp_path / "a").exists()


def test_a_disk_without_space_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(ConfigError, match=r"needs 1000000000\.0 GB, but the disk has"):
        check_writable(tmp_path / "a", needed=10**18)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(ConfigError, match="a is a file"):
        check_writable(tmp_path / "a" / "b")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    # Asked of the system, because root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="choose another folder"):
        check_writable(tmp_path / "a")
