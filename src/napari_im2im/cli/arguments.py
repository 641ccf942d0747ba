"""From the words of a command line to a validated job.

pydantic-settings makes the parser and the help of the fields of the jobs; this
module adds what it doesn't have: files named by a shell pattern, keys of free
mappings (``--network.kwargs.features 32``), a YAML file beneath the options, and
errors of one sentence that name the nearest known key.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    CliSubCommand,
    SettingsError,
)

from napari_im2im.cli.options import Option, nearest, options_of
from napari_im2im.errors import ConfigError
from napari_im2im.training.presets import overlay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "napari-im2im"


class Command(Protocol):
    """What can be run: a job with all its options."""

    def run(self) -> None:
        """Do the job."""


def parse_command(words: Sequence[str], commands: Mapping[str, type[Any]]) -> Command:
    """Return the command that the words describe.

    Parameters
    ----------
    words
        Words of the command line, without the program's name.
    commands
        Pydantic model of each command, by name.

    Raises
    ------
    ConfigError
        If a command, a key or a value isn't understood.
    SystemExit
        With code 0, after the help that was asked for is printed.
    """
    if not words:
        words = ["--help"]
    name, model = words[0], commands.get(words[0])
    if name.startswith("-"):
        _parse(list(words), commands)
    if model is None:
        raise _unknown("command", name, commands, f"See {PROGRAM} --help.")
    options = options_of(model)
    plain, free = _separate(words[1:], options)
    given = _parse([name, *plain], commands).get(name) or {}
    values: dict[str, Any] = {}
    if given.get("config"):
        values = _read_yaml(Path(given["config"]))
    for layer in (given, free):
        values = overlay(values, layer)
    try:
        command: Command = model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, name, options)) from error
    return command


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(
            f"{message[:1].upper()}{message[1:]}. See {self.prog} --help."
        )


def _parse(words: list[str], commands: Mapping[str, type[Any]]) -> dict[str, Any]:
    """Return what the words say, unvalidated, by command and key."""
    subcommand: Any = CliSubCommand
    fields: dict[str, Any] = {
        name: (subcommand[model], Field(description=_first_sentence(model)))
        for name, model in commands.items()
    }
    root: type[BaseSettings] = create_model("Root", __base__=BaseSettings, **fields)
    defaults = {
        f"{name}.{option.name}": option.default
        for name, model in commands.items()
        for option in options_of(model).values()
    }

    def add_argument(parser: Any, *names: str, **kwargs: Any) -> Any:
        kwargs["help"] = _with_default(kwargs, defaults)
        return parser.add_argument(*names, **kwargs)

    parser = _Parser(
        prog=PROGRAM,
        description=(
            "Train image-to-image models, apply them to images of any size, and "
            "exchange them with the BioImage Model Zoo."
        ),
        allow_abbrev=False,
    )
    source = CliSettingsSource[_Parser](
        root,
        root_parser=parser,
        add_argument_method=add_argument,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_parse_none_str="null",
    )
    try:
        return dict(source(args=words)())
    except SettingsError as error:
        reason = str(error).partition(":")[0]
        raise ConfigError(
            f"A value of {words[0]} isn't understood ({reason}): write several keys as "
            "{key: value}."
        ) from error


def _with_default(kwargs: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return the help of an option, with its default as a YAML file has it."""
    text = str(kwargs.get("help") or "")
    default = defaults.get(str(kwargs.get("dest")))
    text = text.rpartition("(default")[0].strip() if "(default" in text else text
    if text == argparse.SUPPRESS and isinstance(default, str):
        # Of a group that may also be a word; its description stands above.
        text = "In a word."
    if isinstance(default, BaseModel) or default in (None, [], {}):
        return text
    shown = yaml.safe_dump(_plain(default), default_flow_style=True, width=1000)
    shown = shown.strip().removesuffix("...").strip()
    return f"{text} (default: {shown})".strip()


