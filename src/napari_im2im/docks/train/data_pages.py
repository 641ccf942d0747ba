"""Where files to learn from are named: a folder that is recognised, or patterns."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.docks.dock import Form
from napari_im2im.docks.job import Job
from napari_im2im.docks.train.channel_row import ChannelRow
from napari_im2im.docks.train.found_files import (
    Found,
    describe,
    describe_split,
    describe_two_sets,
    find,
)
from napari_im2im.docks.train.pair_table import FilesField, PairTable, read_thumbnails

if TYPE_CHECKING:
    from napari_im2im.images.folders.kinds import Kind
    from napari_im2im.images.folders.tables import TableRow
    from napari_im2im.training.data.config import DataConfig
    from napari_im2im.training.tasks.catalogue import TaskInfo

_LABELS = {"input": "Input", "target": "Target", "cost_map": "Cost map"}
_AUTOMATIC, _NONE = "as the names tell", "all pixels count"
_UNCHOSEN = "Choose the channels to read, and those to learn."


class DataPage(QWidget):  # type: ignore[misc]
    """Base of the pages that name files, with the table of what they found.

    Attributes
    ----------
    found
        What the last look found, None before and while looking.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.found: Found | None = None
        self.pairs = PairTable()
        self.channels = {
            "input": ChannelRow("Channels to read"),
            "target": ChannelRow("Channels to learn"),
        }
        self._task = "image"
        self._needs_target, self._two_sets = True, False
        self._looks: dict[int, Job] = {}
        self._numbers = count()
        self._form = Form()
        self.setLayout(self._form)

    def _close(self) -> None:
        for title, row in zip(("Read", "Learn"), self.channels.values(), strict=True):
            row.changed.connect(self.changed)
            self._form.add(title, row)
            self._form.show_row(row, False)
        self._form.addWidget(self.pairs, self._form.rowCount(), 0, 1, 2)

    @property
    def rows(self) -> tuple[TableRow, ...]:
        """The files of the samples that were found."""
        table = self.found.table if self.found is not None else None
        return table.rows if table is not None else ()

    def data(self) -> dict[str, Any]:
        """Return the fields of `DataConfig` that name the files and their channels."""
        files = self.files()
        if not files:
            return {}
        chosen = {f"{role}_channels": row.channels for role, row in self._rows()}
        return {**files, **{key: value for key, value in chosen.items() if value}}

    def files(self) -> dict[str, Any]:
        """Return the fields of `DataConfig` that name the files."""
        raise NotImplementedError

    def _rows(self) -> list[tuple[str, ChannelRow]]:
        """Return the choices of channels that count for the task."""
        return [
            (role, row)
            for role, row in self.channels.items()
            if row.offered and (role == "input" or self._needs_target)
        ]

    def names(self) -> list[str]:
        """Return what input and target are called, for the name of the run."""
        raise NotImplementedError

    def set_task(self, task: str, info: TaskInfo) -> None:
        """Look for what a task needs."""
        self._needs_target, self._two_sets = info.target != "none", info.two_sets
        if task != self._task:
            self._task = task
            self.look()

    def look(self) -> None:
        """Find the files in a thread."""
        for job in self._looks.values():
            job.stop()
        self._looks, self.found = {}, None
        self.pairs.show_rows([])
        data = self.files()
        if data:
            self._start(partial(find, data, self._task), self._keep)
        self.changed.emit()

    def _keep(self, found: Found) -> None:
        self.found = found
        self.pairs.show_rows(self.rows)
        apart = any(row.targets for row in self.rows)
        for role, row in self.channels.items():
            row.offer(found.channels.get(role, ()), chosen=role == "input" or apart)
            self._form.show_row(row, row in dict(self._rows()).values())
        if self.rows:
            self._start(partial(read_thumbnails, self.rows), self.pairs.show_thumbnail)
        self.changed.emit()

    def _start(self, make: Any, on_result: Any) -> None:
        job = Job(make, self)
        number = next(self._numbers)
        # By its number: a job that is held is not deleted once it has ended.
        job.happened.connect(lambda event: number in self._looks and on_result(event))
        job.ended.connect(lambda _: self._looks.pop(number, None))
        self._looks[number] = job
        job.start()

    def _ways_out(self) -> tuple[Fix, ...]:
        """Return what to do where nothing was found."""
        return ()

    def advice(self, config: DataConfig) -> list[Advice]:
        """Say what was found and how it will be split, or what to fix first."""
        if not self.files():
            return [Advice(self._missing, "stop")]
        if self.found is None:
            return [Advice("Looking at the files …", "wait")]
        if self.found.table is None:
            return [Advice(self.found.problem, "stop", self._ways_out())]
        if any(row.channels == [] for _, row in self._rows()):
            return [Advice(_UNCHOSEN, "stop")]
        if self._two_sets:
            return describe_two_sets(self.found.table)
        return [*describe(self.found.table), *describe_split(self.rows, config)]

    _missing = "Name the files to learn from, and those to learn."


