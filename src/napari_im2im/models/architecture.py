"""Building the network that a state dict belongs to, if it may be run."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ModelError, TrustError
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.self_contained import own_digests

if TYPE_CHECKING:
    from collections.abc import Collection

    import torch

    from napari_im2im.models.package import Architecture, ModelPackage

ALLOWED_MODULES = ("monai.networks.nets", "careamics.models", "torch.nn")
"""Libraries whose networks are built without asking."""


def required_trust(package: ModelPackage, architecture: Architecture) -> str | None:
    """Return what somebody must agree to before a network is built.

    Returns
    -------
    str or None
        The sha256 of the Python file, or ``module:callable``; None where nothing
        but an allowed library or a file of this program runs.

    Raises
    ------
    TrustError
        If no agreement makes it acceptable: something else than a network is
        imported, or a module relative to nowhere.
    """
    if architecture.module is None:
        assert architecture.source is not None
        # Of the file itself: what the description claims proves nothing.
        digest = sha256_of(package.file(architecture.source, architecture.sha256))
        # A file that comes with this program is trusted as the program is.
        return None if digest in own_digests() else digest
    module, name = architecture.module, architecture.callable
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts) or not name.isidentifier():
        raise TrustError(
            f"{package.name} imports {name!r} from {module!r}, which is no installed "
            "library: refused."
        )
    if any(_is_within(module, allowed) for allowed in ALLOWED_MODULES):
        return None
    if parts[0] in sys.stdlib_module_names or name.startswith("_"):
        raise TrustError(
            f"{package.name} wants to run {name!r} of {module!r}, which is no network: "
            "refused."
        )
    return f"{module}:{name}"


def check_trust(
    package: ModelPackage, architecture: Architecture, trusted: Collection[str]
) -> str | None:
    """Refuse a network that nobody agreed to build; return what was agreed to.

    Raises
    ------
    TrustError
        Naming the code, and what to trust.
    """
    needed = required_trust(package, architecture)
    if needed is not None and needed not in trusted:
        where = architecture.source or architecture.module
        raise TrustError(
            f"{package.name} would run Python code, {architecture.callable!r} of "
            f"{where}: read it and allow it by trusting {needed}."
        )
    return needed


def build_architecture(
    package: ModelPackage, *, trusted: Collection[str] = ()
) -> torch.nn.Module:
    """Build the network of a package's state dict, without its weights.

    Parameters
    ----------
    package
        A package with ``pytorch_state_dict`` weights.
    trusted
        What was agreed to: sha256 of files, ``module:callable`` of libraries.

    Raises
    ------
    TrustError
        If code would run that nobody agreed to; it names the file and sha256.
    ModelError
        If the network can't be built.
    """
    import torch

    architecture = package.weights["pytorch_state_dict"].architecture
    assert architecture is not None
    needed = check_trust(package, architecture, trusted)
    factory = _load_callable(package, architecture, needed)
    if not isinstance(factory, type) or not issubclass(factory, torch.nn.Module):
        # An allowed library is allowed for its networks, not for all it imports.
        if needed is None:
            raise TrustError(
                f"{package.name} wants to run {architecture.callable!r} of "
                f"{architecture.module!r}, which is no network: refused."
            )
    try:
        network = factory(**architecture.kwargs)
    except Exception as error:  # Code of others may raise anything.
        raise ModelError(
            f"{package.name}: {architecture.callable} can't be built with "
            f"{dict(architecture.kwargs)} ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(
            f"{package.name}: {architecture.callable} didn't return a network: its "
            "description is wrong."
        )
    return network


def _load_callable(
    package: ModelPackage, architecture: Architecture, digest: str | None
) -> Any:
    try:
        if architecture.module is not None:
            module = importlib.import_module(architecture.module)
        else:
            source = architecture.source
            assert source is not None
            if digest is None:
                digest = sha256_of(package.file(source, architecture.sha256))
                if digest not in own_digests():
                    raise TrustError(f"{source} changed while it was read: refused.")
            module = run_file(package, source, digest)
        return getattr(module, architecture.callable)
    except ImportError as error:
        raise ModelError(
            f"{package.name} needs {architecture.module or error.name}, which isn't "
            f"installed: pip install {(error.name or 'it').split('.')[0]}."
        ) from error
    except AttributeError as error:
        raise ModelError(
            f"{package.name}: there is no {architecture.callable!r} in "
            f"{architecture.module or architecture.source}: its description is wrong."
        ) from error


def run_file(package: ModelPackage, source: str, digest: str) -> Any:
    """Return a Python file of a package as a module; somebody agreed to its sha256.

    Raises
    ------
    TrustError
        If it is not the file that was agreed to.
    ModelError
        If it is missing, or fails.
    """
    path = package.file(source)
    spec = importlib.util.spec_from_loader(f"code_{digest}", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    # Compiled from the bytes that were agreed to, without leaving a .pyc there.
    code = path.read_bytes()
    if hashlib.sha256(code).hexdigest() != digest:
        raise TrustError(f"{path} changed while it was read: refused.")
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)
    except ImportError:
        raise
    except Exception as error:  # Code of others may raise anything.
        raise ModelError(
            f"{package.name}: {source} fails ({type(error).__name__}: {error})."
        ) from error
    return module


def _is_within(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")
