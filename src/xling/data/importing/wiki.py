"""Wikipedia articles as WikiExtractor writes them, and plain text line by line."""

import re
from collections.abc import Iterator

from xling.data.importing.job import Job, Key, Reading
from xling.data.importing.look import Given, Look
from xling.data.importing.tables import unescape
from xling.errors import XlingError

_OPEN = re.compile(r'<doc id="[^"]*" .*title="(.*)">\s*')
_CLOSE = "</doc>"


def articles_job(look: Look, given: Given) -> Job | None:
    """Return the job for a file of WikiExtractor's articles; None if it is no such file.

    Raises:
        XlingError: It is a dump that WikiExtractor has to convert first.
    """
    first = look.filled[0] if look.filled else ""
    if first.lstrip().startswith("<mediawiki"):
        raise XlingError(
            f"{look.path}: a dump in MediaWiki's XML; take the text out first: pip install "
            f"wikiextractor; wikiextractor --json -o text {look.path.name}; then import text"
        )
    if not _OPEN.fullmatch(first) or given.kind not in ("", "text"):
        return None
    key = look.language(given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        title: str | None = None
        for number, line in reading.lines(look.path):
            if match := _OPEN.fullmatch(line):
                title = match[1]
            elif line.strip() == _CLOSE:
                title = None
            elif line.strip():
                if title is not None and line.strip() == title.strip():
                    # The text begins with the title once more.
                    reading.leave_out("titles", look.path, number, key)
                elif cleaned := reading.clean(unescape(line), look.path, number, key):
                    yield key, cleaned
                title = None

    part = given.named("text", "wiki")
    return Job("WikiExtractor's articles", part, (look.path,), read)


def plain_job(look: Look, given: Given) -> Job:
    """Return the job for a file of plain text, as any UTF-8 file is.

    Raises:
        XlingError: It is empty, XML or HTML, or wanted as something else.
    """
    first = look.filled[0].lstrip() if look.filled else ""
    if not look.filled:
        raise XlingError(f"{look.path}: empty; nothing to import")
    if first.startswith(("<?xml", "<!DOCTYPE", "<html")):
        raise XlingError(
            f"{look.path}: XML or HTML of a kind that xling does not read; take its text"
        )
    if given.kind not in ("", "text"):
        raise XlingError(
            f"{look.path}: looks like plain text, which cannot be read as {given.part}; see "
            "docs/data.md for the formats of each part"
        )
    key = look.language(given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        return ((key, text) for text in reading.texts(look.path, key))

    return Job("plain text", given.named("text", look.name("text")), (look.path,), read)
