"""The record of a stage's output: its origin, its content, and whether it is current.

Every stage's output folder holds ``artefact.json`` with the stage, its configuration,
hashes of its inputs, the versions of what computed it, and size and hash of every file.
A stage whose description has not changed and whose files are as it wrote them does nothing.
"""

import json
import logging
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xling.errors import XlingError
from xling.files import (
    JsonObject,
    atomic_folder,
    clear_leftovers,
    content_hash,
    only_writer,
    refuse_unwritable,
    write_json,
)

RECORD = "artefact.json"
FILES = "files"
_PACKAGES = ("xling", "torch", "transformers", "tokenizers", "numpy")
# Up to this size, files are compared by content whenever a stage checks its output.
_SMALL = 1 << 20
_HASHED_AT_ONCE = 4  # files, by threads
# Data folders are made by hand too, so what a stage wrote there may be changed on purpose.
_DATA_STAGES = ("conlang", "derive", "data hub", "data prepare")
# Works on a truncated record too.
_STAGE = re.compile(r'\s*\{\s*"stage": "([^"]+)"')
_log = logging.getLogger(__name__)
_version = cache(version)  # each call reads and parses a file


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = _version(package)
        except PackageNotFoundError:
            continue
    return found


def describe(stage: str, config: Mapping[str, object], inputs: Mapping[str, Path]) -> JsonObject:
    """Describe a stage's work: equal descriptions mean equal outputs.

    Args:
        stage: The verb, e.g. ``"tokens"``.
        config: JSON-serialisable settings that the output depends on.
        inputs: Input files by a name that does not depend on where they lie.

    Raises:
        XlingError: an input was altered or truncated since a stage wrote it. In a data folder that
            is a warning, not an error.
    """
    return {
        "stage": stage,
        "config": json.loads(json.dumps(config)),
        "inputs": {name: _input_hash(path) for name, path in sorted(inputs.items())},
    }


def is_current(folder: Path, description: Mapping[str, object], in_place: bool = False) -> bool:
    """Tell whether ``folder`` holds the finished, undamaged output of this description.

    Args:
        folder: Where the output lies.
        description: Description of the work.
        in_place: The stage writes into the folder and does not replace it.

    Raises:
        XlingError: it does not, and replacing it would delete files that its stage did not
            write.
        OSError: it does not, and cannot be written.
    """
    record = read_record(folder)
    if record and all(record.get(key) == value for key, value in description.items()):
        damaged = next(_damaged(folder, record), None)
        if damaged is None:
            if found := other_versions(record):
                _log.warning(
                    "%s: kept, though computed with %s; delete it to compute it again",
                    folder,
                    ", ".join(found),
                )
            return True
        _log.warning("%s; it is made again", damaged[1])
    if record:
        if not in_place:
            _refuse_strangers(folder, record)
        refuse_unwritable(folder, in_place)
    return False


def recorded_versions(record: Mapping[str, object]) -> dict[str, str]:
    """Return the versions of packages that computed an output; empty if the record has none."""
    found = record.get("versions")
    return {name: str(of) for name, of in found.items()} if isinstance(found, dict) else {}


def other_versions(record: Mapping[str, object]) -> list[str]:
    """Return the packages that have another version now than in a record.

    Returns:
        For each its name and both versions, e.g. ``torch 2.12.0 (now 2.13.0)``.
    """
    recorded = recorded_versions(record)
    return [
        f"{package} {recorded[package]} (now {now})"
        for package, now in versions().items()
        if package in _PACKAGES and recorded.get(package, now) != now
    ]


def altered_files(folder: Path) -> list[Path]:
    """Return the files of a finished output that exist but differ from what its stage wrote."""
    return [path for path, _ in _damaged(folder, read_record(folder)) if path.exists()]


