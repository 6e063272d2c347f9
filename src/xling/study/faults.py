"""What is wrong with a study, said of the file it stands in."""

import re

from pydantic import ValidationError

from xling.settings import faults
from xling.study.extends import StudyFile

# A key in front of a message, and the key within a variant that may follow it.
_KEYS = re.compile(r"(?P<keys>[\w.-]+)(: (?P<within>[\w.-]+)(?=: ))?")


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
        # What a variant does not change, it has from the top.
        candidates = [(*keys, *within), within, keys]
    return f"{_place(file, *candidates)}: {message}"


def _place(file: StudyFile, *candidates: tuple[str, ...]) -> str:
    path = file.origin(*candidates)
    return str(path) if path == file.path else f"{path} (which {file.path} extends)"
