"""What a configuration completes where nothing is said."""

from __future__ import annotations

import pytest

from napari_im2im.training.config import TrainConfig


@pytest.mark.parametrize("task", ["instances", "noise2void"])
def test_new_default_networks_learn_some_tasks_in_larger_steps(task, tmp_path):
    plain = TrainConfig(task="image").completed().optimizer.rate

    def rate(**values):
        return TrainConfig(task=task, **values).completed().optimizer.rate

    assert rate() > plain
    assert rate(optimizer={"learning_rate": plain}) == plain
    assert rate(optimizer={"schedule": "constant"}) == rate()
    # Others may not bear it, and what is known already shall not be spoiled.
    assert rate(network={"name": "SwinUNETR"}) == plain
    assert rate(start_from=tmp_path) == plain


def test_completing_twice_changes_nothing():
    for task in ("semantic", "instances", "unpaired", "noise2void"):
        values = {"adversarial": {"weight": 0.1}} if task == "unpaired" else {}
        once = TrainConfig(task=task, **values).completed()
        assert once.completed() == once
