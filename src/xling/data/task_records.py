"""How the records of each kind of task file are read, and what sentences are in them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from xling.data.conllu import Tree, read_conllu
from xling.data.iob2 import TaggedSentence, read_iob2
from xling.data.tables import read_nli, read_topics


class Task(NamedTuple):
    """How the records of one kind of task file are read and looked at."""

    read: Callable[..., Iterator[Any]]
    text: Callable[[Any], str]
    sentences: Callable[[Any], Iterable[str]]
    labels: Callable[[Any], Iterable[str]]


def _tag_types(sentence: TaggedSentence) -> set[str]:
    return {tag[2:] for tag in sentence.tags if tag != "O"}


def _tree_text(tree: Tree) -> str:
    return tree.text or " ".join(tree.forms)


TASKS: dict[str, Task] = {
    "nli": Task(read_nli, lambda row: "\t".join(row[:2]), lambda row: row[:2], lambda row: row[2:]),
    "ner": Task(
        read_iob2,
        lambda sentence: " ".join(sentence.tokens),
        lambda sentence: [" ".join(sentence.tokens)],
        _tag_types,
    ),
    "ud": Task(
        read_conllu,
        lambda tree: " ".join(tree.forms),
        lambda tree: [_tree_text(tree)],
        lambda tree: (),
    ),
    "topics": Task(read_topics, lambda row: row[2], lambda row: row[2:], lambda row: row[1:2]),
}
