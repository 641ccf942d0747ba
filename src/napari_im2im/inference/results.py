"""Tile by tile: what the network made of it is cut, weighted and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.inference.outputs import tile_parts
from napari_im2im.inference.pipeline import Pipeline
from napari_im2im.inference.processing.step_statistics import statistics_of
from napari_im2im.inference.processing.steps import apply
from napari_im2im.inference.tiling.blending import ramp, weighted, widened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Computed, Job, TileRunner
    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.targets import Target
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.planning import Plan
    from napari_im2im.models.tensors import Step


@dataclass
class ResultWriter:
    """Cuts the core out of each result and writes it to the outputs."""

    targets: Sequence[Target]
    geometry: ModelGeometry
    matching: Matching
    plan: Plan
    oriented: bool

    def write(self, job: Job, computed: Computed) -> None:
        """Write what the network made of a job."""
        for target in self.targets:
            results = computed.spreads if target.spread else computed.results
            assert results is not None
            result = results[target.layout.index]
            names = target.layout.spec.axis_names
            for number, plane in enumerate(job.planes):
                pixels = result
                if "batch" in names:
                    pixels = pixels.take([number], names.index("batch"))
                if not self.oriented:
                    pixels = apply(target.head, pixels)
                self._write_plane(target, job, plane.group, plane.at, pixels)

    def _write_plane(
        self,
        target: Target,
        job: Job,
        group: int,
        at: Mapping[str, int],
        pixels: np.ndarray,
    ) -> None:
        plan, layout = self.plan, target.layout
        tile = job.tile
        if plan.overlap:
            tile = {
                axis: widened(part, plan.overlap[axis], plan.region[axis])
                if axis in plan.overlap
                else part
                for axis, part in tile.items()
            }
        sizes = self.matching.sizes
        targets, parts = tile_parts(tile, layout, self.geometry, sizes)
        pixels = pixels[parts]
        if plan.overlap:
            ramps = [
                (
                    layout.spec.axis_names.index(axis),
                    ramp(
                        job.tile[axis],
                        plan.overlap[axis],
                        plan.region[axis],
                        part,
                        self.geometry.outputs[layout.index][axis].scale,
                    ),
                )
                for axis, part in targets.items()
                if axis in plan.overlap
            ]
            pixels = weighted(pixels, ramps)
        key = target.filled.key(at, group, targets)
        target.write(key, pixels, add=bool(plan.overlap))


def tile_pipeline(
    config: PredictConfig,
    runner: TileRunner,
    targets: Sequence[Target],
    geometry: ModelGeometry,
    matching: Matching,
    plan: Plan,
) -> Pipeline[Job]:
    """Return what reads, computes and writes tiles; the targets are open."""
    oriented = bool(runner.orientations)
    writer = ResultWriter(targets, geometry, matching, plan, oriented)
    return Pipeline(
        prepare=runner.prepare,
        compute=runner.compute,
        write=writer.write,
        split=runner.split,
        cost=runner.cost,
        skip_unreadable=config.unreadable == "skip",
    )


def split_steps(
    steps: Sequence[Step], continuous: frozenset[str]
) -> tuple[list[Step], list[Step]]:
    """Split postprocessing into what can be averaged afterwards, and the rest."""
    head: list[Step] = []
    for step in steps:
        floats = step.id == "ensure_dtype" and step.kwargs["dtype"].startswith("float")
        if statistics_of(step) or not (step.id in continuous or floats):
            break
        head.append(step)
    return head, list(steps[len(head) :])
