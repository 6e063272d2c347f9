"""Tables: JSON lines, CSV and TSV, parquet. Their columns say what they hold."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from xling.data.importing.annotations import tagged_entries
from xling.data.importing.job import Job, Key, Reading
from xling.data.importing.languages import Tag, code_in, parse_code
from xling.data.importing.look import Given, Look
from xling.data.lines import LONGEST_LINE, counted, shown
from xling.data.tables import NLI_LABELS
from xling.errors import XlingError, need_extra
from xling.files import refuse_irregular

Row = Mapping[str, Any]
_SEPARATORS = {"\t": "TSV", ",": "CSV", ";": "CSV with semicolons"}
_SAMPLE_ROWS = 200
_BATCH = 1_000
# Common names of columns, the most reliable first.
_PREMISE = ("premise", "sentence1", "text_a")
_HYPOTHESIS = ("hypothesis", "hypo", "sentence2", "text_b")
_LABEL = ("gold_label", "label", "category", "topic", "class")
_ID = ("index_id", "id", "index")
_TEXT = ("text", "content", "raw_content", "sentence", "document", "body", "article")
_LANGUAGE = ("language", "lang", "lang_code", "language_code", "locale")
_SOURCE = ("source", "src", "word", "written_rep", "lemma", "term")
_TARGET = ("target", "tgt", "trg", "translation", "trans_list", "translations")
_WEIGHT = ("weight", "score", "quality")
_TOKENS, _TAGS = ("tokens", "words"), ("ner_tags", "tags", "labels")
_LABELS = {label: label for label in NLI_LABELS} | {"contradictory": "contradiction"}
_LAYOUT_COLUMNS = {
    "nli": ("premise", "hypothesis", "label"),
    "topics": ("id", "label", "text"),
    "dictionaries": ("source", "target", "weight"),
}


class Table:
    """A file of rows with named columns.

    Attributes:
        what: The format, for messages.
        columns: Their names.
        named: Whether the file names them; else they are those of the layout's own tables.
        rows: Reads it; yields each row's number (of its line, in a text file) and the row.
    """

    def __init__(
        self,
        what: str,
        columns: Sequence[str],
        rows: Callable[[Reading], Iterator[tuple[int, Row]]],
        named: bool = True,
    ) -> None:
        self.what = what
        self.columns = tuple(columns)
        self.rows = rows
        self.named = named
        self._lower = {name.strip().lower(): name for name in reversed(self.columns)}

    def find(self, names: Iterable[str]) -> str | None:
        """Return the first of these columns that exists, ignoring case."""
        return next((self._lower[name] for name in names if name in self._lower), None)

    def sample(self) -> list[Row]:
        """Return the first rows."""
        return [row for _, row in islice(self.rows(Reading()), _SAMPLE_ROWS)]


def table_of(look: Look, given: Given) -> Table | None:
    """Return a file as a table; None if it is none."""
    if look.kind == "parquet":
        return _parquet(look.path)
    if not look.filled:
        return None
    if look.filled[0].lstrip().startswith("{"):
        return _json_lines(look)
    return _separated(look, given)


def table_job(look: Look, table: Table, given: Given) -> Job:
    """Return the job for a table.

    Raises:
        XlingError: Its columns do not say what it holds.
    """
    for kind in _KINDS:
        if given.kind in ("", kind) and (job := _KINDS[kind](look, table, given)):
            return job
    wanted = f" as {given.part}" if given.part else ""
    raise XlingError(
        f"{look.path}: {table.what} with the columns {', '.join(table.columns)}, which cannot be "
        f"read{wanted}; rename columns, e.g. text; source and target; premise, hypothesis and "
        "label; or one per language: en, fr"
    )


def _nli(look: Look, table: Table, given: Given) -> Job | None:
    columns = [table.find(names) for names in (_PREMISE, _HYPOTHESIS, _LABEL)]
    if None in columns:
        return None
    premise, hypothesis, label = map(str, columns)
    of = _language_of(look, table, given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, row in table.rows(reading):
            key = of(reading, number, row)
            if key is None:
                continue
            found = _LABELS.get(_text(row[label]).strip())
            if found is None:
                reading.leave_out(f"label {shown(_text(row[label]))}", look.path, number, key)
                continue
            fields = [
                reading.clean(_text(row[n]), look.path, number, key) for n in (premise, hypothesis)
            ]
            if all(fields):
                yield key, "\t".join([*fields, found])

    split = look.split or "train"
    return Job(f"{table.what} of sentence pairs (nli)", "nli", (look.path,), read, split)


def _topics(look: Look, table: Table, given: Given) -> Job | None:
    columns = [table.find(names) for names in (_ID, _LABEL, _TEXT)]
    if None in columns:
        return None
    names = list(map(str, columns))
    of = _language_of(look, table, given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        seen: set[str] = set()
        for number, row in table.rows(reading):
            key = of(reading, number, row)
            if key is None:
                continue
            fields = [reading.clean(_text(row[n]), look.path, number, key) for n in names]
            if fields[0] in seen:
                reading.leave_out("an id a second time", look.path, number, key)
            elif all(fields):
                seen.add(fields[0])
                yield key, "\t".join(fields)

    split = look.split or "train"
    return Job(f"{table.what} of topics", "topics", (look.path,), read, split)


def _ner(look: Look, table: Table, given: Given) -> Job | None:
    tokens, tags = table.find(_TOKENS), table.find(_TAGS)
    if tokens is None or tags is None:
        return None
    of = _language_of(look, table, given)

    def sentences(reading: Reading) -> Iterator[tuple[Tag, int, list[tuple[str, str]]]]:
        for number, row in table.rows(reading):
            key = of(reading, number, row)
            if key is None:
                continue
            words, labels = list(row[tokens] or ()), list(row[tags] or ())
            if not words or len(words) != len(labels):
                reading.leave_out("tokens and tags of unequal number", look.path, number, key)
            elif any(isinstance(label, int) for label in labels):
                raise XlingError(
                    f"{look.path}, line {number}: tags are numbers whose names the file does not "
                    "give; write their names, or read the set with `xling data hub`"
                )
            else:
                yield key, number, list(zip(map(str, words), map(str, labels), strict=True))

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        return tagged_entries(look.path, sentences(reading), reading)

    split = look.split or "train"
    return Job(f"{table.what} of tagged sentences (ner)", "ner", (look.path,), read, split)


def _parallel(look: Look, table: Table, given: Given) -> Job | None:
    """Return the job for columns named as languages, or one column with all translations."""
    inner = table.find(("translation",))
    columns = {name: tag for name in table.columns if (tag := code_in(name))}
    if inner and isinstance((table.sample() or [{}])[0].get(inner), dict):
        codes = (table.sample()[0])[inner]
        columns = {name: tag for name in codes if (tag := code_in(name))}
    else:
        inner = None
    if len(columns) < 2:
        pair = [table.find(names) for names in (_SOURCE, _TARGET)]
        if None in pair or (given.kind != "parallel" and not _are_sentences(table, str(pair[1]))):
            return None
        columns = dict(zip(map(str, pair), look.languages_of_pair(given), strict=True))
    columns = {name: tag for name, tag in columns.items() if given.wants(tag)}

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, row in table.rows(reading):
            texts = (row[inner] or {}) if inner else row
            lines = {
                tag: reading.clean(_text(texts.get(name)), look.path, number)
                for name, tag in columns.items()
            }
            if all(lines.values()):
                yield from lines.items()

    part = given.named("parallel", look.name("bitext"))
    return Job(f"{table.what} of parallel lines", part, (look.path,), read)


def _dictionary(look: Look, table: Table, given: Given) -> Job | None:
    source, target = table.find(_SOURCE), table.find(_TARGET)
    if source is None or target is None:
        return None
    weight = table.find(_WEIGHT)
    if "lang_code" in table.columns and "translations" in table.columns:
        return _wiktionary(look, table, given)
    pair = look.languages_of_pair(given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, row in table.rows(reading):
            word = reading.clean(_text(row[source]), look.path, number, pair)
            # As WikDict lists several: chat | matou
            for other in _text(row[target]).split(" | ") if word else ():
                if translation := reading.clean(other, look.path, number, pair):
                    more = [_text(row[weight])] if weight and row.get(weight) else []
                    yield pair, "\t".join([word, translation, *more])

    split = look.split or "train"
    return Job(f"{table.what} of translations", "dictionaries", (look.path,), read, split)


def _wiktionary(look: Look, table: Table, given: Given) -> Job:
    """Read Wiktextract's JSON lines: a word with its translations into all languages."""
    if len(given.languages) != 2:
        raise XlingError(
            f"{look.path}: words of Wiktionary with translations into many languages; say which "
            "two are wanted, e.g. --language en,fr"
        )
    one, other = given.languages

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, row in table.rows(reading):
            if parse_code(_text(row.get("lang_code"))) != one:
                reading.leave_out(f"not a word of {one.language}", look.path, number, given_pair)
                continue
            word = reading.clean(_text(row.get("word")), look.path, number, given_pair)
            for found in row.get("translations") or () if word else ():
                code = _text(found.get("lang_code") or found.get("code"))
                translation = _text(found.get("word"))
                if translation and parse_code(code) == other:
                    yield given_pair, f"{word}\t{translation}"

    given_pair = (one, other)
    split = look.split or "train"
    return Job("Wiktextract's JSON lines", "dictionaries", (look.path,), read, split)


