"""What holds for the repository as a whole."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "napari_im2im"
README = (REPOSITORY / "README.md").read_text("utf-8")
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))

# From the bottom up; a room imports from itself and from the rooms before it.
ROOMS = (
    ("errors", "events", "folders"),
    ("images",),
    ("models",),
    ("inference",),
    ("zoo",),
    ("training", "evaluation"),
    ("evaluation",),
    ("api", "demo", "diagnosis"),
    ("cli",),
    ("contributions", "docks"),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
WINDOW_LIBRARIES = {"napari", "qtpy", "superqt", "magicgui", "PyQt6", "vispy"}
HEAVY = {
    "torch",
    "monai",
    "lightning",
    "bioimageio",
    "onnxruntime",
    "openvino",
    "torchmetrics",
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path, *, at_top_only=False):
    """Return the modules that a file imports, without those for types only."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if at_top_only else ast.walk(without_type_checking(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def without_type_checking(tree):
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return tree


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_downwards(path):
    room = room_of(path)
    if room == "__init__":
        return
    for module in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "napari_im2im" and len(parts) > 1:
            assert LEVEL[parts[1]] <= LEVEL[room], f"{room} imports {module}"
        if parts[0] in WINDOW_LIBRARIES:
            assert room in ("docks", "contributions"), f"{room} imports {module}"


@pytest.mark.parametrize("folder", ["docks", "cli"])
def test_windows_and_commands_import_torch_lazily(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        heavy = {m.split(".")[0] for m in imported_modules(path, at_top_only=True)}
        assert not heavy & HEAVY, path


def test_the_readme_begins_with_the_two_commands():
    commands = re.findall(r"python3 (tools/\S+\.py) (\w+)", README)
    assert [command for _, command in commands[:2]] == ["demo", "test"]
    assert README.index("bootstrap.py test") < 1200
    script = (REPOSITORY / commands[0][0]).read_text("utf-8")
    assert all(f'"{command}"' in script for _, command in commands)


def test_the_readme_shows_everywhere():
    for address in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert address.startswith("https://"), address


def test_images_of_the_readme_exist():
    prefix = "https://raw.githubusercontent.com/napari-im2im/napari-im2im/main/"
    for path in re.findall(re.escape(prefix) + r"(docs/images/[\w.-]+)", README):
        assert (REPOSITORY / path).is_file(), path


def test_the_package_suits_the_napari_hub():
    project = PYPROJECT["project"]
    assert "Framework :: napari" in project["classifiers"]
    assert project["license"] == "BSD-3-Clause"
    names = [re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"]]
    assert not {"pyqt5", "pyqt6", "pyside2", "pyside6"} & set(names)
    assert not any("napari[" in dependency for dependency in project["dependencies"])


def test_the_manifest_is_found_at_the_top():
    top, inside = REPOSITORY / "napari.yaml", PACKAGE / "napari.yaml"
    # A checkout on Windows has the target's path where others have a link.
    assert top.read_text("utf-8").strip() in (
        inside.read_text("utf-8").strip(),
        "src/napari_im2im/napari.yaml",
    )


def test_source_files_have_one_subject():
    lines = sorted(len(path.read_text("utf-8").splitlines()) for path in MODULES)
    assert lines[len(lines) // 2] < 200
    assert lines[-1] < 600
    for path in MODULES:
        assert path.stem not in ("utils", "helpers", "common", "misc", "manager"), path
