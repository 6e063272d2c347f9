"""Reading a settings file into a frozen model, with errors one can act on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from xling.errors import XlingError
from xling.files import read_yaml

Settings = TypeVar("Settings", bound=BaseModel)


def load_settings(path: Path, model: type[Settings]) -> Settings:
    """Read a YAML file as ``model``.

    Raises:
        XlingError: the file and, for each fault, the key, what was found and what is wrong.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        expected = ", ".join(model.model_fields)
        raise XlingError(f"{path}: expected a mapping with the keys {expected}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise XlingError(f"{path}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """Return a validation error in one line: for each fault its key and what is wrong."""
    return "; ".join(message for _, message in faults(error))


def faults(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each fault of a validation error: its key, part by part, and key and what is wrong."""
    for fault in error.errors():
        keys = tuple(str(part) for part in fault["loc"])
        where = ".".join(keys) or "settings"
        if fault["type"] == "extra_forbidden":
            yield keys, f"{where}: unknown setting; check its spelling"
        elif fault["type"] == "missing":
            yield keys, f"{where}: missing, and it has no default"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            # A fault between several settings has all of them as its input.
            whole = isinstance(fault["input"], Mapping)
            found = "" if whole else f" (found {fault['input']!r})"
            yield keys, f"{where}: {message}{found}"
