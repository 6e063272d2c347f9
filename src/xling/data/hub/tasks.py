"""Labelled data: inference, entities, trees and topics in the formats of the layout."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from xling.data.conllu import UPOS, tree_fault
from xling.data.hub.dataset import DataSet, clean
from xling.data.hub.spec import TaskSource
from xling.data.hub.units import Facts, Unit
from xling.data.iob2 import gold_of_lines
from xling.data.layout import TASK_ENDINGS
from xling.data.lines import Problem, counted
from xling.data.tables import NLI_LABELS
from xling.errors import XlingError
from xling.files import atomic_file
from xling.progress import track

_Row = Mapping[str, Any]
_log = logging.getLogger(__name__)


def task_unit(part: str, language: str, split: str, source: TaskSource, dataset: DataSet) -> Unit:
    """Describe one split of a task in a language."""
    config = str(source.config_of(language))
    theirs = source.splits[split]  # type: ignore[index]
    place = f"{part}/{language}/{split}{TASK_ENDINGS[part]}"
    columns = source.fields

    def write(root: Path) -> Facts:
        facts: Facts = Facts()
        rows = dataset.rows(config, theirs, list(columns.values()), source.names)
        entries = _entries(part, track(rows, f"Fetching {place}", unit="rows"), columns, facts)
        with atomic_file(root / place) as file:
            if part == "ner":
                _write_gold(entries, file, place, (language, config), facts)
            else:
                file.writelines(entries)
            if not facts["lines"]:
                raise XlingError(
                    f"{source.data}: none of the {facts['rows']} rows of {theirs} in {config} has "
                    f"what {part} needs: {', '.join(columns.values())}"
                )
        return facts

    return Unit(
        name=f"{part}/{language}/{split}",
        part=part,
        files=(place,),
        about={"source": source.data, "revision": dataset.revision, "licence": source.licence},
        config={
            "files": dataset.identity([config], [theirs]),
            "config": config,
            "split": theirs,
            "fields": dict(columns),
            "names": source.names,
        },
        write=write,
    )


def _entries(
    part: str, rows: Iterable[_Row], columns: Mapping[str, str], facts: Facts
) -> Iterator[str]:
    """Yield the entries that rows become in a file, and count unusable rows."""
    for row in rows:
        facts["rows"] += 1
        entry = _ENTRIES[part]({name: row[column] for name, column in columns.items()})
        facts["unusable" if entry is None else "lines"] += 1
        if entry is not None:
            yield entry


def _write_gold(
    entries: Iterator[str], file: IO[str], place: str, codes: Sequence[str], facts: Facts
) -> None:
    """Write sentences in IOB2, without the language prefix of WikiAnn's tokens (en:Paris)."""
    faults: list[Problem] = []
    lines = (line for entry in entries for line in entry.removesuffix("\n").split("\n"))
    kept = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for sentence in gold_of_lines(lines, Path(place), faults.append, codes):
            pairs = zip(sentence.tokens, sentence.tags, strict=True)
            file.write("".join(f"{token}\t{tag}\n" for token, tag in pairs) + "\n")
            kept += 1
    written, facts["lines"] = facts["lines"], kept
    facts["unusable"] += written - facts["lines"]
    for warning in caught:
        _log.warning(str(warning.message))
    if faults:
        message = f"{place}: left out {counted(written - facts['lines'], 'sentence')}"
        _log.warning("%s, the first because of %s", message, faults[0].message)


def _nli(row: _Row) -> str | None:
    """Return a pair as a line; None without a label (-1) or without text."""
    premise, hypothesis = clean(row["premise"] or ""), clean(row["hypothesis"] or "")
    if not premise or not hypothesis or row["label"] not in NLI_LABELS:
        return None
    return f"{premise}\t{hypothesis}\t{row['label']}\n"


def _topic(row: _Row) -> str | None:
    fields = [clean(str(row[name])) for name in ("id", "label", "text") if row[name] is not None]
    if len(fields) < 3 or not all(fields):
        return None
    return "\t".join(fields) + "\n"


def _tagged(row: _Row) -> str | None:
    """Return a sentence with one tag per line; None if a token is empty or has no tag."""
    tokens = [clean(token or "") for token in row["tokens"]]
    if not tokens or not all(tokens) or len(tokens) != len(row["tags"]) or None in row["tags"]:
        return None
    pairs = zip(tokens, row["tags"], strict=True)
    return "".join(f"{token}\t{tag}\n" for token, tag in pairs) + "\n"


def _tree(row: _Row) -> str | None:
    """Return a sentence in CoNLL-U; None if its words are not one tree.

    Items whose head is not a number are multiword ranges and empty nodes, not words.
    """
    items = zip(row["tokens"], row["upos"], row["head"], row["deprel"], strict=True)
    words = [
        (clean(form or ""), upos if upos in UPOS else "_", int(head), relation)
        for form, upos, head, relation in items
        if str(head).isdecimal()
    ]
    heads = [head for _, _, head, _ in words]
    if not words or not all(form for form, *_ in words):
        return None
    if max(heads) > len(words) or tree_fault(heads):
        return None
    comments = [f"# sent_id = {clean(str(row['id']))}"] if row["id"] is not None else []
    comments += [f"# text = {clean(row['text'])}"] if row["text"] else []
    lines = [
        f"{number}\t{form}\t_\t{upos}\t_\t_\t{head}\t{relation}\t_\t_"
        for number, (form, upos, head, relation) in enumerate(words, 1)
    ]
    return "\n".join([*comments, *lines]) + "\n\n"


_ENTRIES: dict[str, Callable[[_Row], str | None]] = {
    "nli": _nli,
    "ner": _tagged,
    "ud": _tree,
    "topics": _topic,
}
