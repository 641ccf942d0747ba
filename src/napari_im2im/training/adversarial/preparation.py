"""From two sets of images to everything that the first step needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_im2im.models.networks import build_network
from napari_im2im.training.adversarial.opponents import find_opponents
from napari_im2im.training.automatic import choose_batch_size, choose_patch
from napari_im2im.training.data.focus import learn_focus
from napari_im2im.training.data.planning import plan_layout
from napari_im2im.training.data.subset import representative
from napari_im2im.training.data.unpaired import (
    file_rows,
    load_sets,
    open_sets,
)
from napari_im2im.training.input_scaling import choose_scaling, scaling_by_image
from napari_im2im.training.preparation import (
    Preparation,
    check_validation,
    new_network,
    split_examples,
    table_rows,
)
from napari_im2im.training.tasks.opening import open_task

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_im2im.events import Progress
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, Pair
    from napari_im2im.training.data.samples import Layout
    from napari_im2im.training.data.splitting import Split


def preparing_unpaired(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    on_cpu: bool,
) -> Generator[Progress, None, Preparation]:
    """Do what `preparing` does, for two sets of images that don't pair.

    Each set is split by itself, and has its own normalisation and foreground.

    Yields
    ------
    Progress
        After each image that is read.

    Raises
    ------
    DataError
        If the images don't make a training set.
    ConfigError
        If the network or the patch size doesn't fit.
    """
    config = config.completed()
    sets = open_sets(config, pairs)
    layout = plan_layout(sets.examples, config)
    by_image = scaling_by_image(config, None, layout)
    loaded, others = yield from load_sets(sets, layout, config, by_image)
    task = open_task(config, layout)
    task.check(representative([s for group in others for s in group], config.seed))
    network, plan, sizes = new_network(config, layout, task)
    split = split_examples(loaded, sets.inputs, sizes, config)
    other = split_examples(others, sets.targets, sizes, config)
    everything = [*split.training, *other.training]
    patch = choose_patch(config, everything, sizes, on_cpu=on_cpu)
    for each in (split, other):
        check_validation(each, sizes)
    inputs, targets = (representative(s.training, config.seed) for s in (split, other))
    input_scaling, notes, _ = choose_scaling(config, None, by_image, inputs)
    rows = file_rows(table_rows(sets.inputs, split), table_rows(sets.targets, other))
    notes += task.learn(targets, None)
    return Preparation(
        config=config,
        layout=layout,
        task=task,
        network=network,
        plan=plan,
        sizes=sizes,
        split=_together(split.scaled(input_scaling), other),
        patch=patch,
        batch_size=choose_batch_size(config, patch, on_cpu=on_cpu),
        input_scaling=input_scaling,
        focus=learn_focus(config.data, inputs, labels=False),
        opponents=find_opponents(task, patch, _network_back(config, layout)),
        others=other,
        other_focus=learn_focus(config.data, targets, labels=False),
        rows=tuple(rows),
        notes=(*sets.inputs.notes, *sets.targets.notes, *notes, _what_is_kept(config)),
    )


def _network_back(config: TrainConfig, layout: Layout) -> torch.nn.Module:
    torch.manual_seed(config.seed + 1)
    return build_network(
        config.network,
        spatial_axes=layout.spatial_axes,
        in_channels=len(layout.target_channels),
        out_channels=len(layout.input_channels),
        scale=layout.scale,
        patch=config.patch,
    )


def _together(split: Split, other: Split) -> Split:
    """Return the split of the inputs, with the numbers and the text of both."""
    return replace(
        split,
        training_images=split.training_images + other.training_images,
        validation_images=split.validation_images + other.validation_images,
        text=f"Inputs: {split.text} Targets: {other.text}",
    )


def _what_is_kept(config: TrainConfig) -> str:
    if config.effort.monitor != "step":
        return f"Without pairs, what is kept is best by {config.effort.monitor} alone."
    average = ", a moving average of its weights" if config.optimizer.ema else ""
    return (
        f"Without pairs nothing tells which model is best: the newest is kept{average}."
    )