def _running_text(look: Look, table: Table, given: Given) -> Job | None:
    column = table.find(_TEXT)
    if column is None:
        return None
    of = _language_of(look, table, given)
    # WikiExtractor escapes the marks of HTML in its JSON as in its other output.
    escaped = {"id", "revid", "url", "title", "text"} == set(table.columns)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, row in table.rows(reading):
            key = of(reading, number, row)
            if key is None:
                continue
            text = _text(row[column])
            if not text.strip():
                reading.leave_out("empty", look.path, number, key)
                continue
            for line in (unescape(text) if escaped else text).split("\n"):
                if line.strip() and (cleaned := reading.clean(line, look.path, number, key)):
                    yield key, cleaned

    part = given.named("text", "wiki" if escaped else look.name("text"))
    what = "WikiExtractor's JSON lines" if escaped else f"{table.what} with text in {column!r}"
    return Job(what, part, (look.path,), read)


_KINDS: dict[str, Callable[[Look, Table, Given], Job | None]] = {
    "nli": _nli,
    "ner": _ner,
    "topics": _topics,
    "parallel": _parallel,
    "dictionaries": _dictionary,
    "text": _running_text,
}


def unescape(text: str) -> str:
    """Undo HTML's escaping of ``<``, ``>`` and ``&``, once."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _language_of(
    look: Look, table: Table, given: Given
) -> Callable[[Reading, int, Row], Tag | None]:
    """Return a function for a row's language, from its column or from the file's name."""
    column = table.find(_LANGUAGE)
    if column is None:
        only = look.language(given)
        return lambda reading, number, row: only

    def of(reading: Reading, number: int, row: Row) -> Tag | None:
        tag = parse_code(_text(row[column]).strip())
        if tag is None:
            code = shown(_text(row[column]))
            reading.leave_out(f"no language code: {code}", look.path, number)
        elif not given.wants(tag):
            reading.leave_out("of other languages", look.path, number)
            return None
        return tag

    return of


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _are_sentences(table: Table, column: str) -> bool:
    """Whether a column holds sentences rather than words: more than three words a cell."""
    cells = [row.get(column) for row in table.sample()]
    if not all(isinstance(cell, str) for cell in cells):
        return False
    return sum(len(str(cell).split()) for cell in cells) > 3 * len(cells)


def _json_lines(look: Look) -> Table | None:
    try:
        first = json.loads(look.filled[0])
    except ValueError:
        if len(look.filled) > 1 and look.path.suffix in (".json",):
            raise XlingError(
                f"{look.path}, line 1: not one JSON object on a line; convert it: jq -c '.[]'"
            ) from None
        first = None
    if not isinstance(first, dict):
        return None

    def rows(reading: Reading) -> Iterator[tuple[int, Row]]:
        for number, line in reading.lines(look.path):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise XlingError(
                    f"{look.path}, line {number}: not valid JSON ({error}); expected one object "
                    "on each line"
                ) from None
            if not isinstance(row, dict):
                raise XlingError(
                    f"{look.path}, line {number}: found {shown(line)}, expected {{...}}"
                )
            yield number, {**absent, **row}

    absent = dict.fromkeys(first)  # later rows may lack columns
    return Table("JSON lines", list(first), rows)


def _separated(look: Look, given: Given) -> Table | None:
    for separator, what in _SEPARATORS.items():
        quoted = separator != "\t" or _quoted(look.filled)
        cells = []
        with suppress(csv.Error):  # the sample may end within quotation marks
            for row in _cells((f"{line}\n" for line in look.lines), separator, quoted):
                cells += [row] if any(row) else []
                if len(cells) == _SAMPLE_ROWS:
                    break
        if not cells:
            continue
        widths = {len(row) for row in cells}
        if max(widths, default=0) < 2 or (len(widths) > 1 and separator != "\t"):
            continue
        head = [cell.strip().lower() for cell in cells[0]]
        titles = {*_PREMISE, *_HYPOTHESIS, *_LABEL, *_ID, *_TEXT, *_LANGUAGE, *_SOURCE, *_TARGET}
        titles |= {*_WEIGHT, "meaning", "txt"}
        known = sum(cell in titles or bool(code_in(cell)) for cell in head)
        named = len(cells) > 1 and known >= min(2, len(head)) and len(set(head)) == len(head)
        if separator != "\t" and not named and given.kind in ("", "text"):
            continue  # sentences have commas
        columns = cells[0] if named else _unnamed(cells, given)
        if not columns or (len(widths) > 1 and not named):
            return None
        rows = _separated_rows(look.path, separator, quoted, columns, named)
        return Table(what, columns, rows, named)
    return None


def _unnamed(cells: list[list[str]], given: Given) -> list[str]:
    """Name the columns of a table without a header, as in the layout's tables."""
    width = len(cells[0])
    if given.kind in _LAYOUT_COLUMNS:
        return list(_LAYOUT_COLUMNS[given.kind][:width])
    if width == 3 and all(row[2].strip() in _LABELS for row in cells if len(row) == 3):
        return list(_LAYOUT_COLUMNS["nli"])
    if width == 3 and all(row[0].isdecimal() and parse_code(row[1]) for row in cells):
        return ["id", "language", "text"]  # as Tatoeba's sentences
    if width == 3 and all(_is_number(row[2]) for row in cells if len(row) == 3):
        return list(_LAYOUT_COLUMNS["dictionaries"])
    return ["source", "target"] if width == 2 else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _quoted(lines: Sequence[str]) -> bool:
    """Whether all cells with a quotation mark are in quotes, as CSV writers put them."""
    with_marks = [cell for line in lines for cell in line.split("\t") if '"' in cell]
    return bool(with_marks) and all(
        len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
        for cell in with_marks
    )


