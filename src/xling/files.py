"""Files that are either whole or absent.

Everything xling writes goes through a temporary name, ``fsync`` and a rename, so
that a command killed at any moment leaves nothing half-written behind and earlier
results intact.
"""

import errno
import fcntl
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, overload

import psutil

from xling.errors import XlingError
from xling.yaml_reader import MOST_BYTES, parse_yaml

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_being_written: set[str] = set()  # by this process

_UMASK = os.umask(0)
os.umask(_UMASK)
_TEMPORARY, _RETIRED = ".tmp", ".old"
_RUST = re.compile(r"\(os error (\d+)\)")
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)


def _settle(path: Path) -> None:
    """Flush a file to disk, with the permissions of the user's umask.

    Opened again, because libraries may have put another file in its place, and safetensors makes
    files that only their owner can read.
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


def _prefix(path: Path) -> str:
    return f".{path.name}.{socket.gethostname()}-"


def clear_leftovers(path: Path) -> None:
    """Finish what killed writers of ``path`` began: move whole files into place, remove others."""
    path = _by_its_name(path)
    prefix = _prefix(path)
    for left in sorted(path.parent.glob(f"{glob.escape(prefix)}*")):
        writer = left.name.removeprefix(prefix).partition(".")[0]
        # In a container the dead writer may have had the number of this process.
        if not writer.isdecimal() or (
            int(writer) != os.getpid() and psutil.pid_exists(int(writer))
        ):
            continue
        with suppress(OSError):  # another process may do the same at the same time
            if left.suffix == _RETIRED and not path.exists():
                # An earlier folder is put aside only once the new one is whole.
                whole = left.with_suffix(_TEMPORARY)
                os.replace(whole if whole.is_dir() else left, path)
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _by_its_name(path: Path) -> Path:
    """Return the target of a link, or the folder that ``.`` is, as a path that can be replaced."""
    named = path.name and path.name != ".." and not path.is_symlink()
    return path if named else Path(os.path.realpath(path))


def _temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path``; leftovers of killed writers of ``path`` are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    return path.parent / f"{_prefix(path)}{os.getpid()}{_TEMPORARY}"


@contextmanager
def naming_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Make errors of writing name ``path``, or the file in it.

    Otherwise they name nothing if the disk is full, and else the temporary file; libraries written
    in Rust raise errors of their own.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str | Path):
            error.filename, error.filename2 = str(error.filename), None
            error.filename = error.filename.replace(str(temporary or path), str(path))
        elif error.errno in _UNWRITABLE:
            error.filename = str(path)
        raise
    except XlingError:
        raise
    except Exception as error:
        found = _RUST.search(str(error))
        if found is None or int(found[1]) not in _UNWRITABLE:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


# An object from JSON or YAML; the code that reads it knows its keys.
JsonObject = dict[str, Any]


@overload
def atomic_file(path: Path, mode: Literal["w"] = "w") -> AbstractContextManager[IO[str]]: ...


@overload
def atomic_file(path: Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...


@contextmanager
def atomic_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file that takes the name ``path`` only if the block succeeds.

    Text is UTF-8 with ``\n`` line ends on every platform.

    Raises:
        OSError: with the name of ``path``, if it cannot be written.
    """
    temporary = _temporary_name(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with naming_errors(path, temporary):
            with open(temporary, mode, encoding=encoding, newline=newline) as file:
                yield file
            _settle(temporary)
            os.replace(temporary, path)
            _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` only if the block succeeds.

    If ``path`` is a link, its target is replaced.

    Raises:
        OSError: with the name of what cannot be written.
    """
    path = _by_its_name(path)
    temporary = _temporary_name(path)
    try:
        with naming_errors(path, temporary):
            temporary.mkdir()
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    _settle(file)
            _take_place(temporary, path)
            _fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def new_array(path: Path, shape: tuple[int, ...]) -> "NDArray[np.float32]":
    """Return a float32 array mapped to a new file whose space is allocated at once.

    Otherwise a disk that fills up later would end the process with a signal, not with an error.
    """
    import numpy as np

    array: NDArray[np.float32] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=shape
    )
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every disk can
                    raise
    return array


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Let one process of this machine at a time write ``path``; others wait, and say so.

    The lock belongs to an open file, so it ends with its process. It is among the system's
    temporary files, because ``path`` may be replaced and its folder may not exist yet. If torchrun
    has started several processes, the first holds it for all.
    """
    name = os.path.realpath(path)
    if name in _being_written or os.environ.get("RANK", "0") != "0":
        yield
        return
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    place = Path(tempfile.gettempdir()) / f"xling-{os.getuid()}-{digest}.lock"
    with _locked(place, path):
        _being_written.add(name)
        try:
            yield
        finally:
            _being_written.remove(name)


@contextmanager
def _locked(place: Path, path: Path) -> Iterator[None]:
    lock = None
    # If there is no room or no locks there, output is still either whole or absent.
    with suppress(OSError):
        lock = _lock(place, path)
    try:
        yield
    finally:
        if lock is not None:
            place.unlink(missing_ok=True)
            os.close(lock)


def _lock(place: Path, path: Path) -> int:
    """Return the open file of a held lock; a file that its holder has removed is no lock."""
    said = False
    while True:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    said = True
                    holder = os.pread(lock, 32, 0).decode() or "unknown"
                    print(
                        f"{path}: another process ({holder}) is writing it; waiting until it ends",
                        file=sys.stderr,
                    )
                fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if place.stat().st_ino == os.fstat(lock).st_ino:
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, str(os.getpid()).encode(), 0)
                    return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _take_place(temporary: Path, path: Path) -> None:
    """Give a folder the name ``path``, whatever has it now, even if others do so meanwhile."""
    retired = temporary.with_suffix(_RETIRED)
    try:
        while temporary.exists():
            with suppress(FileNotFoundError):
                os.replace(path, retired)
            try:
                os.replace(temporary, path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                shutil.rmtree(retired, ignore_errors=True)
    finally:
        if retired.exists() and not path.exists():
            os.replace(retired, path)
    shutil.rmtree(retired, ignore_errors=True)


def refuse_unwritable(path: Path, within: bool = False) -> None:
    """Check that a file or folder of this name could be written; leave nothing behind.

    Args:
        path: The name. Folders above it need not be there yet.
        within: It is a folder that stays, and files are written into it.

    Raises:
        XlingError: something above it is not a folder, or a file system is mounted there, so it
            cannot be replaced.
        OSError: with the name of what cannot be written.
    """
    path = _by_its_name(path)
    if not within and path.is_mount():
        raise XlingError(
            f"{path}: is where a file system is mounted, which cannot be replaced; name a folder "
            "in it"
        )
    place = path if within else path.absolute().parent
    while not _is_there(place):
        place = place.parent
    if not place.is_dir():
        raise XlingError(f"{path}: cannot be written, since {place} is not a folder")
    clear_leftovers(place / path.name)
    trial = place / f"{_prefix(path)}{os.getpid()}{_TEMPORARY}"
    with naming_errors(path, trial):
        trial.mkdir()
        trial.rmdir()


def _is_there(path: Path) -> bool:
    """Tell whether a name is taken; an error if it never can be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def write_if_changed(path: Path, text: str) -> None:
    """Write a text file unless it says this already; an unchanged file keeps its time."""
    if not path.exists() or path.read_bytes() != text.encode():
        with atomic_file(path) as file:
            file.write(text)


def write_json(path: Path, value: object) -> None:
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
        raise XlingError(
            f"{path}: not valid JSON ({error}); delete it and run again what made it"
        ) from None


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

    What exists may not be a file; opening it says so, while "not found" would be misleading.
    """
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.exists():
            return candidate
    return None


def refuse_irregular(path: Path) -> None:
    """Refuse anything that exists and is not a regular file (or a link to one), before opening it.

    Reading a named pipe may never return, and a device may have no end.

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


def disk_fault(error: OSError, place: Path | str | None = None) -> str:
    """Say which file (or place) the system could not handle, and why."""
    name, why = error.filename or place, error.strerror or str(error)
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # If several files could not be copied, only the first is named.
        _, name, why = error.args[0][0]
    where = f"{name}: " if name is not None else ""
    return f"{where}cannot be read or written ({why})"


@contextmanager
def readable_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain or gzipped file; errors in reading it name it.

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
