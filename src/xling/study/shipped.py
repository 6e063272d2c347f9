"""The studies, worlds, and specifications of data that come with xling, by name.

Their one source is the folder ``studies`` of the repository, which an installed package holds as
``xling/studies``. A file's name is its path in that folder without ``.yaml``: ``demo``,
``paper/factors``, ``worlds/demo``.
"""

import re
from importlib.resources import files
from pathlib import Path

from xling.errors import XlingError
from xling.files import read_yaml
from xling.formatting import as_columns

_SUFFIX = ".yaml"
_STUDY, _WORLD, _DATA = "xling study run", "xling data conlang", "xling data hub"
_PREPARE = "xling data prepare"
_LINK = re.compile(r"^(extends|world|prepare): *(\S+)", re.MULTILINE)


def shipped_folder() -> Path:
    """Return the folder of what is shipped: the package's own, or the checkout's."""
    package = Path(str(files("xling")))
    installed = package / "studies"
    return installed if installed.is_dir() else package.parents[1] / "studies"


def shipped_names() -> list[str]:
    """Return the name of everything shipped, sorted."""
    paths = shipped_folder().rglob(f"*{_SUFFIX}")
    return sorted(filter(None, map(shipped_name, paths)))


def shipped_name(path: Path) -> str | None:
    """Return the name of a shipped file; None for any other file."""
    path, folder = path.resolve(), shipped_folder().resolve()
    if path.suffix != _SUFFIX or not path.is_relative_to(folder):
        return None
    return path.relative_to(folder).with_suffix("").as_posix()


def shipped_file(name: str) -> Path | None:
    """Return the file of a shipped name, which may end in ``.yaml``; None if there is none."""
    name = name.removesuffix(_SUFFIX)
    return shipped_folder() / f"{name}{_SUFFIX}" if name in shipped_names() else None


def find_study(written: Path) -> Path:
    """Return the file that a command means: a path, or if there is no such file, a name.

    Args:
        written: E.g. ``mine.yaml``, ``laptop`` or ``worlds/demo``.

    Raises:
        XlingError: neither a file nor a name.
    """
    if written.exists() and not written.is_dir():
        return written
    found = shipped_file(written.as_posix())
    if found is None and not written.exists():
        raise XlingError(
            f"{written}: not found; expected a file, or a name that `xling study list` shows"
        )
    return found or written


def show_study(written: Path) -> str:
    """Return a shipped file's text, as a file that runs in any folder.

    The file it extends and its world are given by their shipped names instead of their paths.

    Raises:
        XlingError: no shipped name.
    """
    path = shipped_file(written.as_posix())
    if path is None:
        raise XlingError(
            f"{written}: no name of a study that comes with xling; `xling study list` shows them"
        )

    def by_name(link: re.Match[str]) -> str:
        return f"{link[1]}: {shipped_name(path.parent / link[2]) or link[2]}"

    return _LINK.sub(by_name, path.read_text(encoding="utf-8"))


def list_studies() -> str:
    """Return every shipped name with a description, one per line, under the verb that takes it."""
    groups: dict[str, list[tuple[str, str]]] = {_STUDY: [], _WORLD: [], _DATA: [], _PREPARE: []}
    for name in shipped_names():
        path = shipped_folder() / f"{name}{_SUFFIX}"
        title = read_yaml(path).get("title")
        verb = _STUDY if title else _verb_of(name)
        groups[verb].append((name, title or _first_sentence(path.read_text(encoding="utf-8"))))
    return "\n\n".join(f"for `{verb}`\n{as_columns(rows, left=2)}" for verb, rows in groups.items())


def _verb_of(name: str) -> str:
    """Return the verb that takes a shipped file that is no study."""
    kinds = {"worlds/": _WORLD, "paper/prepare": _PREPARE}
    return next((verb for start, verb in kinds.items() if name.startswith(start)), _DATA)


def _first_sentence(text: str) -> str:
    """Return the first sentence of the comment that a file begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    sentence = re.split(r"(?<=\.) |: ", " ".join(lines), maxsplit=1)[0]
    return sentence.split(" (")[0].rstrip(".")
