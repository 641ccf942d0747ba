"""Sentences that say what a job will do, or what to fix first, and how.

Nothing here knows Qt: a dock shows the sentences and turns each fix into a
button.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_im2im.images.image import SPATIAL_AXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.zoo.trust import Code


@dataclass(frozen=True)
class Fix:
    """A button beside a sentence: what it says, and what the dock then does."""

    label: str
    action: str
    value: Any = None


@dataclass(frozen=True)
class Advice:
    """A sentence before a job.

    ``stop`` keeps the job from starting, ``wait`` until something is found out;
    ``warning`` and ``info`` don't.
    """

    text: str
    level: Literal["info", "warning", "stop", "wait"] = "info"
    fixes: tuple[Fix, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the job can't be started."""
        return self.level in ("stop", "wait")


def advise_pair(
    source: Image,
    target: Image,
    patch: Mapping[str, int] | None,
    *,
    may_enlarge: bool = False,
) -> list[Advice]:
    """Return what keeps two images from being learned from, or what to know.

    Parameters
    ----------
    source, target
        The input and the target.
    patch
        Patch size by axis, or None if it is automatic.
    may_enlarge
        Whether the target may have several times the pixels.
    """
    return [
        *_advise_axes(source, target),
        *_advise_sizes(source, target, may_enlarge),
        *_advise_patch(source, target, patch),
    ]


def _advise_axes(source: Image, target: Image) -> list[Advice]:
    """Advise on an axis that one image has and the other hasn't."""
    advice = []
    for one, other, role in ((source, target, "input"), (target, source, "target")):
        if "z" in one.axes and "z" not in other.axes:
            advice.append(
                Advice(f"The {one.sizes['z']} planes of {one.name} become channels.")
            )
        if "time" in one.axes and "time" not in other.axes:
            advice.append(
                Advice(
                    f"{one.name} has {one.sizes['time']} time points, {other.name} "
                    "has none: choose another layer, or say which axis it is.",
                    "stop",
                    (Fix("Choose axes", "edit_axes", role),),
                )
            )
    return advice


