"""Files opened by their content: plain, gzip, zstd, xz or bz2; read in blocks of bounded size.

Compressed files are never held unpacked, and a small file that unpacks without end is refused.
"""

import bz2
import errno
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from xling.data.lines import counted
from xling.errors import XlingError, need_extra
from xling.files import refuse_irregular

# Text shrinks to a tenth of its size, logs to a fiftieth, zeros (by gzip) to a thousandth.
_LARGEST_RATIO = 300
_HARMLESS = 64 << 20  # bytes up to which any ratio is accepted
_PIECE = 1 << 20
_ZSTD_PIECE = 512
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bz2",
    b"PAR1": "parquet",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
COMPRESSED = ("gzip", "zstd", "xz", "bz2")
ENDINGS = (".gz", ".zst", ".zstd", ".xz", ".bz2")
_TAR = (257, b"ustar")


def kind_of(start: bytes) -> str:
    """Name the container that a file's first bytes indicate; ``"plain"`` if none."""
    if start[_TAR[0] :].startswith(_TAR[1]):
        return "tar"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "plain")


def unpacked_name(name: str) -> str:
    """Return a file's name without the ending that says how it is packed."""
    return next((name.removesuffix(end) for end in ENDINGS if name.endswith(end)), name)


class _DamagedError(OSError):
    """A compressed file cannot be read further; ``strerror`` says why."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(errno.EIO, message, str(path))


class Stream(io.RawIOBase):
    r"""The unpacked bytes of a file, and facts about them that a reader of text does not see.

    Attributes:
        kind: ``plain``, ``gzip``, ``zstd``, ``xz`` or ``bz2``; ``parquet`` is read as it is.
        given: How many unpacked bytes it has returned so far.
        mark: Whether it begins with a byte order mark.
        returns: How many lines end in ``\r\n``, and the first that does.
        feeds: How many lines end in ``\n`` alone, and the first that does.
    """

    def __init__(self, path: Path, advance: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._path = path
        self._advance = advance
        self._file = _open(path)
        self.kind = kind_of(self._file.read(_TAR[0] + len(_TAR[1])))
        self._file.seek(0)
        self._unpacked = _unpacker(self.kind, self._file, path)
        self._position = self.given = 0
        self._ends_in_return = False
        self._lines = 0
        self.mark = False
        self.returns = (0, 0)
        self.feeds = (0, 0)

    def read1(self, size: int = _PIECE) -> bytes:
        """Return some more bytes, at most ``size``; none at the end.

        Raises:
            OSError: The file is damaged, or unpacks to far more than text does.
        """
        try:
            piece: bytes = self._unpacked.read1(min(size, _PIECE))
        except EOFError:
            raise _DamagedError(
                self._path, f"the {self.kind} data break off before their end; copy the file again"
            ) from None
        except _unpacking_errors() as error:
            advice = "the file is damaged; copy it again"
            raise _DamagedError(self._path, f"{self.kind} data: {error}; {advice}") from None
        self._look(piece)
        position = self._file.tell()
        self._advance(position - self._position)
        self._position = position
        if self.given > _HARMLESS and self.given > _LARGEST_RATIO * position:
            ratio = self.given // max(1, position)
            raise _DamagedError(
                self._path,
                f"unpacks to {ratio} times its size (line {self._lines + 1:,}), as text never "
                "does; if it is meant, unpack it first",
            )
        return piece

    def read(self, size: int = -1) -> bytes:
        """Return some more bytes; see `read1`."""
        return self.read1(size if size >= 0 else _PIECE)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one `read1` does."""
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def tell(self) -> int:
        """Return how many bytes of the file on disk were read."""
        return self._position

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _look(self, piece: bytes) -> None:
        if not self.given:
            self.mark = piece.startswith(b"\xef\xbb\xbf")
            if self.kind in COMPRESSED and (kind := kind_of(piece)) != "plain":
                raise _DamagedError(
                    self._path, f"holds {kind} data inside {self.kind}; unpack it first"
                )
        self.given += len(piece)
        ends = piece.count(b"\n")
        returns = piece.count(b"\r\n") + (self._ends_in_return and piece.startswith(b"\n"))
        if returns and not self.returns[1]:
            where = 0 if self._ends_in_return and piece.startswith(b"\n") else piece.find(b"\r\n")
            self.returns = (0, self._lines + piece.count(b"\n", 0, max(0, where)) + 1)
        if ends > returns and not self.feeds[1]:
            self.feeds = (0, self._lines + self._first_feed(piece))
        self.returns = (self.returns[0] + returns, self.returns[1])
        self.feeds = (self.feeds[0] + ends - returns, self.feeds[1])
        self._lines += ends
        if piece:
            self._ends_in_return = piece.endswith(b"\r")

    def _first_feed(self, piece: bytes) -> int:
        """Return which line of a piece is the first to end in a line feed alone."""
        before = b"\r" if self._ends_in_return else b""
        lines = (before + piece).split(b"\n")
        return next(n for n, line in enumerate(lines, 1) if not line.endswith(b"\r"))

    def mixed(self) -> str:
        """Describe mixed line ends; empty if there are none."""
        (returns, first), (feeds, other) = self.returns, self.feeds
        if not returns or not feeds:
            return ""
        rare = max(first, other)
        said = f"{counted(returns, 'line')} end in \\r\\n and {feeds:,} in \\n"
        return f"line {rare}: mixed line ends ({said}); all become \\n"


def _open(path: Path) -> IO[bytes]:
    refuse_irregular(path)
    try:
        return open(path, "rb")
    except OSError as error:
        raise XlingError(f"{path}: cannot be read ({error.strerror})") from None


def _unpacker(kind: str, file: IO[bytes], path: Path) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    if kind == "xz":
        return lzma.LZMAFile(file)
    if kind == "bz2":
        return bz2.BZ2File(file)
    if kind == "zstd":
        need_extra("import", f"{path}: reading zstd")
        return io.BufferedReader(_Zstd(file), _PIECE)
    if kind in ("zip", "7z", "tar"):
        raise XlingError(f"{path}: a {kind} archive; unpack it and import the folder")
    return file


class _Zstd(io.RawIOBase):
    """What zstd unpacks; unlike the library's reader, raises an error if the data break off."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        import zstandard

        self._file = file
        self._begin = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._packed = self._unpacked = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            # Four bytes may unpack to 128 KiB.
            packed = self._packed or self._file.read(_ZSTD_PIECE)
            if not packed:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._begin()
            self._unpacked, self._packed = self._frame.decompress(packed), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        piece, self._unpacked = self._unpacked[: len(buffer)], self._unpacked[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _unpacking_errors() -> tuple[type[Exception], ...]:
    kinds: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError)
    try:
        import zstandard
    except ImportError:
        return kinds
    return (*kinds, zstandard.ZstdError)
