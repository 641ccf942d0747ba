"""The question whether a model may run its own code; the default is no."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.docks.job_row import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_im2im.zoo.trust import Code


_WIDTH = 600
"""Pixels that a sha256 needs."""


class TrustDialog(QDialog):  # type: ignore[misc]
    """Shows what would run, and asks.

    Parameters
    ----------
    code
        What the model wants to run.
    model
        Its name.
    parent
        The dock.
    """

    def __init__(self, code: Code, model: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Trust {model}?")
        self.code = QPlainTextEdit(code.text)
        self.code.setReadOnly(True)
        self.code.setAccessibleName("Code of the model")
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        self.code.setFont(fixed)
        self.code.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.code.setFixedSize(_WIDTH, 320)
        self.code.hide()
        self.show_code = QPushButton("Show code")
        self.show_code.setCheckable(True)
        self.show_code.toggled.connect(self._show_code)
        self.show_code.setVisible(bool(code.text))
        buttons = QDialogButtonBox()
        role = QDialogButtonBox.ButtonRole
        buttons.addButton(self.show_code, role.ActionRole)
        self.trust = buttons.addButton("Trust this version", role.AcceptRole)
        self.cancel = buttons.addButton("Cancel", role.RejectRole)
        self.trust.setAutoDefault(False)
        self.show_code.setAutoDefault(False)
        self.cancel.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.question = sentence(
            f"This model runs its own Python code: {code.sentence}. It {code.purpose}."
        )
        layout = QVBoxLayout(self)
        layout.setSizeConstraint(QVBoxLayout.SizeConstraint.SetFixedSize)
        layout.addWidget(self.question)
        for text in (
            "Code can do whatever you can do on this computer. Trust it only if you "
            "know its authors or have read it. Another version asks again.",
            f"sha256: {code.token}" if code.path else f"From: {code.token}",
        ):
            layout.addWidget(sentence(text))
        for label in self.findChildren(QLabel):
            label.setMinimumWidth(_WIDTH)
        layout.addWidget(self.code, 1)
        layout.addWidget(buttons)
        self.cancel.setFocus()

    def _show_code(self, shown: bool) -> None:
        self.code.setVisible(shown)
        self.show_code.setText("Hide code" if shown else "Show code")


def ask_for_trust(
    code: Code,
    model: str,
    parent: QWidget,
    remember: Callable[[Callable[[], Generator[bool]]], None],
) -> None:
    """Ask whether code of a model may run.

    Parameters
    ----------
    code
        What the model wants to run.
    model
        Its name.
    parent
        Of the dialog.
    remember
        Called with what keeps the agreement, to be run in a thread, once somebody
        agrees. Ask anew what the model needs: there may be another file.
    """
    dialog = TrustDialog(code, model, parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.accepted.connect(lambda: remember(partial(_agree, code, model)))
    dialog.open()


def _agree(code: Code, model: str) -> Generator[bool]:
    # Runs in a thread: what it imports takes seconds.
    from napari_im2im.zoo.trust import TrustStore

    TrustStore().agree(code, model)
    yield True
