"""Going on from a model that somebody trained before."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.models.architecture import build_architecture
from napari_im2im.models.networks import network_sizes
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.models.tensors import FixedSize, ReferencedSize, SteppedSize
from napari_im2im.training.normalization import ChannelScaling, learn_scaling

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari_im2im.models.package import Architecture, ModelPackage
    from napari_im2im.models.tensors import Step
    from napari_im2im.training.config import Normalization, TrainConfig
    from napari_im2im.training.data import Layout

_OUTPUT_ARGUMENTS = (
    "out_channels",
    "output_channels",
    "n_channels_out",
    "num_output_channels",
    "out_ch",
    "n_out",
    "num_classes",
    "n_classes",
    "classes",
)
"""What networks call their number of output channels."""

_INPUT_ARGUMENTS = (
    "in_channels",
    "input_channels",
    "n_channels_in",
    "num_input_channels",
    "in_ch",
    "n_in",
    "n_channels",
)

_FITTING_MEAN, _FITTING_STD = 2.0, 4.0
"""How far from mean 0 and standard deviation 1 (as a factor) images may be."""


@dataclass(frozen=True)
class Start:
    """A network with the weights that training goes on from.

    ``fresh`` names the parameters that didn't fit and start anew, ``frozen`` counts
    those that stay as they are. ``notes`` are sentences for the user.
    """

    package: ModelPackage
    network: torch.nn.Module
    architecture: Architecture
    sizes: Mapping[str, SteppedSize | FixedSize]
    fresh: tuple[str, ...] = ()
    frozen: int = 0
    notes: tuple[str, ...] = ()

    @property
    def parent(self) -> dict[str, Any]:
        """What the new package says of the model that it comes from."""
        version = self.package.description.version
        return {
            "name": self.package.name,
            "id": self.package.id or None,
            "version": None if version is None else str(version),
            "sha256": self.package.sha256,
            "path": str(self.package.path.absolute()),
        }


def open_start(config: TrainConfig) -> tuple[ModelPackage, TrainConfig]:
    """Open the model that a training starts from, and fit the config to its axes.

    Raises
    ------
    ConfigError
        If such a model can't be trained here, with the reason.
    ModelError
        If it can't be read.
    """
    assert config.start_from is not None
    package = load_package(config.start_from)
    reason = why_not_trainable(package)
    if reason:
        raise ConfigError(f"{package.name} can't be trained: {reason}")
    axes = "".join(package.inputs[0].axis_names[2:])
    if config.spatial_axes not in (None, axes):
        raise ConfigError(
            f"{package.name} works on {axes}, not on {config.spatial_axes}: leave "
            "spatial_axes out, or start from another model."
        )
    return package, config.model_copy(update={"spatial_axes": axes})


def why_not_trainable(package: ModelPackage) -> str:
    """Return why training can't go on from a model; empty where it can."""
    if "pytorch_state_dict" not in package.weights:
        return (
            f"it has only {', '.join(package.weights)} weights, which can be run but "
            "not changed. Choose a model with a PyTorch state dict."
        )
    counts = len(package.inputs), len(package.outputs)
    if counts != (1, 1):
        return (
            f"it reads {counts[0]} and returns {counts[1]} images, but training learns "
            "one from one."
        )
    source, target = package.inputs[0], package.outputs[0]
    names = source.axis_names
    usual = (("batch", "channel", "y", "x"), ("batch", "channel", "z", "y", "x"))
    if names not in usual or target.axis_names != names:
        return (
            f"its axes are {'/'.join(names)} → {'/'.join(target.axis_names)}, but "
            "training needs batch/channel/[z/]y/x on both sides."
        )
    for axis in target.axes[2:]:
        size, wanted = axis.size, source.axis(axis.name).size
        same = size == wanted if isinstance(size, FixedSize) else False
        if isinstance(size, ReferencedSize):
            same = (size.axis, size.scale, size.offset) == (axis.name, 1.0, 0)
        if not same:
            return f"its result has another size than its input along {axis.name}."
    last = [step.id for step in target.steps if not _is_affine(step)]
    if last:
        return f"its result goes through {last[0]!r}, but training learns intensities."
    return ""


