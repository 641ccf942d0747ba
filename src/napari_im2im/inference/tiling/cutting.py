"""How one image is cut for one model: which halo, and which tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from napari_im2im.inference.tiling.planning import (
    Plan,
    axis_geometries,
    make_plan,
    most_pixels,
)
from napari_im2im.inference.tiling.receptive_field import ReceptiveField
from napari_im2im.inference.tiling.tiles import with_halo
from napari_im2im.models.runtimes.runtime import PartialRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Network, TileRunner
    from napari_im2im.inference.tiling.calibration import Calibration
    from napari_im2im.inference.tiling.tiles import AxisGeometry

    Halo = Mapping[str, tuple[int, int]]

_WORTH_IT = 1.5
"""What the exact result may cost, where a smaller halo would mostly do."""


@dataclass(frozen=True)
class Cutting:
    """Chooses the tiles of a prediction.

    Parameters
    ----------
    config
        What is asked for.
    runner
        Reads the image and runs the network.
    calibration
        What is known of the network.
    region
        What is predicted, by axis.
    device
        Where the network runs.
    measuring
        Runs the network instead where it is measured, if `runner` lacks precision.
    """

    config: PredictConfig
    runner: TileRunner
    calibration: Calibration
    region: Mapping[str, slice]
    device: str
    measuring: Network | None = None

    def plan(self, header: Mapping[str, Any]) -> Plan:
        """Return the tiles: those of the interrupted job of a header, if it has one."""
        if header:
            field = self.calibration.field(self.runner, self.measuring)
            halo = {axis: (h[0], h[1]) for axis, h in header["halo"].items()}
            plan = self._plan(field, halo)
            axes = with_halo(self._axes(field, halo), halo)
            return replace(plan, axes=axes, cores=header["cores"])
        if self._fits_in_one():
            names = self.runner.geometry.axes
            field = ReceptiveField(
                dict.fromkeys(names, 1), dict.fromkeys(names, (0, 0))
            )
            return self._plan(field, field.radius)
        field = self.calibration.field(self.runner, self.measuring)
        return self._plan(field, self._halo(field))

    def smaller(self, plan: Plan) -> Callable[[], Mapping[str, AxisGeometry]]:
        """Return what says how tiles are cut where memory is short."""

        @cache
        def smaller() -> Mapping[str, AxisGeometry]:
            if plan.overlap:
                return plan.axes
            field = self.calibration.field(self.runner, self.measuring)
            return self._axes(field, self._halo(field)) if field.exact else {}

        return smaller

    def part(self, plan: Plan) -> Callable[..., list[np.ndarray]] | None:
        """Return what computes a part of a tile, where that saves something."""
        network = self.runner.network
        one = len(plan.tiles) == 1 and self._fits_in_one()
        if one or plan.overlap or self.share == 1.0:
            return None
        return network.part if isinstance(network, PartialRuntime) else None

    @property
    def share(self) -> float:
        """Cost of a pixel outside the core of a tile, of one inside."""
        network = self.runner.network
        if self.config.test_time_augmentation or self.config.overlap == "blend":
            return 1.0
        return network.share() if isinstance(network, PartialRuntime) else 1.0

    def _fits_in_one(self) -> bool:
        """Return whether the whole image is one tile, so that no halo matters."""
        sizes, config = self.runner.matching.sizes, self.config
        axes = axis_geometries(self.runner.geometry, sizes, {})
        pixels = math.prod(axis.padded for axis in axes.values())
        return (
            config.tile is None
            and all(self.region[axis] == slice(0, size) for axis, size in sizes.items())
            and all(axis.largest_core >= axis.size for axis in axes.values())
            and pixels <= most_pixels(self.device, config.precision)
        )

    def _halo(self, field: ReceptiveField) -> Halo:
        """Return the halo: the whole radius, unless a smaller one saves a lot."""
        calibration, config = self.calibration, self.config
        if config.halo != "measured" or not field.exact:
            return calibration.asked_halo(field, config)
        known = calibration.known_halo(self.runner.outputs, field, config)
        hoped = {axis: (b // 2, a // 2) for axis, (b, a) in field.radius.items()}
        exact = self._cost(field, field.radius)
        least = self._cost(field, known or hoped)
        if exact <= _WORTH_IT * least:
            return field.radius
        if known:
            return known
        if 2 * calibration.measuring_pixels(self.runner, field) > exact - least:
            return field.radius
        return calibration.measured_halo(self.runner, field, config, self.measuring)

    def _cost(self, field: ReceptiveField, halo: Halo) -> float:
        """Return what a prediction costs, in pixels computed."""
        planes = len(self.runner.matching.planes(self.region))
        plan = self._plan(field, halo)
        # Where a fixed size has no room for the halo, tiles would be blended.
        blended = plan.overlap and self.config.overlap == "exact"
        return math.inf if blended else planes * plan.cost(self.share)

    def _axes(self, field: ReceptiveField, halo: Halo) -> dict[str, AxisGeometry]:
        """Return how each axis can be cut, halo included."""
        geometry, sizes = self.runner.geometry, self.runner.matching.sizes
        mirrored = self.config.test_time_augmentation
        axes = axis_geometries(geometry, sizes, field.stride, mirrored=mirrored)
        cut = {axis: h for axis, h in halo.items() if axis not in geometry.untiled}
        if mirrored:
            cut = {axis: (max(sides), max(sides)) for axis, sides in cut.items()}
        return with_halo(axes, cut)

    def _plan(self, field: ReceptiveField, halo: Halo) -> Plan:
        return make_plan(
            self.config,
            self.runner.geometry,
            self._axes(field, halo),
            self.region,
            field,
            self.device,
            1.0 if self._fits_in_one() else self.share,
        )
