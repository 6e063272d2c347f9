"""Named entities: one ``token TAB tag`` per line, a blank line after each sentence.

In IOB2 (Tjong Kim Sang and Veenstra 1999) every span starts with B-X and continues with I-X.
Predictions and silver data break that rule, and repairing them is part of scoring. So
`read_iob2` returns tags as written; `stray_insides` finds the violations. Gold must not be
repaired, since each reader would understand it differently. So `read_gold` finds the scheme
of the whole file, and converts IOB1, BIOES, BILOU and BMES to IOB2.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from xling.data.conllu import LONGEST_SENTENCE, too_many_lines
from xling.data.lines import Problem, Report, counted, fail, lone_returns, read_lines, shown

_TAG = re.compile(r"O|[BI]-\S+")
_ANY_TAG = re.compile(r"O|[BIESLUM]-\S+")
_PREFIX = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]+)*:")
# Schemes that mark where a span ends: letters of an inner token, the last and an only one.
_ENDING = {"BIOES": ("I", "E", "S"), "BILOU": ("I", "L", "U"), "BMES": ("M", "E", "S")}


class TaggedSentence(NamedTuple):
    """A sentence's tokens and their tags, of equal length, and its first line."""

    line: int
    tokens: list[str]
    tags: list[str]


class Scheme(NamedTuple):
    """How a file writes spans, and the line that shows it.

    Attributes:
        name: ``IOB2``, ``IOB1``, ``BIOES``, ``BILOU``, ``BMES``, or empty if it is none of them.
        line: The first line that is not IOB2, None if there is none.
        found: What is on that line.
    """

    name: str
    line: int | None = None
    found: str = ""


def read_iob2(
    path: Path, report: Report = fail, codes: Sequence[str] = ()
) -> Iterator[TaggedSentence]:
    """Yield the sentences of an IOB2 file, with their tags as written.

    WikiAnn's language prefix (``en:Paris``) is removed if every token of the file has it.

    Args:
        path: The file.
        report: Called with each problem.
        codes: Codes of the file's language, if known; the prefix of another language stays.

    Raises:
        XlingError: Not two columns, an empty token, or a tag other than O, B-X and I-X. If
            ``report`` returns, the whole sentence of a faulty line is left out.
    """
    return _read(path, report, codes, _TAG)


def read_gold(
    path: Path, report: Report = fail, codes: Sequence[str] = ()
) -> Iterator[TaggedSentence]:
    """Yield the sentences of a gold file with tags in IOB2, whichever scheme the file is in.

    Warns if the file's scheme is another one.

    Args:
        path: The file.
        report: Called with each problem.
        codes: Codes of the file's language, if known; the prefix of another language stays.

    Raises:
        XlingError: As `read_iob2`; spans that break the file's scheme; a file that mixes IOB1
            and IOB2, so that an I-X is ambiguous.
    """
    scheme = scheme_of(path)
    if scheme.name in ("IOB1", *_ENDING):
        message = f"{scheme.found}: the file is in {scheme.name}, expected IOB2; converted to IOB2"
        warnings.warn(str(Problem(path, scheme.line, message)), stacklevel=2)
    for sentence in _read(path, report, codes, _ANY_TAG if scheme.name in _ENDING else _TAG):
        if fault := _break(sentence.tags, scheme.name):
            position, message = fault
            report(Problem(path, sentence.line + position, message))
        else:
            yield sentence._replace(tags=to_iob2(sentence.tags, scheme.name))


