"""The form of the Export page: everything that is published with a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_im2im.docks.export.fields import (
    ChoiceField,
    Field,
    ListField,
    Rows,
    TextField,
)
from napari_im2im.docks.fold import Fold
from napari_im2im.zoo.metadata import Metadata, advice, field_errors, licenses

if TYPE_CHECKING:
    from collections.abc import Mapping

_PERSON = {
    "name": "Name",
    "affiliation": "Affiliation",
    "orcid": "ORCID iD",
    "github_user": "GitHub name",
}


class ExportForm(QWidget):  # type: ignore[misc]
    """A draft of the metadata, judged while it is typed."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        licence = ChoiceField("Licence")
        licence.set_choices(licenses())
        self.fields: dict[str, Field | Rows] = {
            "name": Field("Name"),
            "description": TextField("Description", "What it predicts, from what"),
            "authors": Rows("Author", _PERSON),
            "license": licence,
            "tags": ListField("Tags", "separated by commas"),
            "cite": Rows("Citation", {"text": "Text", "doi": "DOI", "url": "Address"}),
            "documentation": TextField(
                "Documentation", "Markdown; empty: made from the training"
            ),
            "version": Field("Version"),
            "git_repo": Field("Git repository", "https://…"),
            "maintainers": Rows("Maintainer", _PERSON),
            "training_data": Field(
                "Training data", "its id in the zoo, or its name and https://…"
            ),
            "parent": Field(
                "Parent model", "its id in the zoo and its version, affable-shark 1.2"
            ),
            "covers": ListField("Cover pictures", "files; empty: made automatically"),
        }
        self.more = Fold("More")
        folded = QWidget()
        below = QVBoxLayout(folded)
        below.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        names = list(self.fields)
        for i, name in enumerate(names):
            field = self.fields[name]
            field.changed.connect(self.changed)
            (layout if i <= names.index("documentation") else below).addWidget(field)
        self.more.addWidget(folded)
        layout.addWidget(self.more)

    def draft(self) -> dict[str, Any]:
        """Return what is written, valid or not."""
        values = {name: field.value() for name, field in self.fields.items()}
        values["training_data"] = read_training_data(values["training_data"])
        values["parent"] = read_parent(values["parent"])
        return {name: value for name, value in values.items() if value}

    def set_draft(self, draft: Mapping[str, Any]) -> None:
        """Show a draft."""
        values = dict(draft)
        values["training_data"] = write_training_data(values.get("training_data"))
        values["parent"] = write_parent(values.get("parent"))
        for name, field in self.fields.items():
            field.set_value(values.get(name))

    def show_errors(self) -> dict[str, str]:
        """Say beside each field what is wrong with it; return all of it.

        Where nothing is wrong, say what the zoo's reviewers would ask for.
        """
        draft = self.draft()
        errors = field_errors(draft)
        wishes = {} if errors else advice(Metadata.model_validate(draft))
        for name, field in self.fields.items():
            own = {
                key.partition(".")[2]: text
                for key, text in errors.items()
                if key.partition(".")[0] == name
            }
            field.show_errors(own)
            field.show_wish(wishes.get(name, ""))
        return errors


def read_training_data(text: str) -> dict[str, str] | None:
    """Return the data set that a text names: an id, or a name and an address."""
    name, _, address = text.strip().rpartition(" ")
    if address.startswith(("http://", "https://")):
        return {"name": name.strip(" ,;"), "url": address}
    return {"id": text.strip()} if text.strip() else None


def read_parent(text: str) -> dict[str, str] | None:
    """Return the model that a text names: its id, and its version if there is one."""
    name, _, version = text.strip().partition(" ")
    parent = {"id": name, "version": version.strip()}
    return {key: value for key, value in parent.items() if value} if name else None


def write_parent(parent: Mapping[str, str] | None) -> str:
    """Return the text that `read_parent` reads as this."""
    parent = parent or {}
    return f"{parent.get('id', '')} {parent.get('version', '')}".strip()


def write_training_data(data: Mapping[str, str] | None) -> str:
    """Return the text that `read_training_data` reads as this."""
    if not data:
        return ""
    return data.get("id") or f"{data.get('name', '')} {data.get('url', '')}"
