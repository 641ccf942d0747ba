"""What a published model says about itself, checked field by field.

The rules are those of the BioImage Model Zoo's specification, said in words while
somebody types; `bioimageio.spec`, which takes seconds to import, has the last word
when a package is written.
"""

from __future__ import annotations

import re
import string
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    ValidationError,
    model_validator,
    validate_email,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_+- ()")
_ID_CHARACTERS = frozenset(string.ascii_lowercase + string.digits + "_-/.")
_COVER_SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".svg")


def _model_name(value: str) -> str:
    strange = sorted(set(value) - _NAME_CHARACTERS)
    if strange:
        raise ValueError(
            f"{strange[0]!r} can't be part of a name: use letters, digits, spaces, "
            "_ + - and ( )."
        )
    if not 5 <= len(value) <= 128:
        raise ValueError(f"Use 5 to 128 characters, not {len(value)}.")
    return value


def _description(value: str) -> str:
    if len(value) > 1024:
        raise ValueError(
            f"Use at most 1024 characters, not {len(value)}: the rest belongs into "
            "the documentation."
        )
    return value


def _person_name(value: str) -> str:
    if not value.strip():
        raise ValueError("Write a name.")
    if "/" in value or "\\" in value:
        raise ValueError("A name can't hold a slash.")
    return value


def _orcid(value: str) -> str:
    value = value.removeprefix("https://orcid.org/").strip()
    if not re.fullmatch(r"(\d{4}-){3}\d{3}[\dX]", value):
        raise ValueError("Write the ORCID iD as 0000-0002-1825-0097.")
    total = 0
    for digit in value.replace("-", ""):
        # ISO 7064, mod 11-2.
        total = (2 * total + (10 if digit == "X" else int(digit))) % 11
    if total != 1:
        raise ValueError("This ORCID iD has a typing mistake: its last digit differs.")
    return value


def _github_user(value: str) -> str:
    value = value.removeprefix("https://github.com/").removeprefix("@").strip("/ ")
    if not re.fullmatch(r"[A-Za-z\d](?:-?[A-Za-z\d]){0,38}", value):
        raise ValueError("This is no GitHub user name: use letters, digits and -.")
    return value


def _email(value: str) -> str:
    try:
        return validate_email(value)[1]
    except ValueError:
        raise ValueError("Write an e-mail address, or leave it empty.") from None


def _doi(value: str) -> str:
    value = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", value.strip())
    if not re.fullmatch(r"10\.\d{4}.+", value):
        raise ValueError("A DOI starts with 10. and four digits, as 10.1038/…")
    return value


def _url(value: str) -> str:
    try:
        HttpUrl(value)
    except ValidationError:
        known = False
    else:
        known = re.fullmatch(r"https?://\S+", value) is not None
    if not known:
        raise ValueError("Write an address that starts with https://.")
    return value


