"""A prediction that is ready to run: what, how, and where to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_im2im.inference.jobs import Job, TileRunner, remaining

if TYPE_CHECKING:
    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.processing.statistics import WholeTensor
    from napari_im2im.inference.targets import Target
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.planning import Plan
    from napari_im2im.models.tensors import TensorSpec


class Model(Protocol):
    """What a prediction needs to know of a model; `ModelPackage` has it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...  # noqa: D102
    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102
    def test_inputs(self) -> list[np.ndarray]: ...  # noqa: D102
    def test_outputs(self) -> list[np.ndarray]: ...  # noqa: D102


@dataclass
class Setup:
    """A prediction that is ready to run.

    Parameters
    ----------
    config, model, engine
        What runs.
    geometry, matching, plan, runner, targets
        How.
    jobs
        All tiles of all planes, in order.
    """

    config: PredictConfig
    model: Model
    engine: str
    geometry: ModelGeometry
    matching: Matching
    plan: Plan
    runner: TileRunner
    targets: list[Target]
    jobs: list[Job]
    references: Sequence[Mapping[str, WholeTensor]]

    def remaining(self, done: set[str]) -> list[Job]:
        """Return the jobs of which nothing is written yet."""
        return remaining(self.jobs, done, self.runner.split)

    def open(self, *, resume: bool) -> None:
        """Make the outputs, or open those of an interrupted job."""
        for target in self.targets:
            target.open(resume=resume, overwrite=self.config.overwrite)

    def images(self) -> tuple[Image, ...]:
        """Return the outputs as images, as far as they are filled."""
        return tuple(self._image(target, target.array) for target in self.targets)

    def blank_images(self) -> tuple[Image, ...]:
        """Return the outputs as images of zeros that take no memory."""
        return tuple(self._image(each, each.final.blank()) for each in self.targets)

    def separate(self) -> Iterator[tuple[int, int]]:
        """Make objects of channels; yield how much is done, and of how much."""
        for target in self.targets:
            yield from target.separate(self.config)

    def finish(self) -> tuple[Image, ...]:
        """Complete the outputs."""
        images = []
        for target in self.targets:
            target.finish(
                self.matching,
                self.references,
                self.config.statistics == "bioimageio.core",
            )
            config = self.config
            data = target.close(overwrite=config.overwrite or config.resume)
            images.append(self._image(target, data))
        return tuple(images)

    def clean(self) -> None:
        """Delete what only an interrupted job needs, which this can't be any more."""
        for target in self.targets:
            target.clean()

    def _image(self, target: Target, data: Any) -> Image:
        source = next(s for s in self.matching.sources[0] if s is not None)
        suffix = f" {target.final.name}" if target.final.name else ""
        name = f"{source.image.name} → {self.model.name}{suffix}"
        image = target.final.image(data, name)
        return replace(image, source=target.path) if target.path else image

    def header(self) -> dict[str, Any]:
        """Return what identifies this job, and nothing else, as plain data."""
        shapes = [
            [s.image.shape, s.image.dtype.str, s.channels]
            for sources in self.matching.sources
            for s in sources
            if s is not None
        ]
        region = {axis: [r.start, r.stop] for axis, r in self.plan.region.items()}
        files = [
            str(s.image.source) if s is not None and s.image.source else ""
            for s in self.matching.sources[0]
        ]
        header = {
            "model": self.model.sha256,
            "input": files,
            "image": shapes,
            "region": region,
            "engine": self.engine,
            "precision": self.config.precision,
            "statistics": self.config.statistics,
            "result": self.config.result,
            "augmentation": self.config.test_time_augmentation,
            "type": self.config.output_type,
            "mask": self.config.mask,
            "empty": self.config.empty,
            "cores": dict(self.plan.cores),
            "halo": {axis: [g.before, g.after] for axis, g in self.plan.axes.items()},
            "planes": len(self.jobs[0].planes),
        }
        result: dict[str, Any] = _as_json(header)
        return result


def _as_json(value: Any) -> Any:
    """Return data as JSON gives them back: lists for tuples, text for keys."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
