"""Descriptions of tensors for tests."""

from __future__ import annotations

from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    Size,
    Step,
    SteppedSize,
    TensorSpec,
)


def input_spec(
    axes: str = "yx",
    size: Size | None = None,
    *,
    id: str = "raw",
    channels: int = 1,
    channel_names: tuple[str, ...] = (),
    steps: tuple[Step, ...] = (),
) -> TensorSpec:
    size = size or SteppedSize(4, 4)
    spatial = tuple(AxisSpec(axis, size) for axis in axes)
    return TensorSpec(
        id,
        (
            AxisSpec("batch", SteppedSize(1, 1)),
            AxisSpec(
                "channel",
                FixedSize(len(channel_names) or channels),
                channel_names=channel_names,
            ),
            *spatial,
        ),
        "float32",
        steps=steps,
    )


def output_spec(
    axes: str = "yx",
    *,
    id: str = "result",
    reference: str = "raw",
    channels: int = 1,
    scale: float = 1.0,
    offset: int = 0,
    halo: int = 0,
    steps: tuple[Step, ...] = (),
    kind: str = "intensity",
) -> TensorSpec:
    spatial = tuple(
        AxisSpec(axis, ReferencedSize(reference, axis, scale, offset), halo=halo)
        for axis in axes
    )
    return TensorSpec(
        id,
        (
            AxisSpec("batch", SteppedSize(1, 1)),
            AxisSpec("channel", FixedSize(channels)),
            *spatial,
        ),
        "float32",
        steps=steps,
        kind=kind,
    )
