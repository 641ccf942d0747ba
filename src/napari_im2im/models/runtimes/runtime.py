"""The interface of all engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from napari_im2im.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_im2im.models.package import ModelPackage


class Runtime(Protocol):
    """A loaded network, ready to be called.

    ``engine`` is ``"torch"``, ``"torchscript"``, ``"onnxruntime"``, ``"openvino"``
    or ``"keras"``; ``device`` is where it runs, ``"cpu"`` or ``"cuda:0"``.
    """

    @property
    def engine(self) -> str: ...  # noqa: D102
    @property
    def weights_format(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Run the network once.

        Parameters
        ----------
        inputs
            One array for each input tensor, axes in the model's order, batch
            included, preprocessed. None for an optional input that is left out.

        Returns
        -------
        list of np.ndarray
            One array for each output tensor, before postprocessing.

        Raises
        ------
        ModelError
            If the network can't run on these arrays.
        MemoryError
            If it needs more memory than there is.
        """
        ...

    def close(self) -> None:
        """Free the memory; the runtime can't be called any more."""
        ...


@runtime_checkable
class CompilableRuntime(Runtime, Protocol):
    """A runtime that can be made faster by compiling its network once."""

    def compile(self) -> None:
        """Compile the network when it is called next, for tiles of any size."""
        ...


@runtime_checkable
class PartialRuntime(Runtime, Protocol):
    """A runtime that saves time where a part of the result is enough."""

    def share(self) -> float:
        """Return which share of a forward's cost a part of it takes at least.

        1 where nothing can be saved: `part` must not be called then.
        """
        ...

    def part(
        self,
        inputs: Sequence[np.ndarray | None],
        keep: Sequence[Sequence[slice]],
    ) -> list[np.ndarray]:
        """Run the network for a part of its results.

        Parameters
        ----------
        inputs
            As for a call.
        keep
            For each output the pixels wanted of it, by spatial axis in its order.

        Returns
        -------
        list of np.ndarray
            These pixels of each output, the same to the bit as those of a call up to
            what the order of a sum makes of them.
        """
        ...


def required_inputs(
    package: ModelPackage, inputs: Sequence[np.ndarray | None], engine: str
) -> list[np.ndarray]:
    """Return the inputs, all of which must be there.

    Raises
    ------
    ModelError
        If an optional one was left out.
    """
    arguments = package.arguments(inputs)
    present = [array for array in arguments if array is not None]
    if len(present) != len(arguments):
        raise ModelError(
            f"{engine} can't run {package.name} without its optional inputs: give "
            "them all or use its PyTorch weights."
        )
    return present