def _advise_sizes(source: Image, target: Image, may_enlarge: bool) -> list[Advice]:
    shared = [a for a in source.axes if a in target.axes and a != "channel"]
    if all(source.sizes[axis] == target.sizes[axis] for axis in shared):
        return []
    pairs = {axis: (source.sizes[axis], target.sizes[axis]) for axis in shared}
    whole = all(n and m % n == 0 for n, m in pairs.values())
    if may_enlarge and whole and len(set(pairs.get("time", (1, 1)))) == 1:
        times = " × ".join(
            str(m // n) for a, (n, m) in pairs.items() if a in ("z", "y", "x")
        )
        return [
            Advice(
                f"{target.name} has {times} times the pixels of {source.name}: the "
                "model enlarges images so much."
            )
        ]
    common = {axis: min(source.sizes[axis], target.sizes[axis]) for axis in shared}
    return [
        Advice(
            f"The sizes differ: {source.name} is {describe_sizes(source)}, "
            f"{target.name} is {describe_sizes(target)}.",
            "stop",
            (Fix("Crop both", "crop", common),),
        )
    ]


def _advise_patch(
    source: Image, target: Image, patch: Mapping[str, int] | None
) -> list[Advice]:
    for axis, size in (patch or {}).items():
        smallest = min(source.sizes.get(axis, size), target.sizes.get(axis, size))
        if smallest >= size:
            continue
        fitting = max(smallest // 16 * 16, 1) if axis != "z" else smallest
        return [
            Advice(
                f"{source.name} has {smallest} pixels along {axis}, less than the "
                f"patch of {size}.",
                "stop",
                (Fix(f"Use {fitting}", "patch", {axis: fitting}),),
            )
        ]
    return []


def describe_sizes(image: Image) -> str:
    """Return the size of an image for people, e.g. ``61 planes of 512 × 512``."""
    sizes = image.sizes
    plane = " × ".join(str(sizes[axis]) for axis in ("y", "x") if axis in sizes)
    leading = [
        f"{sizes[axis]} {word}{'s' if sizes[axis] != 1 else ''}"
        for axis, word in (("time", "time point"), ("channel", "channel"))
        if axis in sizes
    ]
    if "z" in sizes:
        leading.append(f"{sizes['z']} plane{'s' if sizes['z'] != 1 else ''}")
    return f"{', '.join(leading)} of {plane}" if leading else plane


def advise_code(model: str, code: Code) -> Advice:
    """Say what code of its own a model runs, which somebody has to agree to."""
    text = f"{model} runs its own Python code: {code.sentence}."
    return Advice(text, "stop", (Fix("Look at it …", "trust", code),))


def advise_model(
    image: Image, channels: int | None, spatial: Sequence[str], model: str
) -> list[Advice]:
    """Return what keeps a model from reading an image.

    Parameters
    ----------
    image
        What would be read.
    channels
        Number of channels the model reads, None if it reads any number.
    spatial
        Spatial axes of the model's input.
    model
        Its name.
    """
    advice = []
    has = image.sizes.get("channel", 1)
    if channels is not None and has != channels:
        advice.append(_advise_channels(image, has, channels, model))
    advice += [
        Advice(
            f"{model} works in {axis}, y and x, {image.name} has no {axis}: choose a "
            "stack, or say which axis it is.",
            "stop",
            (Fix("Choose axes", "edit_axes"),),
        )
        for axis in SPATIAL_AXES
        if axis in spatial and axis not in image.axes
    ]
    return advice


def _advise_channels(image: Image, has: int, reads: int, model: str) -> Advice:
    plural = "s" if reads != 1 else ""
    text = f"{model} reads {reads} channel{plural}, {image.name} has {has}."
    if image.sizes.get("z") == reads and "channel" not in image.axes:
        return Advice(text, "stop", (Fix("Read z as channels", "as_channel", "z"),))
    if has < reads:
        return Advice(
            f"{text} Add {'another layer' if reads - has == 1 else 'layers'}.",
            "stop",
            (Fix("Add a layer", "add_layer"),),
        )
    fixes = tuple(
        Fix(f"Use {label}", "channels", [index])
        for index, label in enumerate(image.channel_names or range(1, has + 1))
        if reads == 1 and index < 4
    )
    return Advice(
        f"{text} Choose which.", "stop", fixes or (Fix("Choose", "edit_axes"),)
    )


def advise_guess(image: Image, guessed: bool) -> list[Advice]:
    """Ask what the first of three axes is, where that was guessed."""
    unsure = [axis for axis in image.axes if axis in ("z", "time")]
    if not guessed or len(image.axes) != 3 or not unsure:
        return []
    return [
        Advice(
            f"Is the first axis of {image.name} ({image.shape[0]}) z or time?",
            "warning",
            (
                Fix("z", "first_axis", "z"),
                Fix("time", "first_axis", "time"),
                Fix("channel", "first_axis", "channel"),
            ),
        )
    ]


def advise_memory(needed: int, free: int, folder: str) -> list[Advice]:
    """Say where a result goes that is too large for the memory.

    Parameters
    ----------
    needed, free
        Bytes of the result, and of free memory.
    folder
        Where it is written instead.
    """
    if needed < free * 0.5:
        return []
    return [
        Advice(
            f"The result needs {_gigabytes(needed)}, {_gigabytes(free)} are free. "
            f"It will be written to {folder}.",
            "warning",
        )
    ]


def _gigabytes(size: int) -> str:
    value = size / 1e9
    return f"{value:.0f} GB" if value >= 10 else f"{value:.1f} GB"


def describe_duration(seconds: float) -> str:
    """Return a duration for people, e.g. ``9 s``, ``6 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def first_to_fix(advice: Sequence[Advice]) -> list[Advice]:
    """Return the first thing that stops the job, or everything worth knowing."""
    stops = [one for one in advice if one.holds]
    return stops[:1] or list(advice)
