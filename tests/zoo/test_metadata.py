"""Metadata is judged field by field, as the specification would."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.zoo.metadata import (
    Metadata,
    Person,
    advice,
    field_errors,
    licenses,
)

COMPLETE = {
    "name": "Nuclei from phase contrast",
    "description": "Predicts DAPI from phase contrast.",
    "authors": [{"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097"}],
    "cite": [{"text": "Somebody et al.", "doi": "10.1038/s41592-020-01008-z"}],
    "tags": ["2d"],
}


def with_field(field: str, value: object) -> dict[str, object]:
    return {**COMPLETE, field: value}


def test_complete_metadata_have_no_errors() -> None:
    assert field_errors(COMPLETE) == {}


def test_an_empty_draft_names_what_is_needed() -> None:
    assert set(field_errors({})) == {"name", "authors"}


@pytest.mark.parametrize(
    ("field", "value", "where", "said"),
    [
        ("name", "µm", "name", "'µ' can't be part of a name"),
        ("name", "abc", "name", "5 to 128"),
        ("description", "x" * 1025, "description", "1024"),
        ("authors", [], "authors", "needed"),
        ("authors", [{"name": "A/B"}], "authors.0.name", "slash"),
        (
            "authors",
            [{"name": "A", "orcid": "0000-0002-1825-0098"}],
            "authors.0.orcid",
            "typing mistake",
        ),
        (
            "authors",
            [{"name": "A", "github_user": "a b"}],
            "authors.0.github_user",
            "GitHub",
        ),
        ("authors", [{"name": "A", "email": "a@b"}], "authors.0.email", "e-mail"),
        ("maintainers", [{"name": "A"}], "maintainers.0.github_user", "needed"),
        ("license", "cc-by-4.0", "license", "did you mean CC-BY-4.0"),
        ("cite", [{"text": "X"}], "cite.0", "DOI or an address"),
        ("cite", [{"text": "X", "doi": "11.1/x"}], "cite.0.doi", "10."),
        ("git_repo", "github.com/a/b", "git_repo", "https://"),
        ("version", "one", "version", "1.0.0"),
        ("training_data", {"name": "Neurons"}, "training_data", "id"),
        ("parent", {"id": "Affable Shark"}, "parent.id", "affable-shark"),
        ("covers", ["missing.png"], "covers.0", "no file"),
        ("colour", "red", "colour", "no such field"),
    ],
)
def test_a_wrong_field_gets_its_sentence(
    field: str, value: object, where: str, said: str
) -> None:
    errors = field_errors(with_field(field, value))
    assert list(errors) == [where]
    assert said in errors[where]


EMAILS = ("a@b.de", "a@b", ".a@b.de", "a.@b.de", "a@-b.de", "a@b..de")
ADDRESSES = (
    "https://a.de",
    "http://x",
    "ftp://a",
    "https://a b",
    "https://a.de:99999/",
)
DOIS = ("10.1038/x", "10.103/x", "10.1038/", "10.12345/x(1)")
VERSIONS = ("1", "0.1.0", "1.0.0-rc1", "v1", "one", "1..2")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("email", text) for text in EMAILS),
        *(("git_repo", text) for text in ADDRESSES),
        *(("doi", text) for text in DOIS),
        *(("version", text) for text in VERSIONS),
    ],
)
def test_fields_are_judged_as_the_specification_does(field: str, text: str) -> None:
    from bioimageio.spec import ValidationContext
    from bioimageio.spec.generic.v0_3 import Author, Doi
    from bioimageio.spec.model.v0_5 import ModelDescr
    from pydantic import TypeAdapter

    def judge() -> None:
        if field == "email":
            Author(name="A", email=text)
        elif field == "doi":
            Doi(text)
        else:
            known = ModelDescr.model_fields[field].rebuild_annotation()
            TypeAdapter(known).validate_python(text)

    with ValidationContext(perform_io_checks=False):
        try:
            judge()
            accepted = True
        except ValueError:
            accepted = False
    values = {
        "email": {"authors": [{"name": "A", "email": text}]},
        "doi": {"cite": [{"text": "X", "doi": text}]},
    }
    changed = {**COMPLETE, **values.get(field, {field: text})}
    assert (field_errors(changed) == {}) is accepted


def test_pasted_addresses_become_what_the_specification_wants() -> None:
    person = Person(
        name="A",
        orcid="https://orcid.org/0000-0002-1694-233X",
        github_user="https://github.com/octocat",
    )
    assert person.orcid == "0000-0002-1694-233X"
    assert person.github_user == "octocat"
    values = with_field("cite", [{"text": "X", "doi": "https://doi.org/10.1038/x"}])
    assert Metadata.model_validate(values).cite[0].doi == "10.1038/x"


def test_empty_optional_fields_are_left_out() -> None:
    assert field_errors(with_field("git_repo", "")) == {}
    assert Person(name="A", orcid="", email="").orcid is None  # type: ignore[arg-type]


def test_advice_is_no_error() -> None:
    values = {**COMPLETE, "name": "N" * 65, "tags": [], "cite": []}
    said = advice(Metadata.model_validate(values))
    assert set(said) == {"name", "authors", "tags", "cite"}


def test_licenses_are_those_of_the_specification() -> None:
    from typing import get_args

    from bioimageio.spec._internal.license_id import LicenseIdLiteral

    assert set(licenses()) == set(get_args(LicenseIdLiteral))


@given(st.text(string.ascii_letters + string.digits + "_+- ()/é", max_size=140))
def test_names_are_judged_as_the_specification_does(name: str) -> None:
    from bioimageio.spec.model.v0_5 import ModelDescr
    from pydantic import TypeAdapter, ValidationError

    field = ModelDescr.model_fields["name"]
    judge = TypeAdapter(field.rebuild_annotation())
    try:
        judge.validate_python(name, context={})
        accepted = True
    except ValidationError:
        accepted = False
    assert ("name" not in field_errors(with_field("name", name))) is accepted


@given(st.from_regex(r"(\d{4}-){3}\d{3}[\dX]", fullmatch=True))
def test_orcids_are_judged_as_the_specification_does(orcid: str) -> None:
    from bioimageio.spec.generic.v0_3 import OrcidId

    try:
        OrcidId(orcid)
        accepted = True
    except ValueError:
        accepted = False
    errors = field_errors(with_field("authors", [{"name": "A", "orcid": orcid}]))
    assert (errors == {}) is accepted
