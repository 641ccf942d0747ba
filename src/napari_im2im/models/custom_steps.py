"""The postprocessing that a package brings as Python files, if it may be run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ModelError, TrustError
from napari_im2im.models.architecture import run_file
from napari_im2im.models.archive import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import numpy as np

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import Step, TensorSpec


def custom_steps(package: ModelPackage) -> Iterator[Step]:
    """Yield the steps that are Python code of the package."""
    for tensor in package.outputs:
        yield from (step for step in tensor.steps if step.id == "custom")


def step_sha256(package: ModelPackage, step: Step) -> str:
    """Return what somebody must agree to before a step is run.

    Raises
    ------
    ModelError
        If the file is missing, outside the package, or was changed.
    """
    # Of the file itself: what the description claims proves nothing.
    return sha256_of(package.file(step.kwargs["source"], step.kwargs["sha256"]))


def load_custom_steps(
    package: ModelPackage, *, trusted: Collection[str] = ()
) -> ModelPackage:
    """Return the package with the functions of its own steps loaded.

    Parameters
    ----------
    package
        Any package; one without steps of its own is returned as it is.
    trusted
        sha256 of the Python files that the user agreed to run.

    Returns
    -------
    ModelPackage
        Each of its steps ``custom`` has the argument ``function``, which takes the
        array of a whole result and returns another of the same shape.

    Raises
    ------
    TrustError
        If code would run that nobody agreed to; it names the file and sha256.
    ModelError
        If the code fails.
    """
    if not any(custom_steps(package)):
        return package

    def loaded(tensor: TensorSpec) -> TensorSpec:
        steps = [
            replace(
                step,
                kwargs={**step.kwargs, "function": _function(package, step, trusted)},
            )
            if step.id == "custom"
            else step
            for step in tensor.steps
        ]
        return replace(tensor, steps=tuple(steps))

    return replace(package, outputs=tuple(map(loaded, package.outputs)))


def _function(
    package: ModelPackage, step: Step, trusted: Collection[str]
) -> Callable[[np.ndarray], Any]:
    source, name = step.kwargs["source"], step.kwargs["callable"]
    needed = step_sha256(package, step)
    if needed not in trusted:
        raise TrustError(
            f"{package.name} would run Python code, the step {name!r} of {source}: "
            f"read it and allow it by trusting {needed}."
        )
    try:
        factory = getattr(run_file(package, source, needed), name)
        function: Callable[[np.ndarray], Any] = factory(**step.kwargs["kwargs"])
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(
            f"{package.name} needs {error.name}, which isn't installed: pip install "
            f"{(error.name or 'it').split('.')[0]}."
        ) from error
    except Exception as error:  # Code of others may raise anything.
        raise ModelError(
            f"{package.name}: its step {name!r} fails ({type(error).__name__}: "
            f"{error})."
        ) from error
    if not callable(function):
        raise ModelError(
            f"{package.name}: its step {name!r} returned no function: its code is "
            "wrong."
        )
    return function
