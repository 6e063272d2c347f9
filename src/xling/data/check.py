"""``xling data check``: figures for every file of a data folder, and its faults.

A *problem* is a fault that some stage would refuse or silently misread. A *warning* is about data
that work but change what results mean. A missing part only disables what needs it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from xling.data.check_folder import (
    check_balance,
    check_files,
    check_languages,
    check_splits,
    check_words_and_links,
)
from xling.data.findings import Check, Statistics, print_check
from xling.data.iob2 import TaggedSentence, scheme_of, stray_insides, token_prefix
from xling.data.layout import SPLITS, TASK_ENDINGS, TASKS, DataFolder, unequal_counts
from xling.data.lines import Block, Problem, counted, lone_returns, read_blocks, shown
from xling.data.mixed_up import MOST_LINES, LanguageWords, Lengths, check_order
from xling.data.overlap import DistinctLines, Keys, Sentences
from xling.data.tables import read_dictionary
from xling.files import plain_or_gzipped
from xling.progress import bar

__all__ = ["Check", "check", "print_check"]

_BATCH = 10_000  # records held at a time
_BATCH_CHARACTERS = 8 << 20
_MANY_DUPLICATES = 0.3
_MANY_SHARED = 0.01  # share of a dev or test split that is also in train
_PARTS = ("text", "parallel", "dictionaries", *TASK_ENDINGS)
_MOSTLY = 0.5  # of the rows


Item = TypeVar("Item")
Look = Callable[[str, str, str, list[str], Keys], None]
"""Is called with the lines of each file: part, name, language, some lines, their hashes."""


def check(folder: DataFolder | Path, look: Look | None = None) -> Check:
    """Read every file of a data folder, count, and collect what is wrong.

    Does not stop at problems. Memory is 8 bytes per distinct line. It is held for the current file
    (16 bytes while it is read), for all splits of one task in one language, and for the sentences
    of all parallel, dev and test files.

    Args:
        folder: The data folder.
        look: Called with every line as well.

    Raises:
        XlingError: The data folder is missing, or its data.yaml cannot be read.
    """
    data = folder if isinstance(folder, DataFolder) else DataFolder(folder)
    found = Check(data.root)
    total = sum(path.stat().st_size for path in data.root.rglob("*") if path.is_file())
    with bar("Checking", total, unit="bytes") as advance:
        scan = _Scan(data, found, advance, look)
        scan.parallel()
        scan.tasks()
        scan.dictionaries()
        scan.text()  # last: it looks for sentences of the other parts
    scan.words.warn(found)
    for judge in (check_languages, check_files, check_splits, check_balance):
        judge(data, found)
    found.rows.sort(key=lambda row: _rank(data, row.part, row.name, row.language))
    found.finish()
    return found


class _Scan:
    """Reads file after file into one `Check`."""

    def __init__(
        self,
        data: DataFolder,
        found: Check,
        advance: Callable[[int], None],
        look: Look | None = None,
    ) -> None:
        self._look = look
        self._data = data
        self._found = found
        self._advance = advance
        self._sentences = Sentences()
        self.words = LanguageWords()
        self._lengths: dict[Path, Lengths] = {}  # of lines in one parallel set

    def parallel(self) -> None:
        for name in self._data.parallel_sets():
            folder = self._data.root / "parallel" / name
            counts: dict[Path, int] = {}
            for language in self._data.set_languages("parallel", name):
                path = _present(folder / f"{language}.txt")
                counts[path] = self._parallel_file(path, name, language)
            if fault := unequal_counts(counts):
                self._found.report(Problem(folder, None, fault))
            else:
                check_order({path: self._lengths[path] for path in counts}, self._found)
            check_words_and_links(self._data, name, self._found)
            self._lengths.clear()

    def text(self) -> None:
        for domain in self._data.domains():
            for language in self._data.set_languages("text", domain):
                self._text_file(self._data.text(domain, language), domain, language)

    def dictionaries(self) -> None:
        sources: dict[tuple[str, str], set[str]] = {}
        for name in self._data.dictionaries():
            path = _present(self._data.root / "dictionaries" / f"{name}.tsv")
            pair, _, split = name.rpartition(".")
            statistics = Statistics()
            words = sources.setdefault((pair, split), set())
            quoted = QuotedRows()
            for records in _batches(
                read_dictionary(path, self._found.report), lambda row: row[0] + row[1]
            ):
                quoted.add(records)
                entries = [f"{source} {target}" for source, target, _ in records]
                self._add(statistics, entries, "dictionaries", split, pair)
                words.update(source for source, _, _ in records)
                self.words.add_entries(pair, path, records)
            self._conclude(path, statistics, "dictionaries", split, pair)
            self._characters(path, statistics)
            self._warn_all(path, quoted.warnings())
            self._advance(path.stat().st_size)
        for (pair, split), words in sources.items():
            shared = words & sources.get((pair, "train"), set())
            if split == "test" and shared:
                path = _present(self._data.root / "dictionaries" / f"{pair}.test.tsv")
                example = shown(min(shared))
                message = f"{counted(len(shared), 'source word')} also in train, such as {example}"
                self._found.warn(path, f"{message}; scores on them measure memory")

    def tasks(self) -> None:
        for part in TASKS:
            labels: dict[str, set[str]] = {}
            for language in self._data.task_languages(part):
                distinct: dict[str, DistinctLines] = {}
                for split in self._data.splits(part, language):
                    distinct[split] = self._task_file(part, language, split, labels)
                self._compare_splits(part, language, distinct)
            self._compare_labels(part, labels)

    def _text_file(self, path: Path, domain: str, language: str) -> None:
        statistics = Statistics()
        watch = self._sentences.watch(language)
        changed = 0
        for block in self._blocks(path):
            lines = block.lines()
            keys = self._add(statistics, lines, "text", domain, language)
            watch.look(keys, block.first, lines)
            self.words.add(language, path, f"text/{domain}", lines)
            changed += block.changed
        self._conclude(path, statistics, "text", domain, language)
        self._characters(path, statistics, changed)
        repeated = self._found.rows[-1].duplicates / max(1, statistics.lines)
        if repeated > _MANY_DUPLICATES:
            message = f"{repeated:.0%} of the lines repeat an earlier one"
            self._found.warn(path, f"{message}; consider removing them before pretraining")
        for match in watch.matches():
            place = match.path.relative_to(self._data.root)
            message = f"{match.counted()} also in {place}, first {shown(match.example)}"
            advice = "leave them out of pretraining where that file is the test"
            self._found.warn(path, f"{message}; {advice}", match.line)

    def _parallel_file(self, path: Path, name: str, language: str) -> int:
        statistics = Statistics()
        changed = 0
        lengths: list[int] = []
        for block in self._blocks(path):
            lines = block.lines()
            self._add(statistics, lines, "parallel", name, language)
            self._sentences.add(language, path, lines)
            self.words.add(language, path, f"parallel/{name}", lines)
            lengths += map(len, lines[: MOST_LINES - len(lengths)])
            changed += block.changed
        self._lengths[path] = np.array(lengths, dtype=np.int32)
        self._conclude(path, statistics, "parallel", name, language)
        self._characters(path, statistics, changed)
        if 0 < statistics.blank < statistics.lines:
            message = f"{counted(statistics.blank, 'empty line')}, expected a translation"
            self._found.warn(path, f"{message}; check whether lines have shifted")
        return statistics.lines

    def _task_file(
        self, part: str, language: str, split: str, labels: dict[str, set[str]]
    ) -> DistinctLines:
        path = self._data.task(part, language, split)
        task = TASKS[part]
        statistics = Statistics()
        seen = labels.setdefault(split, set())
        quoted = QuotedRows()
        entities = False
        for records in _batches(task.read(path, self._found.report), task.text):
            texts = [task.text(record) for record in records]
            self._add(statistics, texts, part, split, language)
            self.words.add(language, path, part, texts)
            if split != "train":
                sentences = [line for record in records for line in task.sentences(record)]
                self._sentences.add(language, path, sentences)
            seen.update(label for record in records for label in task.labels(record))
            if part == "ner":
                self._stray_insides(path, records)
                entities |= any(any(task.labels(record)) for record in records)
            elif part != "ud":
                quoted.add(records)
        if part == "ner":
            self._prefix(path, language)
            if self._found.count(path):
                self._scheme(path)
            elif statistics.lines and not entities:
                self._found.warn(path, "every tag is O; transfer refuses gold without an entity")
        self._conclude(path, statistics, part, split, language)
        self._characters(path, statistics)
        self._warn_all(path, quoted.warnings())
        self._advance(path.stat().st_size)
        return statistics.distinct

    def _add(
        self, statistics: Statistics, lines: list[str], part: str, name: str, language: str
    ) -> Keys:
        keys = statistics.add(lines)
        if self._look is not None:
            self._look(part, name, language, lines, keys)
        return keys

    def _stray_insides(self, path: Path, sentences: list[TaggedSentence]) -> None:
        for sentence in sentences:
            for position in stray_insides(sentence.tags):
                tag = sentence.tags[position]
                before = sentence.tags[position - 1] if position else "the sentence's start"
                message = f"found tag {tag} after {before}"
                expected = f"expected B-{tag[2:]} or {tag} before it (IOB2)"
                line = sentence.line + position
                self._found.report(Problem(path, line, f"{message}, {expected}"))

    def _prefix(self, path: Path, language: str) -> None:
        """Warn if tokens have a prefix like WikiAnn's that is no code of this language."""
        _, message = token_prefix(path, (language,))
        if message:
            self._found.warn(path, message)

    def _scheme(self, path: Path) -> None:
        """Warn if a file follows a scheme other than IOB2."""
        scheme = scheme_of(path)
        if scheme.line is not None and scheme.name:
            message = f"{scheme.found}: the whole file is in {scheme.name}"
            advice = "transfer converts it to IOB2, other tools may not; convert it"
            self._found.warn(path, f"{message}; {advice}", scheme.line)

    def _blocks(self, path: Path) -> Iterator[Block]:
        done = 0
        for block in read_blocks(path, self._found.report):
            yield block
            self._advance(block.position - done)
            done = block.position

    def _conclude(
        self, path: Path, statistics: Statistics, part: str, name: str, language: str
    ) -> None:
        """Add a file's row; report a file without content as a problem."""
        self._found.rows.append(statistics.row(part, name, language))
        if statistics.lines == statistics.blank and not self._found.count(path):
            self._found.report(Problem(path, None, "empty; fill it or delete it"))

    def _characters(self, path: Path, statistics: Statistics, changed: int = 0) -> None:
        """Warn of characters that show damage by an earlier conversion."""
        self._warn_all(path, character_warnings(statistics, changed))
        replaced = statistics.occurrences("\ufffd")
        if replaced and not self._found.count(path):
            message = f"{counted(replaced, 'replacement character')} (U+FFFD)"
            self._found.warn(path, f"{message}: an earlier conversion lost letters")

    def _warn_all(self, path: Path, messages: Iterable[str]) -> None:
        for message in messages:
            self._found.warn(path, message)

    def _compare_splits(self, part: str, language: str, distinct: dict[str, DistinctLines]) -> None:
        for split in ("dev", "test"):
            if split in distinct and "train" in distinct:
                shared = distinct[split].common(distinct["train"])
                whole = distinct[split].count()
                if shared > _MANY_SHARED * whole:
                    path = self._data.task(part, language, split)
                    message = f"{shared:,} of {whole:,} distinct rows also in train"
                    self._found.warn(path, f"{message}; scores on them measure memory")

    def _compare_labels(self, part: str, labels: dict[str, set[str]]) -> None:
        for split in ("dev", "test"):
            unknown = sorted(labels.get(split, set()) - labels.get("train", set()))
            if unknown and labels.get("train"):
                message = f"labels of {split} that no train has: {', '.join(unknown[:10])}"
                self._found.warn(self._data.root / part, f"{message}; they cannot be predicted")