def _version(value: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        Version(value)
    except InvalidVersion:
        raise ValueError("Write a version as 1.0.0.") from None
    return value


def _resource_id(value: str) -> str:
    strange = sorted(set(value) - _ID_CHARACTERS)
    if not value or strange or value.startswith("/") or value.endswith("/"):
        raise ValueError(
            "Write the id of the zoo, as affable-shark: small letters, digits, _ - . /"
        )
    return value


def _license(value: str) -> str:
    if value not in licenses():
        near = [name for name in licenses() if name.lower() == value.lower()]
        raise ValueError(
            f"{value!r} is no SPDX identifier: "
            + (f"did you mean {near[0]}?" if near else "choose one from the list.")
        )
    return value


def _cover(value: Path) -> Path:
    if value.suffix.lower() not in _COVER_SUFFIXES:
        raise ValueError(f"A cover is one of {', '.join(_COVER_SUFFIXES)}.")
    if not value.is_file():
        raise ValueError(f"There is no file {value}.")
    return value


def _tag(value: str) -> str:
    if not value.strip():
        raise ValueError("A tag can't be empty.")
    return value.strip()


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        """Take an empty optional field for one that isn't given."""
        if not isinstance(values, dict):
            return values
        optional = {
            name for name, field in cls.model_fields.items() if field.default is None
        }
        return {k: v for k, v in values.items() if not (k in optional and v == "")}


Name = Annotated[str, AfterValidator(_person_name)]
GitHubUser = Annotated[str, AfterValidator(_github_user)]


class Person(_Metadata):
    """An author."""

    name: Name
    affiliation: str | None = None
    email: Annotated[str, AfterValidator(_email)] | None = None
    orcid: Annotated[str, AfterValidator(_orcid)] | None = None
    github_user: GitHubUser | None = None


class Maintainer(Person):
    """Somebody who answers questions; found by the GitHub name."""

    name: Name | None = None  # type: ignore[assignment]
    github_user: GitHubUser


class Citation(_Metadata):
    """A publication, with its DOI or its address."""

    text: str = Field(min_length=1)
    doi: Annotated[str, AfterValidator(_doi)] | None = None
    url: Annotated[str, AfterValidator(_url)] | None = None

    @model_validator(mode="after")
    def _has_address(self) -> Citation:
        if self.doi is None and self.url is None:
            raise ValueError("A citation needs a DOI or an address.")
        return self


class TrainingData(_Metadata):
    """A data set: its id in the zoo, or its name and address."""

    id: Annotated[str, AfterValidator(_resource_id)] | None = None
    name: Annotated[str, AfterValidator(_model_name)] | None = None
    url: Annotated[str, AfterValidator(_url)] | None = None

    @model_validator(mode="after")
    def _is_named(self) -> TrainingData:
        if self.id is None and (self.name is None or self.url is None):
            raise ValueError("Give the data set's id in the zoo, or name and address.")
        return self


class Parent(_Metadata):
    """The model of the zoo that this one was fine-tuned from."""

    id: Annotated[str, AfterValidator(_resource_id)]
    version: Annotated[str, AfterValidator(_version)] | None = None


class Metadata(_Metadata):
    """All that is published with a model beside its tensors and weights."""

    name: Annotated[str, AfterValidator(_model_name)]
    description: Annotated[str, AfterValidator(_description)] = ""
    authors: list[Person] = Field(min_length=1)
    maintainers: list[Maintainer] = []
    license: Annotated[str, AfterValidator(_license)] = "CC-BY-4.0"
    tags: list[Annotated[str, AfterValidator(_tag)]] = []
    cite: list[Citation] = []
    documentation: str = Field("", description="Markdown; default: made here.")
    version: Annotated[str, AfterValidator(_version)] = "0.1.0"
    git_repo: Annotated[str, AfterValidator(_url)] | None = None
    training_data: TrainingData | None = None
    parent: Parent | None = None
    covers: list[Annotated[Path, AfterValidator(_cover)]] = Field(
        default=[], description="Picture files; default: made from the test image."
    )


def field_errors(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what the specification would reject, by field.

    Parameters
    ----------
    values
        As `Metadata` takes them; any draft.

    Returns
    -------
    dict of str to str
        A sentence for each field, named as ``authors.0.orcid``.
    """
    try:
        Metadata.model_validate(dict(values))
    except ValidationError as error:
        return {
            ".".join(str(part) for part in entry["loc"]) or "metadata": _sentence(entry)
            for entry in reversed(error.errors())
        }
    return {}


def advice(metadata: Metadata) -> dict[str, str]:
    """Return what the zoo's reviewers would ask for, by field."""
    found = {}
    if len(metadata.name) > 64:
        found["name"] = "Names above 64 characters are cut off in lists."
    if not metadata.description:
        found["description"] = "Say in a sentence or two what the model does."
    elif len(metadata.description) > 512:
        found["description"] = "Shorten it to 512 characters."
    if not metadata.cite:
        found["cite"] = "Name the publication that users should cite."
    people = [*metadata.authors, *metadata.maintainers]
    if not any(person.github_user for person in people):
        found["authors"] = (
            "The zoo asks for the GitHub name of an author or a maintainer."
        )
    if not {"2d", "3d", "2d-t", "3d-t"} & set(metadata.tags):
        found["tags"] = "Add 2d or 3d, so that the model is found."
    return found


@cache
def licenses() -> tuple[str, ...]:
    """Return the SPDX identifiers that the specification knows, usual ones first."""
    usual = ("CC-BY-4.0", "CC0-1.0", "MIT", "BSD-3-Clause", "Apache-2.0")
    return tuple(dict.fromkeys([*usual, *_spdx()]))


def _spdx() -> list[str]:
    """Read the list that bioimageio.spec brings, without importing it."""
    import json
    from importlib.metadata import files

    name = "bioimageio/spec/static/spdx_licenses.json"
    found = next(f for f in files("bioimageio.spec") or () if f.as_posix() == name)
    content = json.loads(found.read_text(encoding="utf-8"))
    return [
        entry["licenseId"]
        for entry in content["licenses"]
        if not entry.get("isDeprecatedLicenseId")
    ]


def _sentence(entry: Mapping[str, Any]) -> str:
    kind, message = entry["type"], str(entry["msg"])
    if kind == "missing" or kind in ("too_short", "string_too_short"):
        return "This is needed."
    if kind == "extra_forbidden":
        known = ", ".join(Metadata.model_fields)
        return f"There is no such field; the fields are {known}."
    return message.removeprefix("Value error, ")