def read_record(folder: Path) -> JsonObject:
    """Return the record of a finished output; empty if there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(
    folder: Path,
    description: Mapping[str, object],
    files: Iterable[Path],
    spare: Iterable[Path] = (),
    notes: Mapping[str, object] | None = None,
) -> None:
    """Record in ``folder`` that it holds the finished output of a description.

    Args:
        folder: Where the output lies.
        description: What it was made from.
        files: Its files, with size and hash, by which damage is found later.
        spare: Files that a user may delete, but not alter.
        notes: What else is worth knowing, such as the device; the output is current without it.
    """
    own, deletable = sorted(files), list(spare)
    with ThreadPoolExecutor(_HASHED_AT_ONCE) as pool:
        facts = list(pool.map(_facts, [*own, *deletable]))
    names = [path.relative_to(folder).as_posix() for path in [*own, *deletable]]
    found = dict(zip(names, facts, strict=True))
    for name in names[len(own) :]:
        found[name]["spare"] = True
    record = {**description, **(notes or {}), "versions": versions(), FILES: found}
    write_json(folder / RECORD, record)


def _facts(path: Path) -> dict[str, object]:
    # Users may edit texts written for them; such texts and links need only exist.
    if path.is_symlink() or path.suffix == ".md":
        return {}
    return {"bytes": path.stat().st_size, "blake2b": content_hash(path)}


def check_file(path: Path) -> None:
    """Compare a file with what the stage that wrote it recorded, if there is such a record.

    Raises:
        XlingError: it was altered or truncated; the message says what to do.
    """
    if path.is_file() and _owner(path) is not None:
        _input_hash(path)


def check_output(folder: Path, stage: str, *inputs: Path, in_place: bool = False) -> None:
    """Refuse, before any work, an output folder that could not be written or should not be.

    Also finishes or removes what a killed writer of this folder began.

    Args:
        folder: Where the output is to go.
        stage: The stage that will write it.
        inputs: Files and folders that are read, which replacing ``folder`` must not delete.
        in_place: The stage writes into the folder and does not replace it.

    Raises:
        XlingError: ``folder`` is or holds one of the inputs, or holds anything but this stage's
            output, which would be lost.
        OSError: it cannot be written.
    """
    place = Path(os.path.realpath(folder))
    for path in inputs:
        if Path(os.path.realpath(path)).is_relative_to(place):
            raise XlingError(
                f"{folder}: is read by this command ({path}) and would be replaced; name another "
                "folder to write to"
            )
    clear_leftovers(folder)
    if not in_place or not folder.is_dir():
        _refuse_foreign(folder, stage)
    # A finished output may lie on a read-only disk.
    if not (folder / RECORD).is_file():
        refuse_unwritable(folder, in_place and folder.is_dir())


@contextmanager
def building(
    folder: Path, description: Mapping[str, object], notes: Mapping[str, object] | None = None
) -> Iterator[Path]:
    """Yield a temporary folder; on success record the description and move it to ``folder``.

    Args:
        folder: Where the output goes.
        description: What it is made from.
        notes: As :func:`write_record` takes them.

    Raises:
        XlingError: ``folder`` holds anything but this stage's output, which would be lost.
    """
    _refuse_foreign(folder, str(description["stage"]))
    with only_writer(folder), atomic_folder(folder) as temporary:
        yield temporary
        files = [path for path in temporary.rglob("*") if path.is_file() or path.is_symlink()]
        write_record(temporary, description, files, notes=notes)


def _damaged(folder: Path, record: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """Yield each file that is not as the record says, and what is wrong with it.

    Sizes are always compared; content only for small files and those written after the record.
    """
    for name, facts in _files(record).items():
        path = folder / name
        if not path.exists():
            if not facts.get("spare"):
                yield path, f"{path}: is missing"
        elif "bytes" in facts:
            found, recorded = path.stat(), (folder / RECORD).stat()
            looked_at = found.st_size <= _SMALL or found.st_mtime_ns > recorded.st_mtime_ns
            if found.st_size != facts["bytes"] or (
                looked_at and content_hash(path) != facts["blake2b"]
            ):
                yield path, _fault(path, facts)


def _files(record: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return what a record says of its files; nothing if it is from before files were recorded.

    Entries that do not describe a file were added by hand and are ignored.
    """
    found = record.get(FILES)
    facts = found.items() if isinstance(found, dict) else ()
    kinds = {"bytes": int, "blake2b": str}
    return {
        name: of
        for name, of in facts
        if isinstance(of, dict)
        and ("bytes" not in of or all(isinstance(of.get(key), kinds[key]) for key in kinds))
    }


def _fault(path: Path, facts: Mapping[str, object]) -> str:
    size, expected = path.stat().st_size, facts["bytes"]
    how = f"{size:,} bytes, not {expected:,}" if size != expected else "its content differs"
    return f"{path}: was altered or truncated since it was written ({how})"


def _input_hash(path: Path) -> str:
    """Return a file's hash; refuse a file that is not what a stage of xling wrote there."""
    found = content_hash(path)
    owner = _owner(path)
    if owner is None:
        return found
    record = read_record(owner)
    name = os.path.relpath(os.path.realpath(path), os.path.realpath(owner))
    facts = _files(record).get(name)
    if facts is None or found == facts.get("blake2b", found):
        return found
    fault, stage = _fault(path, facts), record.get("stage")
    if stage in _DATA_STAGES:
        _log.warning("%s; it is used as it is now", fault)
        return found
    raise XlingError(
        f"{fault}; delete {owner} and run again what made it (xling {stage}), or delete only its "
        f"{RECORD} to use it as it is"
    )


def _owner(path: Path) -> Path | None:
    """Return the output that a file belongs to, even if its path is relative or has links.

    Messages use the name that the user typed, not what it links to.
    """
    above = (*path.parents, *Path(os.path.realpath(path)).parents)
    return next((folder for folder in above if (folder / RECORD).is_file()), None)


def _refuse_foreign(folder: Path, stage: str) -> None:
    """Refuse to replace a folder that this stage did not write, or that holds more than that."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise XlingError(f"{folder}: is a file; name a folder to write to")
    found = next(folder.iterdir(), None)
    if found is None:
        return
    try:
        owner = _STAGE.match((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        owner = None
    if owner is None and (folder / RECORD).is_file():
        raise XlingError(
            f"{folder / RECORD}: is damaged, so the content beside it is unknown; delete "
            f"{folder} if it is an output of xling, or name another folder"
        )
    if owner is None:
        raise XlingError(
            f"{folder}: holds files that xling did not write ({found.name}) and would replace; "
            "name another folder, or empty this one"
        )
    if owner[1] != stage:
        raise XlingError(
            f"{folder}: holds the output of the stage {owner[1]!r}, not of {stage!r}; "
            "name another folder, or empty this one"
        )


def _refuse_strangers(folder: Path, record: Mapping[str, object]) -> None:
    """Refuse to replace a finished output to which somebody has added files."""
    written = _files(record)
    if not written:
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and str(name) not in {*written, RECORD}:
            raise XlingError(
                f"{path}: was not written by xling, which would replace {folder} and all that is "
                "in it; move the file away, or name another folder"
            )
