"""What each output of a prediction becomes: its layout, and its postprocessing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.images.writing import check_format
from napari_im2im.inference.objects.separation import (
    labels_layout,
    meaning_of_objects,
)
from napari_im2im.inference.outputs import (
    OutputLayout,
    check_paths,
    output_layout,
    output_paths,
)
from napari_im2im.inference.processing.classes import choice_of_classes, classes_layout
from napari_im2im.inference.processing.step_statistics import statistics_of
from napari_im2im.inference.processing.steps import WHOLE, Operation, dtype_after
from napari_im2im.inference.targets import Target
from napari_im2im.inference.tiling.geometry import ModelGeometry, model_geometry
from napari_im2im.models.tensors import FixedSize, Step, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.setup import Model
    from napari_im2im.inference.tiling.planning import Plan


@dataclass(frozen=True)
class TargetPlanner:
    """Lays out the outputs of a prediction.

    Parameters
    ----------
    model, config
        What is predicted with, and how.
    geometry
        How the sizes of the model's tensors depend on each other.
    results
        The outputs as the network gives them.
    matching, plan
        What the inputs read, and the tiles.
    """

    model: Model
    config: PredictConfig
    geometry: ModelGeometry
    results: Sequence[TensorSpec]
    matching: Matching
    plan: Plan

    def targets(
        self,
        tails: Sequence[Sequence[Step]],
        heads: Sequence[Sequence[Operation]],
    ) -> list[Target]:
        """Return a target for each output, and for its spread under augmentation.

        Parameters
        ----------
        tails, heads
            For each output the postprocessing that follows an average of several
            results, and what comes before it.

        Raises
        ------
        ConfigError
            If a file is in the way.
        ModelError
            If an output isn't an image.
        """
        targets = []
        for index, (tail, head) in enumerate(zip(tails, heads, strict=True)):
            target = self._target(index, tail, head)
            targets.append(target)
            if self.config.test_time_augmentation:
                targets.append(self._spread(target))
        self._name_files(targets)
        return targets

    @property
    def _several(self) -> bool:
        return len(self.model.outputs) > 1

    def _target(
        self, index: int, tail: Sequence[Step], head: Sequence[Operation]
    ) -> Target:
        model, config, spec = self.model, self.config, self.model.outputs[index]
        layout = final = self._layout(index, self.results[index], self.geometry)
        if self.results[index] is not spec:
            whole = model_geometry(model.inputs, model.outputs)
            final = self._layout(index, spec, whole)
        meaning = step = None
        if not self._several:
            meaning = None if tail else meaning_of_objects(config, model.config)
            step = choice_of_classes(config, model.config, spec)
        if meaning is not None:
            final = labels_layout(layout, self.matching.groups)
        if step is not None:
            tail = [*tail, step]
            final = classes_layout(layout, step, self.matching.groups)
        if config.output_type is not None and final.metadata["kind"] == "intensity":
            final = replace(final, dtype=np.dtype(config.output_type))
        needs_all = bool(self.plan.overlap) or any(map(_needs_all, tail))
        deferred = needs_all or meaning is not None
        return Target(
            layout, final, None, head, tail, deferred=deferred, meaning=meaning
        )

    def _layout(
        self, index: int, spec: TensorSpec, geometry: ModelGeometry
    ) -> OutputLayout:
        model = self.model
        layout = output_layout(
            index,
            spec,
            geometry,
            self.matching,
            self.plan.region,
            self.plan.cores,
            _channels(spec, model),
            _stored_dtype(model.outputs[index]),
        )
        provenance = {
            "config": self.config.model_dump(mode="json", exclude_defaults=True),
            "model": {"id": model.id, "name": model.name, "sha256": model.sha256},
        }
        return replace(
            layout,
            name=spec.id if self._several else "",
            metadata={**provenance, "kind": spec.kind},
        )

    def _spread(self, target: Target) -> Target:
        """Return where the spread of an output under augmentation goes."""
        layout = replace(
            target.layout,
            name=f"{target.layout.name} spread".strip(),
            dtype=np.dtype(np.float32),
            metadata={**target.layout.metadata, "kind": "intensity"},
        )
        return Target(layout, layout, None, target.head, [], spread=True)

    def _name_files(self, targets: Sequence[Target]) -> None:
        """Give each target its file, if the prediction is written."""
        if self.config.output is None:
            return
        paths = output_paths(self.config.output, [each.final for each in targets])
        if not self.config.resume:
            check_paths(paths, overwrite=self.config.overwrite)
        for target, path in zip(targets, paths, strict=True):
            target.path = path
            check_format(target.final.image(target.final.blank(), path.name), path)


def _stored_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """Return the data type of an output; files have no truth values."""
    dtype = dtype_after(spec.steps, spec.dtype)
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype


def _needs_all(step: Any) -> bool:
    """Return whether a step needs the whole result first."""
    return step.id in WHOLE or statistics_of(step) is not None


def _channels(spec: TensorSpec, model: Model) -> int:
    """Return how many channels an output has."""
    if "channel" not in spec.axis_names:
        return 1
    size = spec.axis("channel").size
    if isinstance(size, FixedSize):
        return size.size
    tensors = zip(model.outputs, model.test_outputs(), strict=True)
    shape = next(array.shape for other, array in tensors if other.id == spec.id)
    return int(shape[spec.axis_names.index("channel")])
