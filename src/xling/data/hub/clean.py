"""Text of a data set as the layout has it: one line, in NFC, without control characters."""

import re
import unicodedata
from collections.abc import Iterator

# Also what other tools take for line ends (U+0085, U+2028), and the byte order mark, which a
# reader would drop at the beginning of a file only.
_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f\ufeff]")


def clean(text: str) -> str:
    """Return text on one line without tabs, in NFC, without spaces around it."""
    spaced = _SPACES.sub(" ", text)
    return unicodedata.normalize("NFC", _CONTROLS.sub("", spaced)).strip()


def paragraphs(text: str) -> Iterator[str]:
    """Yield the non-empty lines of an article, cleaned."""
    for line in text.split("\n"):
        if cleaned := clean(line):
            yield cleaned