def build_start(
    package: ModelPackage,
    layout: Layout,
    config: TrainConfig,
    output_names: Sequence[str],
    *,
    trusted: Collection[str] = (),
) -> Start:
    """Build the network with its weights, for the channels of inputs and outputs.

    Raises
    ------
    TrustError
        If it needs code that isn't trusted.
    ConfigError
        If a number of channels can't be changed, or nothing is left to train.
    """
    network = load_network(package, trusted=trusted)
    architecture = package.weights["pytorch_state_dict"].architecture
    assert architecture is not None
    fresh: tuple[str, ...] = ()
    notes = [f"Starts from the weights of {package.name}."]
    inputs, outputs = len(layout.input_channels), len(output_names)
    before = _channels(package, "input"), _channels(package, "output")
    if (inputs, outputs) != before:
        torch.manual_seed(config.seed)
        changes = {
            **_changed_argument(package, _INPUT_ARGUMENTS, before[0], inputs, "reads"),
            **_changed_argument(
                package, _OUTPUT_ARGUMENTS, before[1], outputs, "returns"
            ),
        }
        network, architecture, fresh = _rebuilt(package, network, changes, trusted)
    if inputs != before[0]:
        notes.append(
            f"Its first layer is adapted: the input has {inputs} channels, not "
            f"{before[0]}."
        )
    if outputs != before[1]:
        notes.append(
            f"Its last layer is new: the target has {outputs} channels, not "
            f"{before[1]}."
        )
    sizes = _sizes(package, network, layout, config)
    frozen = freeze(network, config, inputs, sizes)
    if frozen:
        total = sum(1 for _ in network.parameters())
        notes.append(f"{frozen} of {total} groups of weights stay as they are.")
    return Start(package, network, architecture, sizes, fresh, frozen, tuple(notes))


def scaling_of_start(
    steps: Sequence[Step],
    arrays: Sequence[np.ndarray],
    *,
    is_target: bool,
) -> tuple[ChannelScaling, str]:
    """Return how images are normalised for a network that learned before.

    Parameters
    ----------
    steps
        Of the package: before the network, or behind it for targets.
    arrays
        Training images ``(c, [z,] y, x)``.
    is_target
        Whether these are targets.

    Returns
    -------
    ChannelScaling
        That of the package where these images are on the same scale, else the same
        kind of it, measured on them.
    str
        A sentence if it is another than the package's, else empty.
    """
    channels = len(arrays[0])
    known = _fixed_scaling(steps, channels, is_target)
    if known is not None and _fits(known, arrays):
        return known, ""
    method, percentiles = _method(steps, is_target)
    role = "target" if is_target else "input"
    if known is None and not is_target:
        note = f"The {role} is normalised by what was measured on these images."
    else:
        note = (
            f"The {role} is on another scale than that of the model, so that its "
            "normalisation is measured anew."
        )
    return learn_scaling(arrays, method, percentiles), note


def freeze(
    network: torch.nn.Module,
    config: TrainConfig,
    in_channels: int,
    sizes: Mapping[str, SteppedSize | FixedSize],
) -> int:
    """Keep weights from being changed; return how many tensors.

    Raises
    ------
    ConfigError
        If a pattern fits nothing, or nothing is left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    frozen: set[str] = set()
    for pattern in config.freeze:
        found = {n for n in names if _matches(n, pattern)}
        if not found:
            parts = sorted({name.split(".")[0] for name in names})
            raise ConfigError(
                f"No layer is called {pattern!r}: the layers are {', '.join(parts)}."
            )
        frozen |= found
    if config.freeze_depth:
        order = _layers_in_order(network, in_channels, sizes)
        early = order[: round(config.freeze_depth * len(order))]
        frozen |= {n for n in names if n.rpartition(".")[0] in early}
    if len(frozen) == len(names):
        raise ConfigError("All layers are frozen: leave at least one to train.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and any(
            n.rpartition(".")[0] == name for n in frozen
        ):
            # Its running mean and variance are part of what stays.
            module.momentum = 0.0
    return len(frozen)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _layers_in_order(
    network: torch.nn.Module,
    in_channels: int,
    sizes: Mapping[str, SteppedSize | FixedSize],
) -> list[str]:
    """Return the names of the layers with weights, in the order that they run."""
    probe = copy.deepcopy(network).to("meta").eval()
    order: list[str] = []
    for name, module in probe.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_hook(lambda *_, name=name: order.append(name))
    shape = [
        size.size if isinstance(size, FixedSize) else size.minimum + 3 * size.step
        for size in sizes.values()
    ]
    with torch.inference_mode():
        probe(torch.empty((1, in_channels, *shape), device="meta"))
    return list(dict.fromkeys(order))


def _changed_argument(
    package: ModelPackage, names: Sequence[str], before: int, after: int, verb: str
) -> dict[str, int]:
    """Return the argument that sets a number of channels, with its new value."""
    if before == after:
        return {}
    architecture = package.weights["pytorch_state_dict"].architecture
    kwargs = architecture.kwargs if architecture is not None else {}
    key = next((name for name in names if kwargs.get(name) == before), None)
    if key is None:
        raise ConfigError(
            f"{package.name} {verb} {before} channels and has no argument to change "
            f"that: choose as many channels of the images, not {after}."
        )
    return {key: after}


def _rebuilt(
    package: ModelPackage,
    network: torch.nn.Module,
    changes: Mapping[str, int],
    trusted: Collection[str],
) -> tuple[torch.nn.Module, Architecture, tuple[str, ...]]:
    """Build the network with other channels; keep the weights that fit.

    A first layer that reads other channels gets the mean of its weights for each,
    scaled so that its response stays as large as it was.
    """
    entry = package.weights["pytorch_state_dict"]
    assert entry.architecture is not None
    kwargs = {**entry.architecture.kwargs, **changes}
    architecture = replace(entry.architecture, kwargs=kwargs)
    weights = {
        **package.weights,
        entry.format: replace(entry, architecture=architecture),
    }
    new = build_architecture(replace(package, weights=weights), trusted=trusted)
    wanted, kept, fresh = new.state_dict(), {}, []
    known = network.state_dict()
    reads_other = any(name in _INPUT_ARGUMENTS for name in changes)
    for name, value in wanted.items():
        old = known.get(name)
        if old is not None and old.shape == value.shape:
            kept[name] = old
        elif (
            reads_other
            and old is not None
            and old.ndim > 2
            and (old.shape[0], old.shape[2:]) == (value.shape[0], value.shape[2:])
        ):
            ratio = old.shape[1] / value.shape[1]
            kept[name] = old.mean(1, keepdim=True).expand_as(value) * ratio
        else:
            fresh.append(name)
    new.load_state_dict(kept, strict=False)
    return new, architecture, tuple(fresh)


def _sizes(
    package: ModelPackage,
    network: torch.nn.Module,
    layout: Layout,
    config: TrainConfig,
) -> Mapping[str, SteppedSize | FixedSize]:
    """Measure which sizes the network takes; where that fails, the package's."""
    described = {axis.name: axis.size for axis in package.inputs[0].axes[2:]}
    known = {a: s for a, s in described.items() if isinstance(s, FixedSize)}
    patch = config.patch
    if len(known) == len(described):
        patch = patch or {axis: size.size for axis, size in known.items()}
    try:
        return network_sizes(
            network,
            spatial_axes=layout.spatial_axes,
            in_channels=len(layout.input_channels),
            patch=patch,
        )
    except ConfigError:
        sizes = {
            a: s for a, s in described.items() if isinstance(s, FixedSize | SteppedSize)
        }
        if len(sizes) < len(described):
            raise
        return sizes


