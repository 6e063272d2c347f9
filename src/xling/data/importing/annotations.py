"""Annotated sentences: CoNLL-U treebanks and named entities in any of CoNLL's column orders."""

import re
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

from xling.data.conllu import read_sentences
from xling.data.importing.job import Job, Key, Reading
from xling.data.importing.languages import Tag, parse_code
from xling.data.importing.look import Given, Look
from xling.data.iob2 import gold_of_lines
from xling.data.lines import Problem, counted, shown
from xling.errors import XlingError

_COLUMNS = 10
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_DOCUMENT = "-DOCSTART-"
# Of a release of Universal Dependencies: fr_gsd-ud-train.conllu
_TREEBANK = re.compile(r"([a-z]{2,3})_([a-z0-9]+)-ud-(train|dev|test)")
_LICENCE = re.compile(r"^License:\s*(\S.*?)\s*$", re.MULTILINE)


def treebank_job(look: Look, given: Given) -> Job | None:
    """Return the job for a file of trees in CoNLL-U; None if it is none."""
    if given.kind not in ("", "ud"):
        return None
    rows = [line.split("\t") for line in look.filled[:200] if not line.startswith("#")]
    if not rows or any(len(row) != _COLUMNS or not row[0][:1].isdecimal() for row in rows):
        return None
    name = _TREEBANK.fullmatch(look.stem)
    tag = parse_code(name[1]) if name else None
    key = tag if tag and len(given.languages) != 1 else look.language(given)
    split = name[3] if name else look.split or "train"

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        lines = (line for _, line in reading.lines(look.path))
        for _, sentence in read_sentences(look.path, lines, reading.faulty(key)):
            yield key, "\n".join(sentence) + "\n"

    what = f"CoNLL-U (treebank {name[1]}_{name[2]} of UD)" if name else "CoNLL-U"
    return Job(what, "ud", (look.path,), read, split, _licence_beside(look.path) if name else "")


def _licence_beside(path: Path) -> str:
    """Return the licence that the read-me of a release of Universal Dependencies declares."""
    for name in ("README.md", "README.txt"):
        if (path.parent / name).is_file():
            text = (path.parent / name).read_text(encoding="utf-8", errors="replace")
            if found := _LICENCE.search(text):
                return found[1]
    return ""


def entities_job(look: Look, given: Given) -> Job | None:
    """Return the job for a file of tagged tokens, if its tag column has a tag on every line."""
    if given.kind not in ("", "ner"):
        return None
    rows = [_fields(line) for line in look.lines[:2000]]
    token, tag = _places(rows)
    filled = [row for row in rows if row]
    if not filled or not all(len(row) > 1 and _TAG.fullmatch(row[tag]) for row in filled):
        return None
    if all(row[tag] == "O" for row in filled) and not given.kind:
        return None
    key = look.language(given)

    def sentences(reading: Reading) -> Iterator[str]:
        for number, line in reading.lines(look.path):
            fields = _fields(line)
            if fields and len(fields) <= max(token, abs(tag) - 1, 1):
                found = f"found {counted(len(fields), 'column')} in {shown(line)}"
                raise XlingError(f"{look.path}, line {number}: {found}, expected more, as before")
            yield f"{fields[token]}\t{fields[tag]}" if fields else ""

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        return _gold(look.path, sentences(reading), reading, key)

    width = len(filled[0])
    columns = "token and tag" if width == 2 else f"column {token + 1} and tag of {width}"
    return Job(f"tagged tokens ({columns})", "ner", (look.path,), read, look.split or "train")


def tagged_entries(
    path: Path, sentences: Iterable[tuple[Tag, int, list[tuple[str, str]]]], reading: Reading
) -> Iterator[tuple[Key, str]]:
    """Yield the entries of sentences from a table: their language, row, tokens and tags.

    Rows may be in several languages; each language has its own scheme.
    """
    lines: dict[Tag, list[str]] = {}
    starts: dict[Tag, tuple[list[int], list[int]]] = {}
    for key, number, pairs in sentences:
        held = lines.setdefault(key, [])
        firsts, rows = starts.setdefault(key, ([], []))
        firsts.append(len(held) + 1)
        rows.append(number)
        held += [f"{token}\t{tag}" for token, tag in pairs]
        held.append("")
    for key, held in lines.items():
        firsts, rows = starts[key]
        yield from _gold(path, held, reading, key, firsts, rows)


def _gold(
    path: Path,
    lines: Iterable[str],
    reading: Reading,
    key: Tag,
    firsts: list[int] | None = None,
    rows: list[int] | None = None,
) -> Iterator[tuple[Key, str]]:
    """Yield sentences in IOB2; problems name the row that a line came from."""
    faulty = reading.faulty(key)

    def report(problem: Problem) -> None:
        if firsts and rows and problem.line is not None:
            row = rows[max(0, bisect_right(firsts, problem.line) - 1)]
            problem = problem._replace(line=row)
        faulty(problem)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = gold_of_lines(lines, path, report, (key.language,))
        first = next(found, None)
    for warning in caught:
        said = str(warning.message).removeprefix(str(path)).lstrip(",: ")
        place = re.match(r"line ([\d,]+): ", said)
        line = int(place[1].replace(",", "")) if place else 1
        reading.note(said[place.end() :] if place else said, path, line)
    for sentence in (first, *found) if first else ():
        pairs = zip(sentence.tokens, sentence.tags, strict=True)
        yield key, "".join(f"{token}\t{tag}\n" for token, tag in pairs)


def _fields(line: str) -> list[str]:
    """Return the columns of a line; none between sentences and documents."""
    bare = line.strip()
    if not bare or bare.startswith((_DOCUMENT, "# ", "#\t")) or bare == "#":
        return []
    return line.rstrip().split("\t") if "\t" in line else bare.split()


def _places(rows: Iterable[list[str]]) -> tuple[int, int]:
    """Return which columns are token and tag: the first and last, as CoNLL has them.

    GermEval has four: the token's number, the token, its tag, and the tag of a span inside it.
    """
    number = 0
    for row in rows:
        number = number + 1 if row else 0
        numbered = len(row) == 4 and row[0] == str(number) and bool(_TAG.fullmatch(row[2]))
        if row and not numbered:
            return 0, -1
    return 1, 2