def gold_of_lines(
    lines: Iterable[str], path: Path, report: Report = fail, codes: Sequence[str] = ()
) -> Iterator[TaggedSentence]:
    """Yield the sentences of lines converted from another format; see `read_gold`.

    The prefix of the tokens and the scheme of the spans are known only after the last line. So the
    lines are written to a temporary file and read again.

    Args:
        lines: ``token TAB tag``, with empty lines between sentences.
        path: The file that problems and warnings name.
        report: Called with each problem.
        codes: Codes of the language, if known.
    """
    with TemporaryDirectory() as folder:
        aside = Path(folder) / path.name
        with open(aside, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        found = read_gold(aside, lambda problem: report(problem._replace(path=path)), codes)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            first = next(found, None)  # all warnings come before it
        for warning in caught:
            warnings.warn(str(warning.message).replace(str(aside), str(path)), stacklevel=2)
        if first is not None:
            yield first
            yield from found


def scheme_of(path: Path) -> Scheme:
    """Find the scheme in which a gold file writes its spans."""
    letters: set[str] = set()
    only_iob1 = True
    shows: Scheme | None = None
    # The next pass reports damage; this one must only not fail because of it.
    for sentence in _read(path, lambda problem: None, (), _ANY_TAG):
        last = "O"
        for position, tag in enumerate(sentence.tags):
            letter = tag[0]
            letters.add(letter)
            goes_on = tag[2:] == last[2:] and last != "O"
            only_iob1 &= letter != "B" or goes_on
            if shows is None and (letter not in "OBI" or (letter == "I" and not goes_on)):
                shows = Scheme("", sentence.line + position, _found(sentence.tags, position))
            last = tag
    if shows is None:
        return Scheme("IOB2")
    if letters <= set("OBI"):
        return shows._replace(name="IOB1" if only_iob1 else "")
    names = [name for name, rest in _ENDING.items() if letters <= {"O", "B", *rest}]
    return shows._replace(name=names[0] if names else "")


def to_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """Convert tags of a scheme to IOB2.

    Example:
        >>> to_iob2(["I-PER", "B-PER", "I-LOC", "I-LOC"], "IOB1")
        ['B-PER', 'B-PER', 'B-LOC', 'I-LOC']
        >>> to_iob2(["S-PER", "B-LOC", "E-LOC"], "BIOES")
        ['B-PER', 'B-LOC', 'I-LOC']
    """
    if scheme == "IOB1":
        strays = set(stray_insides(tags))
        return [f"B{tag[1:]}" if i in strays else tag for i, tag in enumerate(tags)]
    if scheme not in _ENDING:
        return list(tags)
    inside, last, only = _ENDING[scheme]
    letters = {inside: "I", last: "I", only: "B"}
    return [letters.get(tag[0], tag[0]) + tag[1:] for tag in tags]


def stray_insides(tags: Sequence[str]) -> list[int]:
    """Return the positions of I-X tags that follow neither B-X nor I-X."""
    before = ["O", *tags]
    return [
        position
        for position, (last, tag) in enumerate(zip(before, tags, strict=False))
        if tag.startswith("I-") and last not in (tag, "B-" + tag[2:])
    ]


def _read(
    path: Path, report: Report, codes: Sequence[str], allowed: re.Pattern[str]
) -> Iterator[TaggedSentence]:
    prefix, remark = token_prefix(path, codes)
    if remark:
        warnings.warn(f"{path}: {remark}", stacklevel=3)
    sentence = TaggedSentence(1, [], [])
    good = True
    number = 0
    for number, line in enumerate(read_lines(path, report), 1):
        if not line:
            if sentence.tokens and good:
                yield sentence
            sentence, good = TaggedSentence(number + 1, [], []), True
            continue
        fields = line.split("\t")
        fault = _fault(fields, line, prefix, allowed)
        if fault:
            report(Problem(path, number, fault))
            good = False
        else:
            sentence.tokens.append(fields[0].removeprefix(prefix))
            sentence.tags.append(fields[1])
        if number - sentence.line >= LONGEST_SENTENCE:
            report(Problem(path, number, too_many_lines()))
            return
    if sentence.tokens and good:
        yield sentence


def _break(tags: Sequence[str], scheme: str) -> tuple[int, str] | None:
    """Return the first place where tags break a scheme, and what was found and expected there."""
    if scheme in ("IOB1", "IOB2"):
        return None
    if scheme not in _ENDING:
        for position in stray_insides(tags):
            kind = tags[position][2:]
            expected = f"expected B-{kind} or I-{kind} before it (IOB2)"
            advice = "the file has spans that begin with B- too, so it is not IOB1; correct it"
            return position, f"{_found(tags, position)}, {expected}; {advice}"
        return None
    inside, _, only = _ENDING[scheme]
    open_type = None
    for position, tag in enumerate([*tags, "O"]):
        begins = tag[0] in ("O", "B", only)
        if begins != (open_type is None) or not (begins or tag[2:] == open_type):
            broken = f"breaks {scheme}, which the rest of the file is in; correct it"
            if position == len(tags):
                return position - 1, f"found the sentence's end after {tags[-1]}, which {broken}"
            return position, f"{_found(tags, position)}, which {broken}"
        open_type = tag[2:] if tag[0] in ("B", inside) else None
    return None


def _found(tags: Sequence[str], position: int) -> str:
    before = tags[position - 1] if position else "the sentence's start"
    return f"found tag {tags[position]} after {before}"


def _fault(fields: list[str], line: str, prefix: str, allowed: re.Pattern[str]) -> str | None:
    """Say what is wrong with one line, if anything is."""
    if len(fields) != 2:
        found = f"found {counted(len(fields), 'column')} in {shown(line)}"
        returns = lone_returns(line.count("\r"))
        advice = f"; found {returns}" if returns else _columns_advice(fields)
        return f"{found}, expected token TAB tag{advice}"
    token, tag = fields
    if not token.removeprefix(prefix):
        return f"the token is empty in {shown(line)}; expected token TAB tag"
    if not allowed.fullmatch(tag):
        other = [name for name, rest in _ENDING.items() if tag[:2] in {f"{a}-" for a in rest[1:]}]
        advice = f" (as in {' or '.join(other)}?)" if other else ""
        return f"found tag {shown(tag)}, expected O, B-X or I-X for an entity type X{advice}"
    return None


def _columns_advice(fields: Sequence[str]) -> str:
    """Say how to extract token and tag from a file with more columns, the tag being the last."""
    columns = fields if len(fields) > 1 else fields[0].split()
    if len(columns) < 2 or not _ANY_TAG.fullmatch(columns[-1]):
        return ""
    return f"; if the last of {len(columns)} columns is the tag: awk 'NF {{$0 = $1 \"\\t\" $NF}} 1'"


def token_prefix(path: Path, codes: Sequence[str]) -> tuple[str, str]:
    """Find the language prefix that every token of a file has (``en:Paris``).

    Args:
        path: The file.
        codes: Codes of its language, if known.

    Returns:
        The prefix to remove, or an empty string; and what to say about a prefix that stays.
    """
    found: Counter[str] = Counter()
    # The next pass reports damage; this one must only not fail because of it.
    for line in read_lines(path, report=lambda problem: None):
        if line:
            match = _PREFIX.match(line)
            found[match.group() if match else ""] += 1
    prefix, count = max(found.items(), key=lambda item: item[1], default=("", 0))
    every = count == found.total()
    own = any(_is_own(prefix[:-1], code) for code in codes)
    if every and (own or not codes):
        return prefix, ""
    if not prefix or not codes or (not own and not every) or 2 * count <= found.total():
        return "", ""
    if every:
        message = f"every token begins with {prefix!r}, which is no code of {codes[0]}"
    else:
        message = f"{count:,} of {counted(found.total(), 'token')} begin with {prefix!r}, not all"
    return "", f"{message}: it stays; remove it if it is not part of the word"


def _is_own(code: str, language: str) -> bool:
    """Whether a prefix is a language's code, be it shorter or longer (en, eng; zh, zh-min-nan)."""
    name = language.lower().replace("_", "-")
    return name.startswith(code) or code.startswith(f"{name}-")
