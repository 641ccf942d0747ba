"""Networks that compute only what a part of their result needs.

A tile overlaps its neighbours so that its core is right; what lies outside the core
is thrown away. A U-Net spends most of its time in its last layers, which look a few
pixels far only: cropping at each join of the decoder to what the core still needs
saves most of what the overlap costs, and changes no pixel of the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from openvino import opset13 as ops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Interval = tuple[int, int]

_POINTWISE = frozenset(
    {
        "Abs",
        "BatchNormInference",
        "Clamp",
        "Convert",
        "Elu",
        "Exp",
        "Gelu",
        "HSigmoid",
        "HSwish",
        "Mish",
        "PRelu",
        "Relu",
        "Result",
        "Selu",
        "Sigmoid",
        "SoftPlus",
        "Swish",
        "Tanh",
    }
)
_COMBINING = frozenset(
    {"Add", "Concat", "Divide", "Maximum", "Minimum", "Multiply", "Subtract"}
)
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
_TRANSPOSED = frozenset({"ConvolutionBackpropData", "GroupConvolutionBackpropData"})


@dataclass(frozen=True)
class _Reach:
    """Which pixels a layer reads, along each spatial axis.

    Results ``[start, stop)`` are made of the pixels from ``(start - before) / scale``
    to ``(stop + after) / scale``.
    """

    scale: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    def read(self, results: Sequence[Interval]) -> list[Interval]:
        return [
            (max(0, (start - before) // scale), -(-(stop + after) // scale))
            for (start, stop), scale, before, after in zip(
                results, self.scale, self.before, self.after, strict=True
            )
        ]


@dataclass(frozen=True)
class _Join:
    """Where images of different depth meet, and the parameters that crop each."""

    name: str
    sources: tuple[str, ...]
    starts: tuple[Any, ...]
    stops: tuple[Any, ...]


class CroppedNetwork:
    """A network with a crop at each join of its decoder.

    Parameters
    ----------
    model
        A network as OpenVINO reads it, which stays as it is.

    Attributes
    ----------
    model
        The network with crops; its further inputs are theirs.
    cropped
        Names of the layers after a crop. There are none where results depend on
        more than what is near, as after an instance normalisation.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.clone()
        self._nodes = self.model.get_ordered_ops()
        self._rank = len(self.model.inputs[0].get_partial_shape()) - 2
        self._reaches = self._local()
        self._joins: dict[str, _Join] = {}
        self.cropped: set[str] = set()
        names = [node.get_friendly_name() for node in self._nodes]
        # Layers are told apart by their names.
        if len(set(names)) == len(names):
            self._insert_crops()

    def _local(self) -> dict[str, _Reach]:
        """Return the layers after which everything only looks a few pixels far."""
        reaches: dict[str, _Reach] = {}
        for node in reversed(self._nodes):
            reach = _reach(node, self._rank)
            after = [
                port.get_node().get_friendly_name()
                for output in node.outputs()
                for port in output.get_target_inputs()
            ]
            if reach is not None and all(name in reaches for name in after):
                reaches[node.get_friendly_name()] = reach
        return reaches

    def _insert_crops(self) -> None:
        # A path is known by the join that it was cropped at and how it was enlarged
        # since: where two of them meet, they may cover different pixels.
        paths: dict[str, tuple[str, ...]] = {}
        parameters = []
        for node in self._nodes:
            name, sources = node.get_friendly_name(), self._images(node)
            arriving = {paths[source] for _, source in sources}
            if len(arriving) > 1 and name in self._reaches:
                join = self._crop(node, sources)
                self._joins[name] = join
                parameters += [*join.starts, *join.stops]
                paths[name] = (name,)
                self.cropped.add(name)
                continue
            path = next(iter(arriving), ())
            enlarged = node.get_type_name() in _TRANSPOSED | {"Interpolate"}
            paths[name] = (*path, name) if enlarged else path
            if any(source in self.cropped for _, source in sources):
                self.cropped.add(name)
        if parameters:
            self.model.add_parameters(parameters)
            self.model.validate_nodes_and_infer_types()

    def _images(self, node: Any) -> list[tuple[int, str]]:
        """Return what a layer gets images from, with the number of the input."""
        found = []
        for index, port in enumerate(node.inputs()):
            source = port.get_source_output().get_node()
            shape = port.get_partial_shape()
            image = shape.rank.is_static and len(shape) == self._rank + 2
            if image and source.get_type_name() != "Constant":
                found.append((index, source.get_friendly_name()))
        return found

    def _sources(self, node: Any) -> tuple[str, ...]:
        """Return the layers that a layer gets images from, before any crop."""
        name = node.get_friendly_name()
        if name in self._joins:
            return self._joins[name].sources
        return tuple(source for _, source in self._images(node))

    def _crop(self, node: Any, sources: Sequence[tuple[int, str]]) -> _Join:
        axes = ops.constant(np.arange(2, 2 + self._rank))
        ones = ops.constant(np.ones(self._rank, np.int64))
        starts, stops = [], []
        for index, _ in sources:
            start = ops.parameter([self._rank], np.int64)
            stop = ops.parameter([self._rank], np.int64)
            port = node.input(index)
            part = ops.slice(port.get_source_output(), start, stop, ones, axes)
            port.replace_source_output(part.output(0))
            starts.append(start)
            stops.append(stop)
        names = tuple(name for _, name in sources)
        return _Join(node.get_friendly_name(), names, tuple(starts), tuple(stops))

    def crops(
        self, keep: Sequence[Sequence[Interval]]
    ) -> tuple[list[np.ndarray], list[tuple[int, ...]]]:
        """Return how to crop so that a part of each result is right.

        Parameters
        ----------
        keep
            For each result the pixels wanted of it, by spatial axis.

        Returns
        -------
        crops : list of np.ndarray
            Values of the inputs that `model` has besides those of the network.
        origins : list of tuple of int
            For each result the position of its first pixel in the uncropped one.
        """
        needs = self._needs(keep)
        origins: dict[str, tuple[int, ...]] = {}
        crops: list[np.ndarray] = []
        for node in self._nodes:
            name = node.get_friendly_name()
            if name in self._joins:
                join, need = self._joins[name], needs[name]
                first = np.array([start for start, _ in need])
                last = np.array([stop for _, stop in need])
                shifts = [self._origin(origins, source) for source in join.sources]
                crops += [first - shift for shift in shifts]
                crops += [last - shift for shift in shifts]
                origins[name] = tuple(first.tolist())
            elif name in self.cropped:
                source = self._sources(node)[0]
                scale = self._reaches[name].scale
                origin = zip(self._origin(origins, source), scale, strict=True)
                origins[name] = tuple(at * factor for at, factor in origin)
        return crops, [
            self._origin(origins, result.get_friendly_name())
            for result in self.model.get_results()
        ]

    def _origin(
        self, origins: Mapping[str, tuple[int, ...]], name: str
    ) -> tuple[int, ...]:
        return origins.get(name, (0,) * self._rank)

    def _needs(self, keep: Sequence[Sequence[Interval]]) -> dict[str, list[Interval]]:
        """Return the pixels of each cropped layer that a part of the results needs."""
        results = self.model.get_results()
        needs = {
            result.get_friendly_name(): list(part)
            for result, part in zip(results, keep, strict=True)
        }
        for node in reversed(self._nodes):
            name = node.get_friendly_name()
            if name not in self.cropped or name not in needs:
                continue
            read = self._reaches[name].read(needs[name])
            for source in self._sources(node):
                known = needs.get(source, read)
                needs[source] = [
                    (min(a[0], b[0]), max(a[1], b[1]))
                    for a, b in zip(known, read, strict=True)
                ]
        return needs


