"""From a configuration and images to everything that the first step needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import TYPE_CHECKING

import torch

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.models.network_sizes import network_sizes
from napari_im2im.models.networks import (
    NetworkPlan,
    build_network,
    plan_network,
)
from napari_im2im.training.adversarial.opponents import Opponents, find_opponents
from napari_im2im.training.automatic import (
    choose_batch_size,
    choose_patch,
    fewest_at_once,
    least_size,
)
from napari_im2im.training.data.examples import collect, open_examples
from napari_im2im.training.data.focus import Focus, learn_focus
from napari_im2im.training.data.loading import constant_inputs, load_samples
from napari_im2im.training.data.planning import plan_layout
from napari_im2im.training.data.splitting import Split, split_samples
from napari_im2im.training.data.subset import representative
from napari_im2im.training.finetuning.parent import Start, build_start, with_rate
from napari_im2im.training.finetuning.trainable import open_start
from napari_im2im.training.input_scaling import choose_scaling, scaling_by_image
from napari_im2im.training.tasks.catalogue import TASKS
from napari_im2im.training.tasks.opening import open_task
from napari_im2im.training.validation import Validator, crop_shape, validation_crops

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence
    from typing import Any

    from napari_im2im.events import Progress
    from napari_im2im.images.folders.tables import TableRow
    from napari_im2im.models.tensors import FixedSize, SteppedSize
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import Example, ExampleSet, Pair
    from napari_im2im.training.data.normalization import InputScaling
    from napari_im2im.training.data.samples import Layout, Sample
    from napari_im2im.training.tasks.task import Task


@dataclass(frozen=True)
class Preparation:
    """What a training is made of before its first step.

    ``task`` is what is learned, ``plan`` what builds the network, ``start`` what is
    fine-tuned and ``adapts`` whether it must get used to other images, channels or
    outputs first, ``focus`` which patches are preferred, ``opponents`` what the
    network learns against. Where nothing pairs, ``split`` is that of the inputs and
    ``others`` that of the targets, of which ``other_focus`` prefers patches. ``rows``
    are the files with what each is for, and ``notes`` are sentences for the user.
    """

    config: TrainConfig
    layout: Layout
    task: Task
    network: torch.nn.Module
    plan: NetworkPlan
    sizes: Mapping[str, SteppedSize | FixedSize]
    split: Split
    patch: dict[str, int]
    batch_size: int
    input_scaling: InputScaling
    start: Start | None = None
    adapts: bool = False
    focus: Focus = field(default_factory=Focus)
    opponents: Opponents | None = None
    others: Split | None = None
    other_focus: Focus = field(default_factory=Focus)
    rows: tuple[TableRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        """All that learn: the network, and what it learns against."""
        found = () if self.opponents is None else self.opponents.networks
        return (self.network, *found)

    @property
    def patches_per_step(self) -> int:
        """Patches that a step of the optimiser learns from."""
        return self.batch_size * self.config.optimizer.accumulate

    def validator(self, device: torch.device) -> Validator:
        """Return what judges the network on a device."""
        held_out, others = self.split.validation, self.others
        targets = others.validation if others is not None else ()
        shape = crop_shape([*held_out, *targets], self.sizes)
        crops = validation_crops(held_out, shape, self.config.seed)
        if targets:
            beside = cycle(validation_crops(targets, shape, self.config.seed))
            crops = [replace(c, target=next(beside).target) for c in crops]
        return Validator(crops=crops, task=self.task, device=device)


def prepare(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    on_cpu: bool,
    trusted: Collection[str] = (),
) -> Preparation:
    """Do what `preparing` does, without telling of it."""
    steps = preparing(config, pairs, on_cpu=on_cpu, trusted=trusted)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            prepared: Preparation = end.value
            return prepared


def preparing(
    config: TrainConfig,
    pairs: Sequence[Pair | Example] | None = None,
    *,
    on_cpu: bool,
    trusted: Collection[str] = (),
) -> Generator[Progress, None, Preparation]:
    """Check the images, build the network, split, and learn the normalisation.

    Statistics come from the training part alone; of very large sets from regions of
    it. ``pairs`` are open images (default: the files that the config names),
    ``trusted`` the sha256 of the code that the model to start from may run.

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
    if config.task == "unpaired":
        # It builds on this module.
        from napari_im2im.training.adversarial.preparation import preparing_unpaired

        return (yield from preparing_unpaired(config, pairs, on_cpu=on_cpu))
    package = None
    if config.start_from is not None:
        package, config = open_start(config)
    config = config.completed()
    found = open_examples(config) if pairs is None else collect(pairs, config)
    layout = plan_layout(found.examples, config)
    by_image = scaling_by_image(config, package, layout)
    loaded = yield from load_samples(found.examples, layout, config, by_image)
    used = [i for i, samples in enumerate(loaded) if samples]
    found = replace(found, examples=tuple(found.examples[i] for i in used))
    loaded = [loaded[i] for i in used]
    task = open_task(config, layout)
    task.check(representative([s for group in loaded for s in group], config.seed))
    start = None
    if package is not None:
        start = build_start(package, layout, config, task.output_names, trusted=trusted)
        network, sizes = start.network, dict(start.sizes)
        plan = NetworkPlan(start.architecture.callable, start.architecture.kwargs)
    else:
        network, plan, sizes = new_network(config, layout, task)
    split = split_examples(loaded, found, sizes, config)
    patch = choose_patch(config, split.training, sizes, on_cpu=on_cpu)
    check_validation(split, sizes)
    learned = representative(split.training, config.seed)
    input_scaling, notes, other = choose_scaling(config, package, by_image, learned)
    split = split.scaled(input_scaling)
    adapts = start is not None and (start.changed or other)
    if start is not None:
        config, note = with_rate(config, adapts=adapts)
        notes += note
    notes += [*constant_inputs(loaded), *task.learn(learned, start)]
    if layout.enlargement:
        times = ", ".join(f"{n} times along {a}" for a, n in layout.enlargement.items())
        notes.append(f"The targets have more pixels ({times}): the model enlarges.")
    labels = TASKS[config.task].target == "labels"
    return Preparation(
        config=config,
        layout=layout,
        task=task,
        network=network,
        plan=plan,
        sizes=sizes,
        split=split,
        patch=patch,
        batch_size=choose_batch_size(config, patch, on_cpu=on_cpu),
        input_scaling=input_scaling,
        start=start,
        adapts=adapts,
        focus=learn_focus(config.data, learned, labels=labels),
        opponents=find_opponents(task, patch),
        rows=table_rows(found, split),
        notes=(*(start.notes if start is not None else ()), *found.notes, *notes),
    )


