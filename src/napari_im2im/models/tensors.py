"""What a model reads and writes: axes, sizes, processing steps.

One plain form of the tensor descriptions of the BioImage Model Zoo, whatever
the version of the format that they were written in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class FixedSize:
    """An axis of exactly ``size`` pixels."""

    size: int


@dataclass(frozen=True)
class SteppedSize:
    """An axis of ``minimum + n * step`` pixels, for any n from 0."""

    minimum: int
    step: int


@dataclass(frozen=True)
class ReferencedSize:
    """An axis whose size follows from another: ``reference * scale + offset``.

    ``scale`` is the ratio of the pixel sizes, reference over this axis: 2.0 for
    an output with twice as many pixels as the input. ``offset`` counts pixels
    of this axis.
    """

    tensor: str
    axis: str
    scale: float = 1.0
    offset: int = 0


@dataclass(frozen=True)
class UnknownSize:
    """An axis whose size only the data tell."""


Size = FixedSize | SteppedSize | ReferencedSize | UnknownSize


@dataclass(frozen=True)
class AxisSpec:
    """One axis of a tensor.

    ``name`` is ``batch``, ``channel``, ``index``, ``time``, ``z``, ``y`` or ``x``.
    ``halo`` counts the output pixels at each end that the border spoils.
    ``pixel_size`` is None where the model doesn't say one.
    """

    name: str
    size: Size
    halo: int = 0
    pixel_size: float | None = None
    unit: str | None = None
    channel_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A pre- or postprocessing step: its id in the specification, its arguments.

    ``kwargs`` are the specification's, with defaults filled in and axes by the
    names that `AxisSpec` uses.
    """

    id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output of a model.

    ``steps`` are the preprocessing of an input, the postprocessing of an output.
    ``kind`` is ``"intensity"`` or ``"labels"`` (values that name classes or
    objects, with ``class_names`` where the model gives them).
    """

    id: str
    axes: tuple[AxisSpec, ...]
    dtype: str
    steps: tuple[Step, ...] = ()
    optional: bool = False
    description: str = ""
    kind: str = "intensity"
    class_names: tuple[str, ...] = ()

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, in the order of the tensor."""
        return tuple(axis.name for axis in self.axes)

    def axis(self, name: str) -> AxisSpec:
        """Return the axis of that name."""
        return next(axis for axis in self.axes if axis.name == name)
