"""Rows of a data set's parquet files: the same code for the hub and for a local folder.

Only parquet is read, file by file as a stream, so no code of a repository runs, nothing is kept
on disk, and memory does not grow with the data set.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.data.hub.spec import CONVERTED, Source
from xling.errors import XlingError
from xling.files import JsonObject, refuse_irregular

if TYPE_CHECKING:
    import datasets
    import fsspec

_SHOWN = 12
# Including what other tools take for line ends (U+0085, U+2028), and the byte order mark, which a
# reader would drop only at the beginning of a file.
_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f\ufeff]")


class DataSet:
    """A data set at one revision.

    Attributes:
        source: Its settings in the specification.
        revision: The commit that is read; None for a folder.
        local: Whether it is a local folder.
    """

    def __init__(self, source: Source, mirror: Path | None = None) -> None:
        self.source = source
        self.local = mirror is not None or not source.on_hub
        self.revision = source.revision
        if not self.local:
            with _hub_errors(source, local=False):
                self.revision = _commit(source)
            self._root = f"datasets/{source.data}@{self.revision}"
            return
        folder = mirror / source.data if mirror and source.on_hub else Path(source.data)
        folder = folder.expanduser().resolve()
        if not folder.is_dir():
            raise XlingError(
                f"{folder}: not found; expected a folder with the parquet files of {source.data} "
                f"({source.files})"
            )
        self._root = str(folder)

    def files(self, config: str, split: str) -> list[str]:
        """Return the parquet files of a split, sorted.

        Raises:
            XlingError: There is none; the message lists what exists.
        """
        pattern = self.source.files.replace("{config}", config).replace("{split}", split)
        with _hub_errors(self.source, self.local):
            found = sorted(self._system().glob(f"{self._root}/{pattern}"))
        if not found:
            raise XlingError(self._absent(config, split, pattern))
        if self.local:
            for file in found:
                refuse_irregular(Path(file))
        return [str(file) for file in found]

    def rows(
        self, config: str, split: str, columns: Sequence[str], names: Sequence[str] | None = None
    ) -> Iterator[JsonObject]:
        """Yield the rows of a split, with classes as their names.

        Args:
            config: Name of the configuration.
            split: Name of the split.
            columns: The columns to read.
            names: Names of classes for columns of integers, if the files do not give them; a
                number without a name (-1: no label) becomes None.

        Raises:
            XlingError: No files, columns missing, or the hub cannot be reached.
        """
        import datasets

        files = self.files(config, split)
        features = self._features(files[0], columns)
        prefix = "" if self.local else "hf://"
        # The hub counts uses of its parquet reader, by a request that local files make too
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
        with _hub_errors(self.source, self.local):
            stream = datasets.load_dataset(
                "parquet",
                data_files={"train": [prefix + file for file in files]},
                split="train",
                streaming=True,
                columns=list(dict.fromkeys(columns)),
            )
            classes = {column: _class_names(features[column], names) for column in columns}
            for row in stream:
                yield {column: _named(row[column], classes[column]) for column in columns}

    def identity(self, configs: Sequence[str], splits: Sequence[str]) -> list[object]:
        """Return what identifies these files: the commit, or each file's size and time."""
        if not self.local:
            return [self.source.data, self.revision]
        files = [
            file for config in configs for split in splits for file in self.files(config, split)
        ]
        stats = [(Path(file), Path(file).stat()) for file in files]
        return [
            [str(file.relative_to(self._root)), stat.st_size, stat.st_mtime_ns]
            for file, stat in stats
        ]

    def _system(self) -> "fsspec.AbstractFileSystem":
        import fsspec

        return fsspec.filesystem("file" if self.local else "hf")

    def _features(self, file: str, columns: Sequence[str]) -> "datasets.Features":
        """Read the types of a file's columns; those asked for must be there."""
        import datasets
        import pyarrow
        from pyarrow import parquet

        with _hub_errors(self.source, self.local), self._system().open(file, "rb") as stream:
            try:
                features = datasets.Features.from_arrow_schema(parquet.read_schema(stream))
            except pyarrow.ArrowInvalid as error:
                raise XlingError(f"{file}: not a parquet file ({error}); fetch it again") from None
        missing = [column for column in columns if column not in features]
        if missing:
            raise XlingError(
                f"{self._named_place()}: {file} has no column {', '.join(missing)}; found "
                f"{', '.join(features)}; say which to take in the specification"
            )
        return features

    def _absent(self, config: str, split: str, pattern: str) -> str:
        """Say that a split is missing, and whether its configuration is there at all."""
        folders = pattern.split("/")[:-1]
        depth = next((i for i, step in enumerate(folders) if config in step), 0)
        above = "/".join([self._root, *folders[:depth]])
        below = "/".join([self._root, *folders[: depth + 1]])
        message = f"{self._named_place()}: no file {pattern}"
        if folders and self._system().isdir(below):
            listed = self._listing(below)
            return f"{message}; {config!r} is there, but not the split {split!r}: it has {listed}"
        listed = self._listing(above)
        return f"{message}; expected a configuration {config!r}, found {listed}"

    def _listing(self, folder: str) -> str:
        with _hub_errors(self.source, self.local):
            found = self._system().ls(folder, detail=False)
        names = sorted(str(entry).rstrip("/").rpartition("/")[2] for entry in found)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(names[:_SHOWN]) + more if names else "nothing"

    def _named_place(self) -> str:
        if self.local:
            return self._root
        return f"{self.source.data} on the hub at {str(self.revision)[:10]}"