def _reach(node: Any, rank: int) -> _Reach | None:
    """Return what a layer reads, None if it isn't known or depends on the position."""
    kind = node.get_type_name()
    nothing = (0,) * rank
    if kind in _POINTWISE or (kind in _COMBINING and _keeps_positions(node, rank)):
        return _Reach((1,) * rank, nothing, nothing)
    if kind not in _CONVOLUTIONS | _TRANSPOSED:
        return None
    given = node.get_attributes()
    strides, before = tuple(given["strides"]), tuple(given["pads_begin"])
    kernel = [node.input(1).get_partial_shape()[i - rank] for i in range(rank)]
    if given["auto_pad"] != "explicit" or any(k.is_dynamic for k in kernel):
        return None
    spans = [
        dilation * (size.get_length() - 1)
        for dilation, size in zip(given["dilations"], kernel, strict=True)
    ]
    if kind in _CONVOLUTIONS:
        after = tuple(given["pads_end"])
        same = all(a + b == s for a, b, s in zip(before, after, spans, strict=True))
        return _Reach(strides, before, after) if same and max(strides) == 1 else None
    behind = tuple(
        max(0, span - stride + 1 - pad)
        for span, stride, pad in zip(spans, strides, before, strict=True)
    )
    return _Reach(strides, behind, before)


def _keeps_positions(node: Any, rank: int) -> bool:
    """Return whether a layer combines channels, or numbers that are one each."""
    if node.get_type_name() == "Concat":
        return bool(node.get_attributes()["axis"] == 1)
    for port in node.inputs():
        if port.get_source_output().get_node().get_type_name() == "Constant":
            shape = port.get_shape()
            if any(size != 1 for size in shape[max(0, len(shape) - rank) :]):
                return False
    return True
