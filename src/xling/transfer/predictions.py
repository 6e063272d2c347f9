"""Predictions in each task's own format, for scorers outside this project.

Every file has the form of its gold file (the data layout's), so that its reader reads it back.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from xling.data.conllu import Tree, read_conllu
from xling.errors import XlingError
from xling.files import atomic_file, open_bytes
from xling.transfer.attachment import UNSEEN, check_same_words

UNSEEN_RELATION = "unseen"  # what a word past the model's limit gets: no treebank's relation
_HEAD, _RELATION = 6, 7  # columns of CoNLL-U


def write_conllu(path: Path, gold: Path, predicted: Sequence[Tree]) -> None:
    """Write predicted trees with everything else as in the gold file.

    Comments, multiword tokens, empty nodes and all columns but HEAD and DEPREL are kept byte for
    byte. Words with head `UNSEEN` get a head that makes a tree and is not gold's, so that
    other scorers count them wrong too (see `completed`).

    Args:
        path: File to write, atomically.
        gold: File that the gold trees came from, plain or ``.gz``.
        predicted: One tree for each of its sentences; heads and relations are read.
    """
    trees = list(read_conllu(gold))
    check_same_words(trees, predicted)
    pairs = zip(trees, predicted, strict=True)
    words = (
        word
        for tree, guess in pairs
        for whole in [completed(guess, tree.heads)]
        for word in zip(whole.heads, whole.relations, strict=True)
    )
    with atomic_file(path) as file:
        for line in _raw_lines(gold):
            fields = line.split("\t")
            if fields[0].isdecimal():
                head, fields[_RELATION] = next(words)
                fields[_HEAD] = str(head)
            file.write("\t".join(fields) + "\n")


def write_iob2(path: Path, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Write (tokens, tags) of each sentence as ``token TAB tag``, atomically."""
    with atomic_file(path) as file:
        for tokens, tags in sentences:
            for pair in zip(tokens, tags, strict=True):
                file.write("\t".join(pair) + "\n")
            file.write("\n")


def write_labels(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write tab-separated rows, atomically.

    For NLI (premise, hypothesis, label), for topics (id, label, text).

    Raises:
        XlingError: A tab or a line end inside a field.
    """
    with atomic_file(path) as file:
        for number, row in enumerate(rows, 1):
            if any("\t" in field or "\n" in field for field in row):
                raise XlingError(f"{path}: row {number} has a tab or line end inside a field")
            file.write("\t".join(row) + "\n")


def completed(predicted: Tree, gold_heads: Sequence[int]) -> Tree:
    """Give unseen words heads that make one tree and are not gold's, and `UNSEEN_RELATION`.

    They hang on the root, or on another word where the root is right. If none was seen one of
    them has to be the root. Where there is no wrong choice (only the root was seen and it heads
    all others, or the sentence is that short) one head is right; the relation never is.
    """
    heads = list(predicted.heads)
    unseen = [word for word, head in enumerate(heads, 1) if head == UNSEEN]
    if not unseen:
        return predicted
    seen = [word for word, head in enumerate(heads, 1) if head != UNSEEN]
    if not seen:
        root = next((word for word in unseen if gold_heads[word - 1] != 0), unseen[0])
        heads[root - 1] = 0
        seen = [root]
    else:
        seen.sort(key=lambda word: heads[word - 1] != 0)
    # Those that the root does not head come first: the others may then hang on them.
    for word in sorted(unseen, key=lambda word: gold_heads[word - 1] == seen[0]):
        if heads[word - 1] == UNSEEN:
            wrong = (head for head in seen if head != gold_heads[word - 1])
            heads[word - 1] = next(wrong, seen[0])
            seen.append(word)
    relations = list(predicted.relations)
    for word in unseen:
        relations[word - 1] = UNSEEN_RELATION
    return replace(predicted, heads=heads, relations=relations)


def _raw_lines(path: Path) -> Iterator[str]:
    """Yield lines as they are in the file: not in NFC, which outside scorers do not expect."""
    with open_bytes(path) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n"):
            yield line.rstrip("\r\n")
