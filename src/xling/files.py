"""Files that are either whole or absent.

Everything xling writes goes through a temporary name, ``fsync`` and a rename, so
that a command killed at any moment leaves nothing half-written behind and earlier
results intact.
"""

import errno
import glob
import gzip
import hashlib
import json
import os
import shutil
import socket
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from xling.errors import XlingError
from xling.yaml_reader import MOST_BYTES, parse_yaml

_UMASK = os.umask(0)
os.umask(_UMASK)


def _settle(path: Path) -> None:
    """Bring a file to the disk, readable for whom the user's umask lets read.

    Opened anew, because libraries may have put another file in its place, and safetensors makes
    files that nobody else can read.
    """
    path.chmod(0o666 & ~_UMASK)
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path``; what killed writers of ``path`` left there goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{socket.gethostname()}-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        writer = left.name.removeprefix(prefix).partition(".")[0]
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.parent / f"{prefix}{os.getpid()}.tmp"


@contextmanager
def atomic_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file that takes the name ``path`` only if the block succeeds.

    Text is UTF-8 with ``\n`` line ends on every platform.
    """
    temporary = _temporary_name(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
        _settle(temporary)
        os.replace(temporary, path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` only if the block succeeds."""
    temporary = _temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _settle(file)
        if path.exists():
            retired = temporary.with_suffix(".old")
            os.replace(path, retired)
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
        _fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file unless it says this already; an unchanged file keeps its time."""
    if not path.exists() or path.read_bytes() != text.encode():
        with atomic_file(path) as file:
            file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_file(path) as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is an error that names it."""
    refuse_irregular(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XlingError(f"{path}: not found") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise XlingError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def read_yaml(path: Path) -> Any:
    """Read a YAML file safely and strictly; errors name the file and line."""
    refuse_irregular(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise XlingError(f"{path}: not found") from None
    except OSError as error:
        raise XlingError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_yaml(content, path)


def plain_or_gzipped(path: Path) -> Path | None:
    """Return ``path`` if it exists, else ``path.gz`` if that does, else None.

    What exists may still be no file: opening it says so, where "not found" would lead astray.
    """
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.exists():
            return candidate
    return None


def refuse_irregular(path: Path) -> None:
    """Refuse what is there and is no regular file (or a link to one), before it is opened.

    A named pipe without a writer would wait for ever, and a device may have no end.

    Raises:
        XlingError: A folder, a named pipe, a device or a socket.
    """
    fault = _irregular(path)
    if fault:
        raise XlingError(f"{path}: {fault}")


def _irregular(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # opening it says what is wrong
    if stat.S_ISREG(mode):
        return None
    tests = {
        "a folder": stat.S_ISDIR,
        "a named pipe": stat.S_ISFIFO,
        "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
        "a socket": stat.S_ISSOCK,
    }
    kind = next((name for name, test in tests.items() if test(mode)), "something else")
    return f"is {kind}, expected a regular file; write the content to a file first"


class IrregularFileError(OSError):
    """What was to be read is no regular file; ``strerror`` says what it is."""


def open_bytes(path: Path) -> IO[bytes]:
    """Open a plain or gzipped file (by its ending) for reading bytes.

    Raises:
        IrregularFileError: It is no regular file (see `refuse_irregular`).
    """
    if fault := _irregular(path):
        raise IrregularFileError(errno.EINVAL, fault, str(path))
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return open(path, "rb")


def reading_fault(error: Exception) -> str:
    """Say why a plain or gzipped file cannot be read to its end, and what to do."""
    if isinstance(error, EOFError):
        return "the gzip data break off before their end; copy the file again"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        expected = "expected gzip data, as the name ends in .gz; rename it or copy it again"
        return f"cannot be decompressed ({error}); {expected}"
    if isinstance(error, FileNotFoundError):
        return "not found"
    if isinstance(error, IrregularFileError):
        return str(error.strerror)
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


@contextmanager
def readable_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain or gzipped file; what goes wrong in reading it is an error that names it.

    Raises:
        XlingError: It is not there, no regular file, or damaged.
    """
    try:
        with open_bytes(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise XlingError(f"{path}: {reading_fault(error)}") from None


def content_hash(path: Path) -> str:
    """Return the hexadecimal blake2b-128 of a file's bytes.

    Raises:
        XlingError: It is not there, no regular file, or cannot be read.
    """
    refuse_irregular(path)
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise XlingError(f"{path}: {reading_fault(error)}") from None
    return digest.hexdigest()
