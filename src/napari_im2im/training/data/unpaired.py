"""Two sets of images of which none belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle, islice, zip_longest
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.tables import ImageTable, TableRow
from napari_im2im.training.data.examples import Example, collect, open_examples
from napari_im2im.training.data.loading import load_samples
from napari_im2im.training.data.sampling import Batch, PatchSampler

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_im2im.events import Progress
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import ExampleSet, Pair
    from napari_im2im.training.data.focus import Focus
    from napari_im2im.training.data.normalization import ImageScaling
    from napari_im2im.training.data.samples import Layout, Sample

_TARGET_SEED = 2**32
"""Added to the seed of the targets' patches, which else lay where the inputs' do."""


@dataclass(frozen=True)
class TwoSets:
    """Images to translate, and images of what they shall look like.

    Each is an `ExampleSet` whose images are their own targets.
    """

    inputs: ExampleSet
    targets: ExampleSet

    @property
    def examples(self) -> list[Example]:
        """Inputs beside targets as if they were pairs, to compare their axes."""
        sides = self.inputs.examples, self.targets.examples
        count = max(map(len, sides))
        pairs = zip(*(islice(cycle(side), count) for side in sides), strict=True)
        return [Example(one.input, other.input) for one, other in pairs]


def find_sets(config: TrainConfig) -> tuple[ImageTable, ImageTable]:
    """Find the files of inputs and of targets, each as the inputs of a table.

    Raises
    ------
    DataError
        If there are none, or it isn't clear which are which.
    """
    from napari_im2im.images.folders.patterns import table_of_patterns
    from napari_im2im.images.folders.tables import read_table
    from napari_im2im.images.folders.two_sets import recognise_two_sets

    data = config.data
    if data.folder is not None:
        kinds = {str(kind): pattern for kind, pattern in data.kinds.items()}
        return recognise_two_sets(data.folder.expanduser(), kinds)
    if data.table is not None:
        table = read_table(data.table.expanduser(), paired=False)
        goals = [replace(r, inputs=r.targets) for r in table.rows if r.targets]
        sides = [r for r in table.rows if r.inputs], goals
        one, other = (
            tuple(replace(row, targets=(), cost_map=None) for row in side)
            for side in sides
        )
        return replace(table, rows=one), replace(table, rows=other)
    if not (data.inputs and data.targets):
        raise DataError(
            "Two sets of images are needed: name the files to translate in "
            "data.inputs and those of what they shall look like in data.targets, or a "
            "folder in data.folder."
        )
    return table_of_patterns(data.inputs, ()), table_of_patterns(data.targets, ())


def open_sets(
    config: TrainConfig, pairs: Sequence[Pair | Example] | None = None
) -> TwoSets:
    """Open both sets, without reading their pixels.

    Parameters
    ----------
    config
        The job.
    pairs
        Open images; what stands beside what says nothing, and images may be repeated.
        Default: the files that the config names.

    Raises
    ------
    DataError
        If a set is empty, or an image is in both.
    ImageError
        If a file can't be opened.
    """
    sides = [side_config(config, role) for role in ("input", "target")]
    if pairs is None:
        tables = find_sets(config)
        _check_apart(tables)
        opened = [open_examples(s, t) for s, t in zip(sides, tables, strict=True)]
    else:
        examples = [p if isinstance(p, Example) else Example(*p) for p in pairs]
        opened = []
        for role, side in zip(("input", "target"), sides, strict=True):
            images = {id(getattr(e, role).data): e for e in examples}.values()
            mine = [replace(e, input=getattr(e, role), cost_map=None) for e in images]
            opened.append(collect(mine, side))
    for role, found in zip(("translate", "learn the look of"), opened, strict=True):
        if not found.examples:
            raise DataError(f"There are no images to {role}: add some.")
    return TwoSets(*opened)


def side_config(config: TrainConfig, role: str) -> TrainConfig:
    """Return the config of one set, as if its images were all that there is."""
    if role == "input":
        return config
    data = config.data
    own = {"input_axes": data.target_axes, "input_channels": data.target_channels}
    return config.model_copy(update={"data": data.model_copy(update=own)})


def load_sets(
    sets: TwoSets, layout: Layout, config: TrainConfig, scaling: ImageScaling | None
) -> Generator[Progress, None, tuple[list[list[Sample]], list[list[Sample]]]]:
    """Read the pixels of both sets; see `load_samples`.

    Returns
    -------
    tuple of list
        For inputs and for targets the samples of each image, which are their own
        targets.
    """
    inputs = yield from load_samples(sets.inputs.examples, layout, config, scaling)
    side = side_config(config, "target")
    targets = yield from load_samples(sets.targets.examples, layout, side)
    return inputs, targets


def side_by_side(inputs: ImageTable, targets: ImageTable) -> ImageTable:
    """Return both sets as one table to look at; what shares a row has no meaning."""
    rows = [
        TableRow(one.inputs if one else (), other.inputs if other else ())
        for one, other in zip_longest(inputs.rows, targets.rows)
    ]
    counts = [
        f"{len(side.rows)} {name}{'s' if len(side.rows) != 1 else ''}"
        for side, name in ((inputs, "input"), (targets, "target"))
    ]
    notes = dict.fromkeys((*inputs.notes, *targets.notes))
    return ImageTable(tuple(rows), " and ".join(counts), tuple(notes))


def file_rows(
    inputs: Sequence[TableRow], targets: Sequence[TableRow]
) -> list[TableRow]:
    """Return the rows of one table that `find_sets` reads back as both sets."""
    others = [replace(row, inputs=(), targets=row.inputs) for row in targets]
    return [*inputs, *others]


def _check_apart(tables: tuple[ImageTable, ImageTable]) -> None:
    one, other = ({p for row in t.rows for p in row.inputs} for t in tables)
    both = sorted(one & other)
    if both:
        raise DataError(
            f"{both[0]} is an input and a target: name files that differ on both sides."
        )


@dataclass(frozen=True)
class UnpairedSampler:
    """Draws patches of inputs and of targets that have nothing to do with each other.

    Parameters
    ----------
    inputs, targets
        What draws them, with patches and batches of the same size.
    """

    inputs: PatchSampler
    targets: PatchSampler

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The images of both sets."""
        return (*self.inputs.samples, *self.targets.samples)

    @property
    def patch(self) -> tuple[int, ...]:
        """Patch size ``([z,] y, x)``."""
        return self.inputs.patch

    @property
    def batch_size(self) -> int:
        """Patches of either set in a batch."""
        return self.inputs.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches that hold as many pixels as the larger set."""
        return max(self.inputs.steps_per_epoch, self.targets.steps_per_epoch)

    def batch(self, index: int) -> Batch:
        """Return batch ``index``."""
        source, goal = self.inputs.batch(index), self.targets.batch(index)
        return Batch(source.input, goal.input, scalings=source.scalings)


def unpaired_sampler(
    inputs: PatchSampler, targets: Sequence[Sample], focus: Focus
) -> UnpairedSampler:
    """Return what draws patches of targets beside those of inputs.

    Parameters
    ----------
    inputs
        What draws the inputs.
    targets
        Images of the other set.
    focus
        Which patches of them are preferred.
    """
    seed = inputs.seed + _TARGET_SEED
    other = replace(inputs, samples=targets, focus=focus, seed=seed)
    return UnpairedSampler(inputs, other)
