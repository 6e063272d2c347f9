"""Study files that extend others: a file's settings replace those of the file it extends.

``extends: other.yaml`` takes everything from the other file but its name. Mappings are merged
key by key, as a variant's are with the study's own settings; lists and texts are replaced. If
there is no such file, the name of a shipped file will do, here and for the study's world.
"""

import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from xling.errors import XlingError
from xling.files import read_yaml
from xling.settings import faults
from xling.study.shipped import shipped_file

_EXTENDS = "extends"
_WHOLE = ("text", "other_domain")  # a mapping here names languages; part of it has no meaning
_OWN = ("name",)  # a study of the same name would claim the same folder
Keys = Sequence[str]
# A key in front of a message, and the key within a variant that may follow it.
_KEYS = re.compile(r"(?P<keys>[\w.-]+)(: (?P<within>[\w.-]+)(?=: ))?")


@dataclass(frozen=True)
class StudyFile:
    """A study file with all that it extends.

    Attributes:
        path: The file.
        layers: What each file says itself: this one first, then what it extends, and so on.
    """

    path: Path
    layers: tuple[tuple[Path, Mapping[str, object]], ...]

    @classmethod
    def read(cls, path: Path) -> "StudyFile":
        """Read a study file and the files that it extends.

        Raises:
            XlingError: a file that is missing or no mapping, or files that extend each other.
        """
        return cls(path, tuple(_layers(path)))

    @property
    def content(self) -> dict[str, object]:
        """The settings of all files merged."""
        content: dict[str, object] = {}
        for _, layer in reversed(self.layers):
            content = merged(content, layer)
        return content

    def origin(self, *candidates: Keys) -> Path:
        """Return the file that a setting comes from.

        Args:
            candidates: Where it may stand, by keys from the top, the likeliest first. A setting
                that no file has belongs to the file with the deepest mapping around the first one.
        """
        first = candidates[0] if candidates else ()
        for keys in (*candidates, *(first[:end] for end in range(len(first) - 1, 0, -1))):
            for path, content in self.layers:
                if _has(content, keys):
                    return path
        return self.path


def merged(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return ``base`` with ``changes``; mappings are merged key by key, except texts.

    An empty value (``key:``) over a mapping changes nothing. A list of variants counts as a mapping
    of variants without changes.
    """
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        if key == "variants" and isinstance(below, list):
            below = {name if isinstance(name, Hashable) else str(name): {} for name in below}
        if key in _WHOLE or not isinstance(below, Mapping):
            result[key] = value
        elif value is None:
            continue
        else:
            result[key] = merged(below, value) if isinstance(value, Mapping) else value
    return result


def _layers(path: Path) -> Iterator[tuple[Path, Mapping[str, object]]]:
    chain: list[Path] = []
    while True:
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise XlingError(f"{path}: expected a mapping with name, pairs, variants, ...")
        chain.append(path)
        for key in ("world", "prepare"):
            if isinstance(content.get(key), str):
                content[key] = str(_named_in(path, content[key]))
        left_out = (_EXTENDS,) if len(chain) == 1 else (_EXTENDS, *_OWN)
        yield path, {key: value for key, value in content.items() if key not in left_out}
        if content.get(_EXTENDS) is None:
            return
        path = _extended(path, content[_EXTENDS], chain)


def _named_in(path: Path, written: str) -> Path:
    """Return the file that is meant: relative to ``path``, or else a shipped one."""
    relative = path.parent / written
    return relative if relative.is_file() else shipped_file(written) or relative


def _extended(path: Path, written: object, chain: Sequence[Path]) -> Path:
    """Return the file that ``path`` extends."""
    if not isinstance(written, str):
        raise XlingError(
            f"{path}: extends: expected the path of one study file, relative to this one "
            f"(found {written!r})"
        )
    target = Path(os.path.normpath(_named_in(path, written)))
    if not target.is_file():
        raise XlingError(
            f"{path}: extends: {target} not found; give its path relative to this file, or a name "
            "that `xling study list` shows"
        )
    seen = [file.resolve() for file in chain]
    if target.resolve() in seen:
        circle = [*chain[seen.index(target.resolve()) :], target]
        raise XlingError(
            f"{path}: extends: the files go in a circle ({' -> '.join(map(str, circle))}); take "
            "one of their `extends` out"
        )
    return target


def _has(content: object, keys: Keys) -> bool:
    for key in keys:
        if isinstance(content, Mapping):
            content = {str(name): value for name, value in content.items()}
            if key not in content:
                return False
            content = content[key]
        elif isinstance(content, list):
            # Names in a list stand for a mapping; numbers are places in it.
            if key in content:
                content = {}
            elif not (key.isdecimal() and int(key) < len(content)):
                return False
            else:
                content = content[int(key)]
        else:
            return False
    return True


def located_faults(file: StudyFile, error: ValidationError) -> str:
    """Return all faults, those of one file together, with the file in front."""
    by_place: dict[str, list[str]] = {}
    for keys, message in faults(error):
        by_place.setdefault(_place(file, keys), []).append(message)
    return "\n".join(f"{place}: {'; '.join(found)}" for place, found in by_place.items())


def located(file: StudyFile, message: str) -> str:
    """Return a message that begins with the key of a setting, with its file in front."""
    match = _KEYS.match(message)
    if not match:
        return f"{file.path}: {message}"
    keys = tuple(match["keys"].split("."))
    candidates = [keys]
    if match["within"]:
        within = tuple(match["within"].split("."))
        # A variant inherits from the top what it does not change.
        candidates = [(*keys, *within), within, keys]
    return f"{_place(file, *candidates)}: {message}"


def _place(file: StudyFile, *candidates: tuple[str, ...]) -> str:
    path = file.origin(*candidates)
    return str(path) if path == file.path else f"{path} (which {file.path} extends)"
