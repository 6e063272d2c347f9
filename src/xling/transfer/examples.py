"""The examples of a task as plain lists, written as the files of a data folder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from xling.data.tables import NLI_LABELS
from xling.errors import XlingError
from xling.transfer.config import PARTS, Task
from xling.transfer.predictions import write_iob2, write_labels

Row = tuple[Any, ...]

# What an example of each task consists of, in this order; an example may also be a mapping.
FIELDS: Mapping[Task, tuple[str, ...]] = {
    "nli": ("premise", "hypothesis", "label"),
    "ner": ("tokens", "tags"),
    "parsing": ("words", "heads", "relations"),
    "topics": ("text", "label"),
}
_ENDINGS: Mapping[Task, str] = {"nli": "tsv", "ner": "iob2", "parsing": "conllu", "topics": "tsv"}
_LISTS = ("ner", "parsing")


def write_examples(
    data: Path, task: Task, split: str, examples: Mapping[str, Iterable[object]]
) -> None:
    """Write examples into a data folder.

    Args:
        data: The folder.
        task: Which task they are of.
        split: ``train``, ``dev`` or ``test``.
        examples: For each language its examples: a tuple of :data:`FIELDS` or a mapping with them.

    Raises:
        XlingError: an example that does not fit the task, with its language and number.
    """
    for language, given in examples.items():
        rows = [
            _row(task, example, f"{split}[{language!r}][{number}]")
            for number, example in enumerate(given)
        ]
        path = data / PARTS[task] / language / f"{split}.{_ENDINGS[task]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[task](path, rows)


def _row(task: Task, example: object, where: str) -> Row:
    names = FIELDS[task]
    if isinstance(example, Mapping):
        missing = [name for name in names if name not in example]
        if missing:
            raise XlingError(f"{where}: no {missing[0]}; expected the keys {', '.join(names)}")
        values = tuple(example[name] for name in names)
    else:
        if isinstance(example, str) or not isinstance(example, Sequence):
            kind = type(example).__name__
            raise XlingError(f"{where}: {kind}; expected ({', '.join(names)}) or a mapping of them")
        values = tuple(example)
        if len(values) != len(names):
            raise XlingError(f"{where}: {len(values)} parts; expected ({', '.join(names)})")
    if task in _LISTS:
        return _lists(names, values, where)
    cells = [_text(value, f"{where}, {name}") for name, value in zip(names, values, strict=True)]
    if task == "nli" and cells[-1] not in NLI_LABELS:
        raise XlingError(f"{where}, label: {cells[-1]!r}; expected {' or '.join(NLI_LABELS)}")
    return tuple(cells)


def _text(value: object, where: str) -> str:
    """Return a text in one line, as tables need it; numbers may be labels."""
    if isinstance(value, int) and not isinstance(value, bool) and where.endswith("label"):
        return str(value)
    found = " ".join(value.split()) if isinstance(value, str) else ""
    if not found:
        raise XlingError(f"{where}: {value!r}; expected a text")
    return found


def _lists(names: Sequence[str], values: Row, where: str) -> Row:
    sides = []
    for name, side in zip(names, values, strict=True):
        if isinstance(side, str) or not isinstance(side, Iterable):
            raise XlingError(f"{where}, {name}: {side!r}; expected a list, one item for each word")
        sides.append(list(side))
        for item in sides[-1]:
            is_number = isinstance(item, int) and not isinstance(item, bool)
            fine = (
                is_number if name == "heads" else isinstance(item, str) and item.split() == [item]
            )
            if not fine:
                wanted = "a number" if name == "heads" else "a word without white space"
                raise XlingError(f"{where}, {name}: {item!r}; expected {wanted}")
    counts = [len(side) for side in sides]
    if len(set(counts)) > 1 or not counts[0]:
        found = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        raise XlingError(f"{where}: {found}; expected equally many, at least one")
    return tuple(sides)


def _write_topics(path: Path, rows: Sequence[Row]) -> None:
    write_labels(path, ([str(number), label, text] for number, (text, label) in enumerate(rows)))


def _write_trees(path: Path, rows: Sequence[Row]) -> None:
    lines = (
        [
            "\t".join((str(n), word, "_", "_", "_", "_", str(head), relation, "_", "_"))
            for n, (word, head, relation) in enumerate(zip(*row, strict=True), 1)
        ]
        for row in rows
    )
    path.write_text("".join(f"{line}\n" for line in chain.from_iterable((*of, "") for of in lines)))


_WRITERS: Mapping[Task, Callable[[Path, Sequence[Row]], None]] = {
    "nli": write_labels,
    "ner": write_iob2,
    "parsing": _write_trees,
    "topics": _write_topics,
}
