"""Dependency trees in CoNLL-U (https://universaldependencies.org/format.html).

Only syntactic words are read. Multiword-token ranges (``3-4``) and empty nodes (``3.1``) are left
out once their place is checked, as in the CoNLL 2018 shared task's scoring of LAS.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xling.data.lines import Problem, Report, counted, fail, lone_returns, read_lines, shown

UPOS = frozenset(
    {"ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN"}
    | {"PUNCT", "SCONJ", "SYM", "VERB", "X", "_"}
)
_COLUMNS = 10
LONGEST_SENTENCE = 100_000  # lines, so that a file without blank lines does not fill the memory
_RANGE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_EMPTY_NODE = re.compile(r"(0|[1-9][0-9]{0,8})\.([1-9][0-9]{0,8})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(slots=True)
class Tree:
    """One sentence with its dependency tree; all lists have one item per syntactic word.

    Attributes:
        line: First line of the sentence in its file.
        text: The sentence as written (``# text = ...``), if the file has it.
        forms: Words.
        upos: Universal part-of-speech tags, ``_`` if missing.
        heads: Number of each word's head, counted from 1; 0 for the root.
        relations: Dependency relations, with their subtypes (``nsubj:pass``).
    """

    line: int
    text: str | None
    forms: list[str]
    upos: list[str]
    heads: list[int]
    relations: list[str]


def read_conllu(path: Path, report: Report = fail) -> Iterator[Tree]:
    """Yield the sentences of a CoNLL-U file.

    Raises:
        XlingError: Not ten columns, numbering with gaps, an empty word, an unknown part of
            speech, a head out of range, or heads that are not one tree with one root. If
            ``report`` returns, it gets a sentence's first fault and the sentence is left out.
    """
    return (tree for tree, _ in read_sentences(path, read_lines(path, report), report))


def read_sentences(
    path: Path, lines: Iterable[str], report: Report = fail
) -> Iterator[tuple[Tree, list[str]]]:
    """Yield the trees of a CoNLL-U file, and the lines that each was read from.

    Args:
        path: The file that problems name.
        lines: The file's lines.
        report: Called with each problem.
    """
    for first, found in _sentences(path, lines, report):
        try:
            tree = _SentenceReader(first).read(found)
        except _Fault as fault:
            report(Problem(path, fault.line, fault.message))
        else:
            yield tree, found


def tree_fault(heads: Sequence[int]) -> tuple[int, str] | None:
    """Say why heads are not one tree with one root, or return None if they are.

    Args:
        heads: For each word the number of its head, counted from 1, 0 for the root; in range.

    Returns:
        The number of a word at fault, and what was found.
    """
    roots = [word for word, head in enumerate(heads, 1) if head == 0]
    if len(roots) > 1:
        named = f"{', '.join(map(str, roots[:-1]))} and {roots[-1]}"
        return roots[1], f"{len(roots)} roots (words {named} have head 0)"
    cycle = _cycle(heads)
    if not cycle:
        return None
    way = " -> ".join(map(str, [*cycle, cycle[0]]))
    missing = "" if roots else ", and no root (no word has head 0)"
    return cycle[0], f"a cycle of heads (words {way}){missing}"


def _cycle(heads: Sequence[int]) -> list[int]:
    """Return the words of one cycle, smallest first, or nothing."""
    reached_from = [0] * (len(heads) + 1)
    for start in range(1, len(heads) + 1):
        word = start
        while word and not reached_from[word]:
            reached_from[word] = start
            word = heads[word - 1]
        if word and reached_from[word] == start:
            cycle = [word]
            while (head := heads[cycle[-1] - 1]) != word:
                cycle.append(head)
            turn = cycle.index(min(cycle))
            return cycle[turn:] + cycle[:turn]
    return []


def _sentences(
    path: Path, all_lines: Iterable[str], report: Report
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, lines) of each run between blank lines."""
    lines: list[str] = []
    number = 0
    for number, line in enumerate(all_lines, 1):
        if line:
            lines.append(line)
            if len(lines) > LONGEST_SENTENCE:
                report(Problem(path, number, too_many_lines()))
                return
        elif lines:
            yield number - len(lines), lines
            lines = []
    if lines:
        yield number + 1 - len(lines), lines


def too_many_lines() -> str:
    """Say that no blank line ends a sentence."""
    limit = counted(LONGEST_SENTENCE, "line")
    return f"found more than {limit} without a blank line, expected one after each sentence"


class _Fault(Exception):  # noqa: N818 - a fault of the sentence, not of the program
    def __init__(self, line: int, found: str, expected: str) -> None:
        self.line = line
        self.message = f"found {found}, expected {expected}"


class _SentenceReader:
    """Reads one sentence; its first fault is raised."""

    def __init__(self, first: int) -> None:
        self._tree = Tree(first, None, [], [], [], [])
        self._word_lines: list[int] = []
        self._range_end = 0
        self._empty_nodes = 0

    def read(self, lines: list[str]) -> Tree:
        tree = self._tree
        for number, line in enumerate(lines, tree.line):
            if line.startswith("#"):
                self._comment(number, line)
            else:
                self._row(number, line)
        words = len(tree.forms)
        if not words:
            raise _Fault(tree.line, "a sentence without words", "at least one word")
        if self._range_end > words:
            found = f"a multiword token up to word {self._range_end}"
            raise _Fault(self._word_lines[-1], found, f"at most {words}, the sentence's last word")
        self._check_heads()
        return tree

    def _comment(self, number: int, line: str) -> None:
        if self._tree.forms:
            place = "comments before the first word, and a blank line after the last"
            raise _Fault(number, f"comment {shown(line)} after words", place)
        if line.startswith("# text = "):
            self._tree.text = line.removeprefix("# text = ")

    def _row(self, number: int, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != _COLUMNS:
            expected = f"the {_COLUMNS} columns of CoNLL-U, separated by tabs"
            returns = lone_returns(line.count("\r"))
            expected += f"; found {returns}" if returns else ""
            raise _Fault(number, f"{counted(len(fields), 'column')} in {shown(line)}", expected)
        if match := _RANGE.fullmatch(fields[0]):
            self._multiword(number, int(match[1]), int(match[2]))
        elif match := _EMPTY_NODE.fullmatch(fields[0]):
            self._empty_node(number, int(match[1]), int(match[2]))
        else:
            self._word(number, fields)

    def _multiword(self, number: int, start: int, end: int) -> None:
        next_word = len(self._tree.forms) + 1
        if start != next_word or end <= start or start <= self._range_end:
            begin = max(next_word, self._range_end + 1)
            raise _Fault(number, f"multiword token {start}-{end}", f"a range from word {begin} up")
        self._range_end = end

    def _empty_node(self, number: int, word: int, count: int) -> None:
        right = (len(self._tree.forms), self._empty_nodes + 1)
        if (word, count) != right:
            raise _Fault(number, f"empty node {word}.{count}", f"{right[0]}.{right[1]}")
        self._empty_nodes = count

    def _word(self, number: int, fields: list[str]) -> None:
        tree = self._tree
        identifier, form, _, upos, _, _, head, relation = fields[:8]
        if identifier != str(len(tree.forms) + 1):
            raise _Fault(number, f"word number {shown(identifier)}", str(len(tree.forms) + 1))
        if not form:
            raise _Fault(number, "an empty word", "a form (or _) in column 2")
        if upos not in UPOS:
            raise _Fault(number, shown(upos), "a universal part of speech (or _) in column 4")
        if not _NUMBER.fullmatch(head):
            raise _Fault(number, f"head {shown(head)}", "the number of a word, or 0, in column 7")
        if relation in ("", "_") or relation != relation.strip():
            raise _Fault(number, shown(relation), "a dependency relation in column 8")
        tree.forms.append(form)
        tree.upos.append(upos)
        tree.heads.append(int(head))
        tree.relations.append(relation)
        self._word_lines.append(number)
        self._empty_nodes = 0

    def _check_heads(self) -> None:
        heads = self._tree.heads
        for number, head in zip(self._word_lines, heads, strict=True):
            if head > len(heads):
                raise _Fault(number, f"head {head}", f"0 to {len(heads)}, the sentence's last word")
        if fault := tree_fault(heads):
            word, found = fault
            raise _Fault(self._word_lines[word - 1], found, "a tree with one root")