def _first_sentence(model: type[Any]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _separate(
    words: Sequence[str], options: Mapping[str, Option]
) -> tuple[list[str], dict[str, Any]]:
    """Split words into those for the parser and values of free mappings."""
    plain: list[str] = []
    free: dict[str, Any] = {}
    for name, values in _grouped(words):
        if name in ("--help", "-h") or not name.startswith("--"):
            plain += [name, *values]
            continue
        key = name.removeprefix("--")
        positive = key.removeprefix("no-").replace("-", "_")
        key = key if key in options else key.replace("-", "_")
        if values and key in options and options[key].kind == "list":
            # Quoted: a comma in a file name isn't a separator.
            for value in values:
                quoted = value.startswith(("[", '"')) or _is_number(value)
                plain += [f"--{key}", value if quoted else f'"{value}"']
        elif values and key in options and _is_yaml(options[key], values[0]):
            _insert(free, key, _value(values, name))
        elif key in options:
            plain += [f"--{key}", *values]
        elif positive in options and options[positive].kind == "flag":
            plain += [f"--no-{positive}", *values]
        elif _in_mapping(key, options):
            _insert(free, key, _value(values, name))
        else:
            raise _unknown("option", name, [f"--{known}" for known in options], "")
    return plain, free


def _grouped(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return each option with the words that follow it."""
    groups: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            groups.append((name, [value] if equals else []))
        elif groups and word != "-h":
            groups[-1][1].append(word)
        else:
            groups.append((word, []))
    return groups


def _in_mapping(key: str, options: Mapping[str, Option]) -> bool:
    """Return whether a key lies in a free mapping."""
    while "." in key:
        key = key.rpartition(".")[0]
        if key in options:
            return options[key].kind == "mapping"
    return False


def _value(words: Sequence[str], name: str) -> Any:
    if not words:
        raise ConfigError(f"{name} needs a value: write it behind the name.")
    try:
        values = [yaml.safe_load(word) for word in words]
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} has a value that isn't YAML: {words}.") from error
    return values[0] if len(values) == 1 else values


def _is_yaml(option: Option, word: str) -> bool:
    """Return whether a word is for YAML: the parser reads JSON and ``key=value``."""
    if word.startswith("{"):
        return option.kind in ("mapping", "group")
    return option.kind == "mapping" and "=" not in word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _insert(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[last] = value


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: {error.problem}.") from error
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, e.g. 'name: my-model'.")
    return content or {}


def _unknown(what: str, name: str, known: Any, hint: str) -> ConfigError:
    close = nearest(name, known)
    meant = f"; did you mean {close}?" if close else "."
    return ConfigError(f"There is no {what} {name}{meant} {hint}".strip())


def _sentence(
    error: ValidationError, command: str, options: Mapping[str, Option]
) -> str:
    """Return the first problem of a job as a sentence."""
    problems = error.errors(include_url=False)
    # Where a word or a group may stand, a group isn't wrong for being no word.
    first = next(
        (p for p in problems if not (p["type"] == "literal_error" and _is_group(p))),
        problems[0],
    )
    parts = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return str(_unknown("key", ".".join(parts), options, ""))
    # Classes that could have been meant stand between the keys.
    known = {word for option in options for word in option.split(".")}
    parts = [part for part in parts if part in known]
    while parts and ".".join(parts) not in options:
        parts.pop()
    message = first["msg"].removeprefix("Value error, ")
    message = f"{message[:1].lower()}{message[1:]}"
    more = f" ({len(problems) - 1} more like this.)" if len(problems) > 1 else ""
    if not parts:
        return f"{command}: {message}.{more}"
    value = "" if _is_group(first) else f" {first['input']!r}"
    return f"{command}: --{'.'.join(parts)}{value} can't be used: {message}.{more}"


def _is_group(problem: Any) -> bool:
    return isinstance(problem["input"], BaseModel | dict)
