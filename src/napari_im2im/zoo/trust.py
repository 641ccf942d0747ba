"""What code a package would run, and what the user has agreed to run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_im2im import folders
from napari_im2im.errors import ModelError, TrustError
from napari_im2im.images.atomic import write_atomically
from napari_im2im.models.architecture import required_trust
from napari_im2im.models.custom_steps import custom_steps, step_sha256

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage


@dataclass(frozen=True)
class Code:
    """A piece of code that a package wants to run.

    ``token`` is what somebody agrees to: the sha256 of a Python file, or
    ``module:callable`` of an installed library. ``path`` is the file, None for a
    library. ``refused`` is empty, or says why no agreement makes it acceptable.
    """

    name: str
    purpose: str
    token: str
    path: Path | None = None
    refused: str = ""

    @property
    def text(self) -> str:
        """The source, as far as it is part of the package."""
        return "" if self.path is None else self.path.read_text("utf-8", "replace")

    @property
    def sentence(self) -> str:
        """What would run, in a few words: file, lines, sha256."""
        if self.refused:
            return self.refused
        if self.path is None:
            return f"{self.token.replace(':', '.')} of an installed library"
        lines = len(self.text.splitlines())
        return f"{self.name} ({lines} lines, sha256 {self.token[:8]}…)"


def code_of(package: ModelPackage) -> dict[str, Code]:
    """Return the code that each weights format of a package needs.

    A format that needs none, or only the networks of an allowed library, is left
    out. Nothing is executed or imported.

    Parameters
    ----------
    package
        A package with all its files.

    Raises
    ------
    ModelError
        If a file of the package is missing or damaged.
    """
    needed = {}
    for weights_format, entry in package.weights.items():
        architecture = entry.architecture
        if architecture is None:
            continue
        name = architecture.source or f"{architecture.module}.{architecture.callable}"
        purpose = f"builds the network of the {weights_format} weights"
        try:
            token = required_trust(package, architecture)
        except TrustError as error:
            needed[weights_format] = Code(name, purpose, "", refused=str(error))
            continue
        if token is not None:
            path = package.file(architecture.source) if architecture.source else None
            needed[weights_format] = Code(name, purpose, token, path)
    return needed


def code_of_steps(package: ModelPackage) -> tuple[Code, ...]:
    """Return the code that a package brings as processing steps, whatever the format.

    Raises
    ------
    ModelError
        If a file of the package is missing or damaged.
    """
    found = {}
    for step in custom_steps(package):
        source, token = step.kwargs["source"], step_sha256(package, step)
        purpose = f"is the step {step.kwargs['callable']!r}"
        found[token] = Code(source, purpose, token, package.file(source))
    return tuple(found.values())


def code_to_agree(
    package: ModelPackage, formats: Iterable[str], trusted: Collection[str]
) -> Code | None:
    """Return the first code without which a package can't run, if it isn't trusted.

    Parameters
    ----------
    package
        A package with all its files.
    formats
        The weights formats that can be run here.
    trusted
        What was agreed to before.

    Returns
    -------
    Code or None
        None if one of the formats runs without further agreement. Ask again once
        this one is agreed to: there may be another.

    Raises
    ------
    TrustError
        If every format needs code that no agreement makes acceptable.
    ModelError
        If a file of the package is missing or damaged.
    """
    for own in code_of_steps(package):
        if own.token not in trusted:
            return own
    needed = code_of(package)
    open_questions = []
    for weights_format in filter(package.weights.__contains__, formats):
        code = needed.get(weights_format)
        if code is None or code.token in trusted:
            return None
        open_questions.append(code)
    for code in open_questions:
        if not code.refused:
            return code
    if open_questions:
        raise TrustError(open_questions[0].refused)
    return None


@dataclass(frozen=True)
class Agreement:
    """Code that somebody agreed to: of which model, what, and when (ISO 8601)."""

    token: str
    model: str
    name: str
    date: str


class TrustStore:
    """The user's agreements, kept by sha256 on this computer.

    Parameters
    ----------
    path
        File to keep them in; default: beside the downloaded models.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folders.models_folder() / "trusted.json"

    def trusted(self) -> frozenset[str]:
        """Return all that was agreed to.

        Raises
        ------
        ModelError
            If the file is damaged: guessing at consent is not an option.
        """
        return frozenset(self._read())

    def agree(self, code: Code, model: str) -> None:
        """Remember that ``code`` of the model of that name may run.

        Raises
        ------
        TrustError
            If no agreement makes it acceptable.
        """
        if code.refused or not code.token:
            raise TrustError(code.refused)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        self._write(
            self._read()
            | {code.token: {"model": model, "name": code.name, "date": date}}
        )

    def agreements(self) -> list[Agreement]:
        """Return all agreements, the newest first.

        Raises
        ------
        ModelError
            If the file is damaged.
        """
        known = [Agreement(token, **entry) for token, entry in self._read().items()]
        return sorted(known, key=lambda agreement: agreement.date, reverse=True)

    def withdraw(self, name: str) -> list[Agreement]:
        """Forget agreements, and return them.

        Parameters
        ----------
        name
            A model, for all of its code, or the beginning of a sha256.

        Raises
        ------
        TrustError
            If nothing of that name was agreed to.
        """
        known = self.agreements()
        gone = [one for one in known if one.model == name or one.token.startswith(name)]
        if not gone:
            raise TrustError(
                f"Nobody agreed to code of {name}: 'napari-im2im zoo trusted' lists "
                "what was agreed to."
            )
        left = {one.token for one in known} - {one.token for one in gone}
        self._write({key: value for key, value in self._read().items() if key in left})
        return gone

    def _read(self) -> dict[str, dict[str, str]]:
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.path} can't be read ({error}): delete it, and agree again to "
                "the models that you trust."
            ) from error
        if not isinstance(content, dict):
            raise ModelError(f"{self.path} is damaged: delete it and agree again.")
        return content

    def _write(self, content: dict[str, dict[str, str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(content, indent=1).encode())
