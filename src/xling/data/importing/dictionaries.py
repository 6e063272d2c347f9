"""Word lists in MUSE's and PanLex's formats, and word vectors as fastText writes them."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from xling.data.importing.job import Job, Key, Reading
from xling.data.importing.languages import Tag, parse_code
from xling.data.importing.look import Given, Look
from xling.data.importing.tables import Table, table_of
from xling.data.lines import shown
from xling.errors import XlingError

_MEANING = ("meaning", "txt")
_BATCH = 10_000


def words_job(look: Look, given: Given) -> Job | None:
    """Return the job for a word list: each line has two words, with a space between, as MUSE's."""
    lines = look.filled[:1000]
    if given.kind not in ("", "dictionaries") or not lines:
        return None
    if look.pair is None and not given.kind:
        return None
    if any("\t" in line or len(line.split()) != 2 for line in lines):
        return None
    pair = look.languages_of_pair(given)

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        for number, line in reading.lines(look.path):
            words = reading.clean(line, look.path, number, pair).split()
            if len(words) == 2:
                yield pair, "\t".join(words)
            elif words:
                reading.leave_out("not two words", look.path, number, pair)

    what = "word pairs, as MUSE's"
    return Job(what, "dictionaries", (look.path,), read, look.split or "train")


def panlex_jobs(looks: Sequence[Look], given: Given) -> tuple[list[Job], list[Look]]:
    """Return jobs for dictionaries from tables of words with numbered meanings, as PanLex has.

    Returns:
        A job for the first table with each of the others, in the order of the sources, and the
        other files.
    """
    tables: list[tuple[Look, Table]] = []
    rest: list[Look] = []
    for look in looks:
        table = None
        if look.kind != "parquet" and look.filled and "meaning" in look.filled[0].split("\t"):
            table = table_of(look, given)
        if table and {*_MEANING} <= {*table.columns} and given.kind in ("", "dictionaries"):
            tables.append((look, table))
        else:
            rest.append(look)
        look.forget()
    if len(tables) == 1:
        raise XlingError(
            f"{tables[0][0].path}: words of PanLex in one language; give the table of the other as "
            "well: a dictionary is made of words that share a meaning"
        )
    first = [(one, other) for one, other in zip(tables[:1] * len(tables), tables[1:], strict=False)]
    return [_panlex(*one, *other, given) for one, other in first], rest


def _panlex(one: Look, table: Table, other: Look, others: Table, given: Given) -> Job:
    pair = given.languages if len(given.languages) == 2 else (_tag(one), _tag(other))
    key = (pair[0], pair[1])

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        # Millions of words: joined on disk.
        with TemporaryDirectory() as folder:
            base = sqlite3.connect(Path(folder) / "words.sqlite")
            try:
                for name, look, of in (("one", one, table), ("other", other, others)):
                    _fill(base, name, of, look, reading, key)
                query = (
                    "SELECT DISTINCT one.word, other.word FROM one JOIN other USING (meaning) "
                    "ORDER BY one.word, other.word"
                )
                for source, target in base.execute(query):
                    yield key, f"{source}\t{target}"
            finally:
                base.close()

    return Job("PanLex's words by meaning", "dictionaries", (one.path, other.path), read, "train")


def _tag(look: Look) -> Tag:
    return parse_code(look.stem) or look.language(Given())


def _fill(
    base: sqlite3.Connection, name: str, table: Table, look: Look, reading: Reading, key: Key
) -> None:
    base.execute(f"CREATE TABLE {name} (meaning TEXT, word TEXT)")
    rows = (
        (str(row["meaning"]), reading.clean(str(row["txt"] or ""), look.path, number, key))
        for number, row in table.rows(reading)
    )
    base.executemany(f"INSERT INTO {name} VALUES (?, ?)", ((m, w) for m, w in rows if w))
    base.execute(f"CREATE INDEX {name}_meanings ON {name} (meaning)")


def vectors_job(look: Look, given: Given) -> Job | None:
    """Return the job for word vectors, if the first line has their number and dimensions."""
    head = look.filled[0].split() if look.filled else []
    if len(head) != 2 or not all(number.isdecimal() for number in head) or len(look.filled) < 2:
        return None
    size = int(head[1])
    if given.kind not in ("", "vectors") or len(look.filled[1].rstrip(" ").split(" ")) != size + 1:
        return None
    key = look.language(given)

    def rows(reading: Reading) -> Iterator[str]:
        seen: set[int] = set()
        for number, line in reading.lines(look.path):
            if number == 1 or not line:
                continue
            word, *values = line.rstrip(" ").split(" ")
            if len(values) != size or not _are_numbers(values):
                reading.leave_out(f"not a word and {size} numbers", look.path, number, key)
            elif not word:
                reading.leave_out("empty", look.path, number, key)
            elif hash(word) in seen:
                reading.leave_out("a word a second time", look.path, number, key)
            else:
                seen.add(hash(word))
                yield " ".join([word, *values])

    def read(reading: Reading) -> Iterator[tuple[Key, str]]:
        # The first line says how many follow, so they are counted first.
        count = sum(1 for _ in rows(Reading()))
        if count != int(head[0]):
            said = f"announces {shown(head[0])} words, found {count:,} that can be read"
            reading.note(said, look.path, 1)
        yield key, f"{count} {size}"
        reading.counts.setdefault(key, Counter())["kept"] -= 1  # the head is no word
        for line in rows(reading):
            yield key, line

    return Job(f"vectors of {size} dimensions, as fastText's", "vectors", (look.path,), read)


def _are_numbers(values: Sequence[str]) -> bool:
    try:
        return all(-1e30 < float(value) < 1e30 for value in values)
    except ValueError:
        return False
