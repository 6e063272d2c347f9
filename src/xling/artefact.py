"""What a stage writes beside its output: where it came from, and whether it is current.

Every stage's output folder holds ``artefact.json`` with the stage, its configuration,
hashes of its inputs and the versions of what computed it. A stage whose description
has not changed does nothing.
"""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xling.errors import XlingError
from xling.files import atomic_folder, content_hash, only_writer, write_json

RECORD = "artefact.json"
_PACKAGES = ("xling", "torch", "transformers", "tokenizers", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe(stage: str, config: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Describe a stage's work: equal descriptions mean equal outputs.

    Args:
        stage: The verb, e.g. ``"tokens"``.
        config: JSON-serialisable settings that decide the output.
        inputs: Input files by a name that does not depend on where they lie.
    """
    return {
        "stage": stage,
        "config": json.loads(json.dumps(config)),
        "inputs": {name: content_hash(path) for name, path in sorted(inputs.items())},
    }


def is_current(folder: Path, description: Mapping[str, Any]) -> bool:
    """Tell whether ``folder`` holds the finished output of this very description."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all(record.get(key) == value for key, value in description.items())


@contextmanager
def building(folder: Path, description: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a temporary folder; on success record the description and move it to ``folder``.

    Raises:
        XlingError: ``folder`` holds anything but this stage's output, which would be lost.
    """
    _refuse_foreign(folder, description["stage"])
    with only_writer(folder), atomic_folder(folder) as temporary:
        yield temporary
        write_json(temporary / RECORD, {**description, "versions": versions()})


def _refuse_foreign(folder: Path, stage: str) -> None:
    """Refuse to replace a folder that this stage did not write."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise XlingError(f"{folder}: is a file; name a folder to write to")
    found = next(folder.iterdir(), None)
    if found is None:
        return
    try:
        owner = json.loads((folder / RECORD).read_text(encoding="utf-8"))["stage"]
    except (OSError, ValueError, KeyError, TypeError):
        raise XlingError(
            f"{folder}: holds files that xling did not write ({found.name}) and would replace; "
            "name another folder, or empty this one"
        ) from None
    if owner != stage:
        raise XlingError(
            f"{folder}: holds the output of the stage {owner!r}, not of {stage!r}; "
            "name another folder, or empty this one"
        )