def _cells(lines: Iterator[str], separator: str, quoted: bool) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_LINE)
    if not quoted:
        yield from (line.removesuffix("\n").split(separator) for line in lines)
        return
    yield from csv.reader(lines, delimiter=separator, strict=True)


def _separated_rows(
    path: Path, separator: str, quoted: bool, columns: Sequence[str], named: bool
) -> Callable[[Reading], Iterator[tuple[int, Row]]]:
    def rows(reading: Reading) -> Iterator[tuple[int, Row]]:
        number = 0

        def lines() -> Iterator[str]:
            nonlocal number
            for number, line in reading.lines(path):  # noqa: B007 - of the row that ends here
                yield line + "\n" if quoted else line

        try:
            for row in _cells(lines(), separator, quoted):
                if named and number == 1:
                    continue
                if not row or row == [""]:
                    continue
                if len(row) != len(columns):
                    reason = f"{counted(len(row), 'column')} instead of {len(columns)}"
                    reading.leave_out(reason, path, number)
                    continue
                yield number, dict(zip(columns, row, strict=True))
        except csv.Error as error:
            raise XlingError(
                f"{path}, line {number}: not valid CSV ({error}); check the quotation marks"
            ) from None

    return rows


def _parquet(path: Path) -> Table:
    need_extra("import", f"{path}: reading parquet")
    import pyarrow
    from pyarrow import parquet

    refuse_irregular(path)

    def fault(error: Exception) -> XlingError:
        said = " ".join(str(error).split())[:200]
        return XlingError(f"{path}: not a whole parquet file ({said}); copy it again")

    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            names = _class_names(file.schema_arrow.metadata or {})
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise fault(error) from None

    def rows(reading: Reading) -> Iterator[tuple[int, Row]]:
        number = 0
        try:
            with parquet.ParquetFile(path) as file:
                size, whole = path.stat().st_size, max(1, file.metadata.num_rows)
                for batch in file.iter_batches(batch_size=_BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, {k: _named(v, names.get(k)) for k, v in row.items()}
                    reading.advance(size * batch.num_rows // whole)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise XlingError(f"{fault(error)} (after row {number:,})") from None

    return Table("parquet", columns, rows)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face's writer adds to the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {}
    for name, feature in features.items() if isinstance(features, dict) else ():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        if isinstance(inner, dict) and isinstance(inner.get("names"), list):
            found[name] = [str(label) for label in inner["names"]]
    return found


def _named(value: object, names: Sequence[str] | None) -> object:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
