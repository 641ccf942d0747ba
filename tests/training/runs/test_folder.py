from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.runs.folder import RunFolder, read_config


def test_a_taken_name_gets_a_number(tmp_path):
    config = TrainConfig(name="bf to dapi/1")
    names = [RunFolder.create(tmp_path, config).path.name for _ in range(3)]
    assert names == ["bf-to-dapi-1", "bf-to-dapi-1-2", "bf-to-dapi-1-3"]


def test_the_config_is_read_back(tmp_path):
    config = TrainConfig(
        patch={"y": 64, "x": 32}, loss={"l1": 0.5, "ssim": 0.5}, effort={"epochs": 3}
    )
    run = RunFolder.create(tmp_path, config)
    assert read_config(run.path / "config.yaml") == config.completed()
    assert "torch==" in (run.path / "environment.txt").read_text()


def test_a_config_that_is_none_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("effort: {minutes: 3}")
    with pytest.raises(ConfigError, match=r"config\.yaml is no training .*minutes"):
        read_config(path)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path, TrainConfig())
    run.save_checkpoint({"step": 1, "network": {"w": torch.ones(3)}})

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ModelError, match=r"No space left on device.*is kept"):
        run.save_checkpoint({"step": 2})
    assert run.load_checkpoint()["step"] == 1
    assert [p.name for p in run.checkpoint.parent.iterdir()] == ["last.ckpt"]


def test_rows_after_the_checkpoint_are_forgotten(tmp_path):
    run = RunFolder(tmp_path)
    for step in (10, 20, 30):
        run.append_metrics({"step": step, "psnr": step / 2})
    run.forget_metrics_after(20)
    assert run.metrics.read_text().split() == ["step,psnr", "10,5.0", "20,10.0"]


def test_a_folder_without_checkpoint_cannot_be_resumed(tmp_path):
    with pytest.raises(ConfigError, match="no checkpoint to continue from"):
        RunFolder.open(tmp_path)


def test_a_broken_checkpoint_is_refused(tmp_path):
    run = RunFolder.create(tmp_path, TrainConfig())
    run.save_checkpoint({"step": 1})
    run.checkpoint.write_bytes(b"half")
    with pytest.raises(ModelError, match="can't be read"):
        run.load_checkpoint()


def test_what_a_killed_process_left_is_removed(tmp_path):
    run = RunFolder.create(tmp_path, TrainConfig(name="a"))
    run.save_checkpoint({"step": 1})
    run.package.mkdir()
    (run.path / ".model-x1" / "inside").mkdir(parents=True)
    (run.path / "checkpoints" / ".last.ckpt.7.tmp").write_bytes(b"half")
    run.remove_unfinished()
    names = {path.name for path in run.path.rglob("*")}
    assert {"config.yaml", "model", "last.ckpt"} <= names
    assert not [name for name in names if name.startswith(".")]