def _batches(records: Iterator[Item], text: Callable[[Item], str]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(text(record))
        if len(batch) >= _BATCH or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _present(path: Path) -> Path:
    """Return the plain or gzipped form of a file that was listed."""
    return plain_or_gzipped(path) or path


def _rank(data: DataFolder, part: str, name: str, language: str) -> tuple[int, int, str, int, str]:
    """Order rows as the layout and data.yaml do."""
    split = SPLITS.index(name) if name in SPLITS else 0
    place = data.languages.index(language) if language in data.languages else len(data.languages)
    if part in TASK_ENDINGS or part == "dictionaries":
        return _PARTS.index(part), place, language, split, name
    return _PARTS.index(part), 0, name, place, language


def character_warnings(statistics: Statistics, not_composed: int = 0) -> Iterator[str]:
    """Yield warnings about the characters in a file.

    Args:
        statistics: The file's statistics.
        not_composed: How many of its lines were not in NFC.
    """
    if not_composed:
        message = f"{counted(not_composed, 'line')} not in Unicode's NFC"
        yield f"{message}; xling composes them, other tools may not"
    if zeros := statistics.occurrences("\0"):
        yield f"{counted(zeros, 'zero byte')}; is this a text file?"
    if returns := lone_returns(statistics.occurrences("\r")):
        yield returns
    if marks := statistics.occurrences("\ufeff"):
        message = f"{counted(marks, 'byte order mark')} (U+FEFF) inside the file"
        yield f"{message}: they hide in words; remove them: sed 's/\\xef\\xbb\\xbf//g'"


class QuotedRows:
    """Counts the rows of a table in which a cell has quotes around it, as CSV writes them."""

    def __init__(self) -> None:
        self._rows = 0
        self._quoted = 0

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """Look at further rows."""
        for row in rows:
            self._rows += 1
            self._quoted += any(_is_quoted(cell) for cell in row)

    def warnings(self) -> Iterator[str]:
        """Yield a warning if most rows have a quoted cell."""
        if self._quoted > _MOSTLY * self._rows:
            message = f"{self._quoted:,} of {counted(self._rows, 'row')} with quotes around a cell"
            yield f"{message}: they count as part of it, since tables have no quoting; remove them"


def _is_quoted(cell: object) -> bool:
    return isinstance(cell, str) and len(cell) > 1 and cell[0] == cell[-1] == '"'