def _commit(source: Source) -> str:
    """Return the commit to read: as given, or the current one of the converted branch."""
    if source.revision != CONVERTED:
        return str(source.revision)
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(source.data, revision=CONVERTED).sha)


@contextmanager
def _hub_errors(source: Source, local: bool) -> Iterator[None]:
    """Turn errors of the hub and of the network into ones that a user can act on."""
    from huggingface_hub import errors

    place = f"{source.data} on the hub"
    try:
        yield
    except errors.GatedRepoError:
        raise XlingError(
            f"{place}: its terms must be accepted on https://huggingface.co/datasets/{source.data}"
            " first; then log in with `hf auth login`"
        ) from None
    except errors.RepositoryNotFoundError:
        raise XlingError(f"{place}: not found; check the name (data: OWNER/NAME)") from None
    except errors.RevisionNotFoundError:
        raise XlingError(
            f"{place}: has no revision {source.revision}; choose one from "
            f"https://huggingface.co/datasets/{source.data}/commits/main"
        ) from None
    except _network_errors() as error:
        if local:
            raise
        raise XlingError(
            f"{place}: cannot be read ({type(error).__name__}: {str(error)[:150]}). If this machine"
            " has no network, fetch it on one that has: hf download --repo-type dataset"
            f" {source.data} --revision {source.revision} --local-dir MIRROR/{source.data}, copy"
            " MIRROR here and give --mirror MIRROR"
        ) from None


def _network_errors() -> tuple[type[Exception], ...]:
    """Return what network failures raise; the hub's library has changed its HTTP client twice."""
    from huggingface_hub.errors import HfHubHTTPError

    client = [
        kind
        for kind in HfHubHTTPError.__mro__
        if kind.__name__ in ("HTTPError", "RequestException")
    ]
    return (OSError, *(kind for kind in client if issubclass(kind, Exception)))


def _class_names(feature: object, names: Sequence[str] | None) -> Sequence[str] | None:
    """Return the names of the classes of a column, or of the items of its lists."""
    inner = getattr(feature, "feature", feature)
    own = getattr(inner, "names", None)
    if own is not None:
        return tuple(own)
    return names if str(getattr(inner, "dtype", "")).startswith(("int", "uint")) else None


def _named(value: Any, names: Sequence[str] | None) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if 0 <= value < len(names) else None


def clean(text: str) -> str:
    """Return text on one line without tabs, in NFC, without spaces around it."""
    spaced = _SPACES.sub(" ", text)
    return unicodedata.normalize("NFC", _CONTROLS.sub("", spaced)).strip()


def paragraphs(text: str) -> Iterator[str]:
    """Yield the non-empty lines of an article, cleaned."""
    for line in text.split("\n"):
        if cleaned := clean(line):
            yield cleaned