class FolderPage(DataPage):
    """A folder whose layout is recognised; what is what can be chosen.

    The boxes for input, target and cost map show where names say what files are.
    """

    _missing = (
        "Choose the folder of the images: with pairs of files, or folders for inputs "
        "and targets."
    )

    def __init__(self) -> None:
        super().__init__()
        self.folder = FilesField("Folder", "folder or table (.csv) of the images")
        self.boxes = {role: QComboBox() for role in _LABELS}
        self._form.add("F&older", self.folder, self.folder.line)
        for role, title in _LABELS.items():
            box = self.boxes[role]
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setAccessibleName(f"{title} files of the folder")
            box.currentIndexChanged.connect(self.look)
            self._form.add(title, box)
        self._close()
        self.folder.changed.connect(self._choose_folder)
        self._fill(())

    def set_task(self, task: str, info: TaskInfo) -> None:
        """Offer what the task needs."""
        if task != self._task:
            self._fill(())
        super().set_task(task, info)

    def files(self) -> dict[str, Any]:
        """Return the folder or table, and what was chosen in it."""
        if not self.folder.text:
            return {}
        if Path(self.folder.text).suffix.lower() == ".csv":
            return {"table": self.folder.text}
        chosen = {role: box.currentData() for role, box in self.boxes.items()}
        kinds = {role: name for role, name in chosen.items() if name}
        if {"input", "target"} <= {*kinds}:
            return {"folder": self.folder.text, "kinds": kinds}
        return {"folder": self.folder.text}

    def names(self) -> list[str]:
        """Return the name of the folder."""
        names = [str(self.boxes[r].currentData() or "") for r in ("input", "target")]
        return names if all(names) else [Path(self.folder.text).stem, ""]

    def _ways_out(self) -> tuple[Fix, ...]:
        there = Path(self.folder.text).expanduser().is_dir()
        return (Fix("Name patterns", "patterns"),) if there else ()

    def _choose_folder(self) -> None:
        self._fill(())
        self.look()

    def _keep(self, found: Found) -> None:
        if not self.boxes["input"].count():
            self._fill(found.kinds)
        super()._keep(found)

    def _fill(self, kinds: tuple[Kind, ...]) -> None:
        """Offer what the files show."""
        for role, box in self.boxes.items():
            box.blockSignals(True)
            box.clear()
            offered = self._needs_target and not (self._two_sets and role == "cost_map")
            if len(kinds) > 1 and offered:
                box.addItem(_NONE if role == "cost_map" else _AUTOMATIC, None)
                for kind in kinds:
                    files = "file" if len(kind.files) == 1 else "files"
                    text = f"{kind.name} · {len(kind.files)} {files}"
                    box.addItem(text, kind.name)
            box.blockSignals(False)
            self._form.show_row(box, bool(box.count()))


class PatternsPage(DataPage):
    """Patterns or folders of input, target and cost map."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = {role: FilesField(title) for role, title in _LABELS.items()}
        self.fields["cost_map"].line.setPlaceholderText(_NONE)
        for role, title in _LABELS.items():
            field = self.fields[role]
            mark = "" if role == "cost_map" else "&"
            self._form.add(f"{mark}{title}", field, field.line)
            field.changed.connect(self.look)
        self._close()

    def set_task(self, task: str, info: TaskInfo) -> None:
        """Ask for a target where the task needs one."""
        self._form.show_row(self.fields["target"], info.target != "none")
        self._form.show_row(self.fields["cost_map"], not info.two_sets)
        super().set_task(task, info)

    def files(self) -> dict[str, Any]:
        """Return the patterns, nothing as long as one is missing."""
        patterns = {
            f"{role}s": field.patterns
            for role, field in self.fields.items()
            if field.patterns and not field.isHidden()
        }
        needed = (
            {"inputs"} if self.fields["target"].isHidden() else {"inputs", "targets"}
        )
        return patterns if needed <= {*patterns} else {}

    def names(self) -> list[str]:
        """Return the stems of the patterns."""
        texts = [self.fields[role].text for role in ("input", "target")]
        return [Path(text).stem for text in texts]