def _channels(package: ModelPackage, side: str) -> int:
    spec = package.inputs[0] if side == "input" else package.outputs[0]
    size = spec.axis("channel").size
    if isinstance(size, FixedSize):
        return size.size
    arrays = package.test_inputs() if side == "input" else package.test_outputs()
    return int(arrays[0].shape[spec.axis_names.index("channel")])


def _is_affine(step: Step) -> bool:
    return step.id in ("ensure_dtype", "scale_linear")


def _fixed_scaling(
    steps: Sequence[Step], channels: int, is_target: bool
) -> ChannelScaling | None:
    """Return the scaling that one step of fixed numbers does, None for others."""
    active = [step for step in steps if step.id != "ensure_dtype"]
    if not active:
        return ChannelScaling((0.0,) * channels, (1.0,) * channels)
    step = active[0]
    first, second = {
        "fixed_zero_mean_unit_variance": ("mean", "std"),
        "scale_linear": ("offset", "gain"),
    }.get(step.id, ("", ""))
    if len(active) > 1 or not first or (is_target and step.id != "scale_linear"):
        return None
    offset, scale = (
        np.broadcast_to(np.ravel(step.kwargs[key]).astype(float), channels)
        if np.size(step.kwargs[key]) in (1, channels)
        else None
        for key in (first, second)
    )
    if offset is None or scale is None or not scale.all():
        return None
    if step.id == "scale_linear" and not is_target:
        # The step multiplies and adds; a scaling subtracts and divides.
        offset, scale = -offset / scale, 1 / scale
    return ChannelScaling(tuple(offset.tolist()), tuple(scale.tolist()))


def _fits(scaling: ChannelScaling, arrays: Sequence[np.ndarray]) -> bool:
    for c, (offset, scale) in enumerate(
        zip(scaling.offset, scaling.scale, strict=True)
    ):
        mean = float(np.mean([array[c].mean(dtype=np.float64) for array in arrays]))
        std = float(np.mean([array[c].std(dtype=np.float64) for array in arrays]))
        if abs((mean - offset) / scale) > _FITTING_MEAN:
            return False
        if not 1 / _FITTING_STD <= std / abs(scale) <= _FITTING_STD:
            return False
    return True


def _method(
    steps: Sequence[Step], is_target: bool
) -> tuple[Normalization, tuple[float, float]]:
    """Return the kind of normalisation that comes closest to a package's steps."""
    for step in steps:
        if step.id == "scale_range":
            low = float(step.kwargs.get("min_percentile", 0.0))
            return "percentile", (low, float(step.kwargs.get("max_percentile", 100.0)))
    affine = any(step.id != "ensure_dtype" for step in steps)
    # A network that returns its result as it is often ends between 0 and 1.
    return ("percentile" if is_target and not affine else "mean_std"), (0.1, 99.9)
