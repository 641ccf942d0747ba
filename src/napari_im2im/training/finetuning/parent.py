"""Going on from a model that somebody trained before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from napari_im2im.errors import ConfigError
from napari_im2im.models.architecture import build_architecture
from napari_im2im.models.network_sizes import network_sizes
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.models.tensors import FixedSize, SteppedSize
from napari_im2im.training.finetuning.freezing import freeze, layers_in_order
from napari_im2im.training.finetuning.trainable import why_new_head

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari_im2im.models.package import Architecture, ModelPackage
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.samples import Layout

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

_SMALL_STEP = 0.1
"""Part of the usual learning rate for a network that fits as it is."""


@dataclass(frozen=True)
class Start:
    """A network with the weights that training goes on from.

    ``head`` names the layer that runs last, ``fresh`` the parameters that start
    anew, ``frozen`` counts those that stay as they are. ``changed`` says whether the
    first or the last layer is another than the model's. ``notes`` are sentences for
    the user.
    """

    package: ModelPackage
    network: torch.nn.Module
    architecture: Architecture
    sizes: Mapping[str, SteppedSize | FixedSize]
    head: str = ""
    changed: bool = False
    fresh: tuple[str, ...] = ()
    frozen: int = 0
    notes: tuple[str, ...] = ()

    @property
    def new_head(self) -> str:
        """The name of the last layer if it starts anew, else empty."""
        new = any(name.startswith(f"{self.head}.") for name in self.fresh)
        return self.head if new else ""

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
    sizes = _sizes(package, network, layout, config)
    head = layers_in_order(network, inputs, sizes)[-1]
    reason = why_new_head(package, config)
    if outputs != before[1]:
        reason = f"the output has {outputs} channels, not {before[1]}"
    elif reason:
        fresh += _reset(package, network, head, config.seed)
    if reason:
        notes.append(f"Its last layer is new: {reason}.")
    frozen = freeze(network, config, inputs, sizes)
    if frozen:
        total = sum(1 for _ in network.parameters())
        notes.append(f"{frozen} of {total} groups of weights stay as they are.")
    return Start(
        package=package,
        network=network,
        architecture=architecture,
        sizes=sizes,
        head=head,
        changed=bool(reason) or inputs != before[0],
        fresh=fresh,
        frozen=frozen,
        notes=tuple(notes),
    )


def with_rate(config: TrainConfig, *, adapts: bool) -> tuple[TrainConfig, list[str]]:
    """Return a config with a learning rate, and what to say about it.

    Where the network fits as it is, steps are small, not to spoil what it knows: the
    first ones of Adam change every weight by about the learning rate, however small
    its gradient is. ``adapts`` says that it has to get used to other images first.
    """
    if config.optimizer.learning_rate is not None:
        return config, []
    rate = config.optimizer.rate * (1 if adapts else _SMALL_STEP)
    optimizer = config.optimizer.model_copy(update={"learning_rate": rate})
    note = f"All layers go on from where they are, with a learning rate of {rate:g}."
    notes = [] if adapts else [note]
    return config.model_copy(update={"optimizer": optimizer}), notes


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


def _reset(
    package: ModelPackage, network: torch.nn.Module, name: str, seed: int
) -> tuple[str, ...]:
    """Give a layer new random weights; return the names of its parameters."""
    layer = network.get_submodule(name)
    reset = getattr(layer, "reset_parameters", None)
    if reset is None:
        raise ConfigError(
            f"The last layer of {package.name}, {name}, can't be started anew: leave "
            "new_head out, or start from another model."
        )
    torch.manual_seed(seed)
    reset()
    return tuple(f"{name}.{key}" for key, _ in layer.named_parameters())


def _rebuilt(
    package: ModelPackage,
    network: torch.nn.Module,
    changes: Mapping[str, int],
    trusted: Collection[str],
) -> tuple[torch.nn.Module, Architecture, tuple[str, ...]]:
    """Build the network with other channels; keep the weights that fit.

    A first layer that reads other channels gets its strongest weights for each.
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
            kept[name] = _strongest(old).expand_as(value) / value.shape[1]
        else:
            fresh.append(name)
    new.load_state_dict(kept, strict=False)
    return new, architecture, tuple(fresh)


def _strongest(weights: torch.Tensor) -> torch.Tensor:
    """Return weights ``(out, 1, …)``: those of the largest channel, scaled to all.

    Their mean would be next to nothing where a network compares its channels, such as
    planes above and below the focus.
    """
    by_channel = weights.movedim(1, 0).flatten(1).norm(dim=1)
    strongest = int(by_channel.argmax())
    ratio = weights.norm() / by_channel[strongest].clamp(min=1e-12)
    scaled: torch.Tensor = weights[:, strongest : strongest + 1] * ratio
    return scaled


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
