"""Reading a settings file into a frozen model, with errors that a user can act on."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from xling.errors import XlingError
from xling.files import read_yaml
from xling.names import not_text

Settings = TypeVar("Settings", bound=BaseModel)
Given = Mapping[str, object]
Default = Callable[[Given], object]
"""Gives the default of a setting from the settings that are given."""
# Faults of values where text, or something written as text, was expected.
_NOT_TEXT = ("string_type", "model_type", "model_attributes_type", "invalid_key", "path_type")
_KINDS = ("tuple_type", "dict_type", "mapping_type", "list_type", "model_type")
# What pydantic puts among the keys: the kind, of several, that a value was tried as.
_BRANCH = re.compile(r"(tuple|dict|list|Mapping|function-\w+)\[")
_MOST_FAULTS = 20
_SHOWN = 200


def load_settings(
    source: Path | Given | None,
    model: type[Settings],
    /,
    defaults: Mapping[str, Default] | None = None,
    **options: object,
) -> Settings:
    """Read a YAML file as ``model``.

    Args:
        source: The file, or its content; None if the options give everything.
        model: What is read.
        defaults: Defaults of settings that neither the file nor an option gives; in order, so
            that later ones may depend on earlier ones.
        options: Settings that override the file's; None for those that are not given. A dot leads
            into a section: ``pretraining.steps``. A function is called with all other settings.

    Raises:
        XlingError: the file and, for each fault, the key, what was found and what is wrong.
    """
    if isinstance(source, Path):
        path, content = source, read_yaml(source)
    else:
        path, content = None, dict(source or {})
    if not isinstance(content, dict):
        expected = ", ".join(model.model_fields)
        raise XlingError(f"{path}: expected a mapping with the keys {expected}")
    for key, value in options.items():
        if value is not None and not callable(value):
            _put(content, key.split("."), value)
    for key, default in (defaults or {}).items():
        if key not in content:
            content[key] = default(content)
    for key, value in options.items():
        if callable(value):
            _put(content, key.split("."), value(content))
    return checked(content, model, path or "options")


def _put(content: dict[str, object], keys: list[str], value: object) -> None:
    """Set a value; the later check refuses a section that is no mapping."""
    for key in keys[:-1]:
        section = content.get(key, {})
        if not isinstance(section, dict):
            return
        inner = dict(section)
        content[key] = inner
        content = inner
    content[keys[-1]] = value


def checked(content: Given, model: type[Settings], where: Path | str) -> Settings:
    """Return settings as ``model``.

    Args:
        content: The settings by name.
        model: What they are settings of.
        where: Where they stand, for messages.

    Raises:
        XlingError: for each fault, the key, what was found and what is wrong.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise XlingError(f"{where}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """Return a validation error in one line: for each fault its key and what is wrong."""
    return "; ".join(message for _, message in faults(error))


def faults(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each fault of a validation error: its key, part by part, and key and what is wrong."""
    for fault in _without_other_kinds(error.errors())[:_MOST_FAULTS]:
        parts = tuple(part for part in fault["loc"] if not _BRANCH.match(str(part)))
        of_key = parts[-1:] == ("[key]",) or fault["type"] == "invalid_key"
        if of_key:
            parts = parts[:-1] if parts[-1] == "[key]" else parts
            # pydantic shows a key that is not text as something else, e.g. 0 for no.
            parts = parts if isinstance(fault["input"], str) else parts[:-1]
        keys = tuple(str(part) for part in parts)
        where = ".".join(key if key.isprintable() else repr(key) for key in keys) or "settings"
        if fault["type"] == "extra_forbidden":
            yield keys, f"{where}: unknown setting; check its spelling"
        elif fault["type"] == "missing":
            yield keys, f"{where}: missing, and it has no default"
        else:
            yield keys, f"{where}: {_wrong(fault, of_key)}"


def _without_other_kinds(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out faults of the wrong kind, if another kind fits the value and has a fault inside."""

    def elsewhere(fault: ErrorDetails) -> bool:
        around = fault["loc"][:-1]
        return fault["type"] in _KINDS and any(
            len(other["loc"]) > len(fault["loc"])
            and other["loc"][: len(around)] == around
            and _BRANCH.match(str(other["loc"][len(around)]))
            for other in found
        )

    return [fault for fault in found if not elsewhere(fault)]


def _wrong(fault: ErrorDetails, of_key: bool) -> str:
    """Say what is wrong with a value, or with a key."""
    given = fault["input"]
    found = not_text(given) if fault["type"] in _NOT_TEXT else None
    message = f"found {found}" if found else fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "too_short":
        message = f"expected at least {fault['ctx']['min_length']}"
    if message.startswith("found "):
        return message.replace("found ", "found the key ", 1) if of_key else message
    # A fault between several settings has all of them as its input.
    if isinstance(given, Mapping):
        return message
    shown = repr(given)
    if shown in message:
        return message
    return f"{message} (found {shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}...'})"