def split_examples(
    loaded: Sequence[Sequence[Sample]],
    found: ExampleSet,
    sizes: Mapping[str, SteppedSize | FixedSize],
    config: TrainConfig,
) -> Split:
    """Return what is learned and what is held out, as a configuration wants it."""
    return split_samples(
        loaded,
        fraction=config.data.validation_fraction,
        step={a: least_size(size) for a, size in sizes.items()},
        seed=config.seed,
        by=config.data.split_by,
        groups=[example.group for example in found.examples],
        parts=[example.part for example in found.examples],
    )


def table_rows(found: ExampleSet, split: Split) -> tuple[TableRow, ...]:
    """Return the files with what each is for, as far as images come from files."""
    rows = [
        replace(example.row, part=part)
        for example, part in zip(found.examples, split.parts, strict=True)
        if example.row is not None
    ]
    return (*rows, *found.test)


def new_network(
    config: TrainConfig, layout: Layout, task: Task
) -> tuple[torch.nn.Module, NetworkPlan, dict[str, SteppedSize | FixedSize]]:
    """Return a network, what builds it, and the sizes that it takes by axis."""
    arguments: dict[str, Any] = {
        "spatial_axes": layout.spatial_axes,
        "in_channels": len(layout.input_channels),
        "out_channels": len(task.output_names),
        "scale": layout.scale,
        "patch": config.patch,
        "enlarge": layout.enlargement,
    }
    torch.manual_seed(config.seed)
    network = build_network(config.network, **arguments)
    sizes = network_sizes(
        network,
        spatial_axes=layout.spatial_axes,
        in_channels=arguments["in_channels"],
        patch=config.patch,
    )
    return network, plan_network(config.network, **arguments), sizes


def check_validation(
    split: Split, sizes: Mapping[str, SteppedSize | FixedSize]
) -> None:
    """Refuse to validate on what is smaller than the network takes.

    Raises
    ------
    DataError
        Naming the image.
    """
    for i, (axis, size) in enumerate(sizes.items()):
        for sample in split.validation:
            least = least_size(size)
            if sample.spatial_shape[i] < least:
                raise DataError(
                    f"{sample.name} has {sample.spatial_shape[i]} pixels along {axis} "
                    f"to validate on, but the network needs {least}: hold out more "
                    "(data.validation_fraction) or use larger images."
                )


def check_batch(preparation: Preparation) -> None:
    """Refuse batches whose coarsest level is a single pixel.

    Raises
    ------
    ConfigError
        Because a batch norm has nothing to normalise over.
    """
    least = fewest_at_once(preparation.patch, preparation.sizes)
    if preparation.batch_size < least:
        raise ConfigError(
            "A batch of one patch of the smallest size is too little to normalise "
            "over: use batch_size 2 or a larger patch."
        )
