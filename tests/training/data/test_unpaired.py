"""Two sets of images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_im2im.errors import DataError
from napari_im2im.images.image import Image
from napari_im2im.images.writing import save_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.focus import Focus
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.sampling import PatchSampler
from napari_im2im.training.data.unpaired import (
    find_sets,
    open_sets,
    side_by_side,
    unpaired_sampler,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with 3 inputs of 2 channels, and 2 targets."""
    for name, count, shape in (("a", 3, (2, 8, 8)), ("b", 2, (8, 8))):
        for number in range(count):
            pixels = np.full(shape, number + 1, np.uint16)
            image = Image(pixels, ("channel", "y", "x")[-len(shape) :])
            save_image(image, tmp_path / name / f"{number}.ome.tif")
    return tmp_path


def job(**data):
    return TrainConfig(task="unpaired", data=data)


def names(table):
    return [row.inputs[0].parent.name + row.inputs[0].name[0] for row in table.rows]


@pytest.mark.parametrize("how", ["folder", "patterns", "table"])
def test_files_are_found_however_they_are_named(folder, how):
    data = {"folder": folder}
    if how == "patterns":
        data = {"inputs": [f"{folder}/a/*.tif"], "targets": [f"{folder}/b/*.tif"]}
    if how == "table":
        lines = [f"a/{n}.ome.tif,{f'b/{n}.ome.tif' if n < 2 else ''}" for n in range(3)]
        data = {"table": folder / "files.csv"}
        data["table"].write_text("\n".join(["input,target", *lines]))
    inputs, targets = find_sets(job(**data))
    assert names(inputs) == ["a0", "a1", "a2"]
    assert names(targets) == ["b0", "b1"]
    assert [len(row.targets) for row in side_by_side(inputs, targets).rows] == [1, 1, 0]


def test_names_that_would_pair_say_nothing(folder):
    sets = open_sets(job(folder=folder))
    assert [e.input is e.target for e in sets.inputs.examples] == [True] * 3
    assert len(sets.examples) == 3
    assert sets.examples[2].target is sets.targets.examples[0].input


def test_open_images_may_be_repeated():
    one, other, third = (Image(np.full((4, 4), n), ("y", "x")) for n in range(3))
    config = TrainConfig(task="unpaired")
    sets = open_sets(config, [(one, third), (other, third)])
    assert len(sets.inputs.examples) == 2
    assert len(sets.targets.examples) == 1


def test_a_file_is_in_one_set_only(folder):
    same = [f"{folder}/a/*.tif"]
    with pytest.raises(DataError, match="is an input and a target"):
        open_sets(job(inputs=same, targets=same))
    with pytest.raises(DataError, match=r"name the files to translate in data\.inputs"):
        open_sets(job(inputs=same))


def test_patches_of_both_sets_lie_elsewhere():
    rows, columns = np.indices((64, 64), np.float32)
    place = (64 * rows + columns)[None]
    samples = [Sample(place, place, "a")]
    inputs = PatchSampler(samples, (8, 8), 4, flip=False, quarter_turns=False)
    sampler = unpaired_sampler(inputs, samples, Focus())
    batch = sampler.batch(3)
    assert batch.input.shape == batch.target.shape == (4, 1, 8, 8)
    assert not np.isin(batch.input[:, 0, 0, 0], batch.target[:, 0, 0, 0]).any()
    np.testing.assert_array_equal(batch.target, sampler.batch(3).target)


def test_processes_share_a_batch_of_both_sets():
    pixels = np.random.default_rng(0).random((1, 64, 64), np.float32)
    samples = [Sample(pixels, pixels, "a")]
    whole, *parts = (
        unpaired_sampler(
            PatchSampler(samples, (8, 8), 4, share=share), samples, Focus()
        ).batch(1)
        for share in (slice(None), slice(0, 2), slice(2, 4))
    )
    together = np.concatenate([part.target for part in parts])
    np.testing.assert_array_equal(together, whole.target)
