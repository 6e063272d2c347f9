"""Counts of each language, made in bounded memory while its train streams are written.

Words are those of the vocabulary's pre-tokeniser: runs of tokens from one that begins a word up to
the next that does. Two languages' words count as the same if the model sees the same ids.

The report says how the vocabulary fits the text, and what anchors the languages have.
"""

import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from xling.artefact import check_file
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import JsonObject, atomic_file, write_json
from xling.vocabulary.anchors import Cognates, Share, TokenUse, find_anchors
from xling.vocabulary.vocabulary import Vocabulary

_MOST_TYPES = 1 << 22
_SMALLEST_MERGE = 1 << 20


@dataclass
class Words:
    """The words of a piece of a stream.

    Attributes:
        total: Running words.
        hashes: Distinct words without unknown tokens, uint64, ascending.
        counts: How often each occurs, int64.
    """

    total: int
    hashes: np.ndarray
    counts: np.ndarray


def find_words(ids: np.ndarray, word_starts: np.ndarray, separator: int, unknown: int) -> Words:
    """Count the words of a stream that begins and ends at a line's bounds.

    Args:
        ids: Token ids ``[N]``, every line followed by ``separator``.
        word_starts: Which ids begin a word, bool ``[V]``.
        separator: Id of [SEP]; it belongs to no word.
        unknown: Id of [UNK]; a word that has one is counted, but equals no other.
    """
    if not len(ids):
        return Words(0, np.empty(0, np.uint64), np.empty(0, np.int64))
    is_separator = ids == separator
    begins = word_starts[ids] | is_separator
    begins[0] = True
    begins[1:] |= is_separator[:-1]
    firsts = np.flatnonzero(begins)
    hashes = word_hashes(ids, firsts)
    known = np.add.reduceat((ids == unknown).astype(np.int64), firsts) == 0
    is_word = ~is_separator[firsts]
    distinct, counts = np.unique(hashes[known & is_word], return_counts=True)
    return Words(int(is_word.sum()), distinct, counts)


def word_hashes(ids: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Hash runs of tokens; equal runs have equal hashes wherever they stand.

    Args:
        ids: Token ids ``[N]``.
        firsts: Where each run begins, ascending from 0, int64 ``[W]``; it ends where the next
            begins.

    Returns:
        uint64 ``[W]``.
    """
    positions = np.arange(len(ids)) - np.repeat(firsts, np.diff(firsts, append=len(ids)))
    mixed = _mix(ids.astype(np.uint64) | positions.astype(np.uint64) << np.uint64(32))
    return np.add.reduceat(mixed, firsts)


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit values (the finaliser of splitmix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


@dataclass
class Tokens:
    """One split of a tokenised chunk.

    Attributes:
        ids: Token ids, every line followed by [SEP].
        lines: Number of lines.
        characters: Running characters, white space included.
        words: Its words.
        unknown_characters: Characters outside the alphabet, and how often each occurs.
    """

    ids: np.ndarray
    lines: int
    characters: int
    words: Words
    unknown_characters: Counter[str]


class WordCounts:
    """Counts of a language's words; beyond four million types the rarest are dropped.

    Attributes:
        total: Running words, dropped ones included.
    """

    def __init__(self) -> None:
        self.total = 0
        self._hashes = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int64)
        self._pending: list[Words] = []
        self._pending_size = 0

    def add(self, words: Words) -> None:
        """Add the words of one piece of the stream."""
        self.total += words.total
        self._pending.append(words)
        self._pending_size += len(words.hashes)
        # Merging only when as much is waiting as is stored keeps the work linear in the text.
        if self._pending_size > max(len(self._hashes), _SMALLEST_MERGE):
            self._merge()

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct hashes, ascending, and their counts."""
        self._merge()
        return self._hashes, self._counts

    def _merge(self) -> None:
        if not self._pending:
            return
        hashes = np.concatenate([self._hashes, *(words.hashes for words in self._pending)])
        counts = np.concatenate([self._counts, *(words.counts for words in self._pending)])
        self._pending, self._pending_size = [], 0
        order = np.argsort(hashes, kind="stable")
        hashes, counts = hashes[order], counts[order]
        firsts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        self._hashes = hashes[firsts]
        self._counts = np.add.reduceat(counts, firsts) if len(firsts) else counts
        if len(self._hashes) > _MOST_TYPES:
            kept = np.sort(np.lexsort((self._hashes, -self._counts))[: _MOST_TYPES // 2])
            self._hashes, self._counts = self._hashes[kept], self._counts[kept]


def shared_words(first: WordCounts, second: WordCounts) -> tuple[float, float, float]:
    """Measure the words that two languages have in common.

    Returns:
        Share of the first's running words that the second has too, the same of the second, and
        the overlap of the two distributions (the sum of each word's smaller share).
    """
    hashes, counts = first.items()
    others, other_counts = second.items()
    _, mine, theirs = np.intersect1d(hashes, others, assume_unique=True, return_indices=True)
    shares = counts[mine] / first.total, other_counts[theirs] / second.total
    return float(shares[0].sum()), float(shares[1].sum()), float(np.minimum(*shares).sum())


_MOST_CHARACTERS = 10_000
_COUNTS = "counts.npy"


def save_counts(folder: Path, language: str, counts: np.ndarray) -> None:
    """Write how often each id occurs in a language's train streams, int64 ``[V]``."""
    buffer = io.BytesIO()  # numpy's own file errors do not say that the disk is full
    np.save(buffer, counts)
    with atomic_file(folder / language / _COUNTS, "wb") as file:
        file.write(buffer.getvalue())


def load_counts(folder: Path, language: str, size: int) -> np.ndarray:
    """Read how often each id occurs in a language's train streams, int64 ``[V]``.

    Args:
        folder: The folder of the token streams.
        language: The language.
        size: Its number of ids, V.

    Raises:
        XlingError: They are missing, damaged, or of another vocabulary.
    """
    path = folder / language / _COUNTS
    check_file(path)
    try:
        if not path.is_file():
            raise ValueError("no file there")
        counts = np.load(path, allow_pickle=False)
        if counts.shape != (size,):
            raise ValueError(f"{counts.shape} counts for {size} ids")
    except (OSError, ValueError, EOFError) as error:
        raise XlingError(
            f"{path}: not the counts of these tokens ({error}); delete {folder} and run `xling "
            "tokens` again"
        ) from None
    return np.asarray(counts)


class LanguageCounts:
    """Counts over all train streams of a language.

    Args:
        word_starts: Which ids begin a word, bool ``[V]``.
        breaks: Which ids are punctuation marks or [SEP], bool ``[V]``.
        separator: Id of [SEP].

    Attributes:
        use: How the text uses every id; [SEP] counts the lines.
        lines: Number of lines.
        characters: Running characters, white space included.
        words: Its words.
        unknown_characters: Characters outside the alphabet and their occurrences.
    """

    def __init__(self, word_starts: np.ndarray, breaks: np.ndarray, separator: int) -> None:
        self._marks = word_starts, breaks, separator
        self.use = TokenUse.of(np.empty(0, dtype=np.int64), *self._marks)
        self.lines = 0
        self.characters = 0
        self.words = WordCounts()
        self.unknown_characters: Counter[str] = Counter()

    @property
    def ids(self) -> np.ndarray:
        """Occurrences of every id, int64 ``[V]``."""
        return self.use.counts

    def add(self, tokens: Tokens) -> None:
        """Add one piece of a stream."""
        self.use += TokenUse.of(tokens.ids, *self._marks)
        self.lines += tokens.lines
        self.characters += tokens.characters
        self.words.add(tokens.words)
        self.unknown_characters += tokens.unknown_characters
        if len(self.unknown_characters) > _MOST_CHARACTERS:
            kept = self.unknown_characters.most_common(_MOST_CHARACTERS // 2)
            self.unknown_characters = Counter(dict(kept))


_log = logging.getLogger(__name__)
_COMMONEST = 50
_EXAMPLES = 30


def write_report(
    folder: Path, vocabulary: Vocabulary, counts: Mapping[str, LanguageCounts], data: DataFolder
) -> None:
    """Write ``report.json`` and, for reading, ``report.md``; dictionaries are those of ``data``."""
    report = make_report(vocabulary, counts, data)
    write_json(folder / "report.json", report)
    with atomic_file(folder / "report.md") as file:
        file.write(as_markdown(report))


def make_report(
    vocabulary: Vocabulary, counts: Mapping[str, LanguageCounts], data: DataFolder
) -> dict[str, object]:
    """Gather the figures as JSON: the vocabulary, each language, the anchors of every pair.

    Shares lie in [0, 1]. Running tokens do not include [SEP]. Words are what the vocabulary
    cuts text into: between white space, with punctuation marks as words of their own.
    """
    return {
        "vocabulary": {"kind": vocabulary.kind, "size": vocabulary.entries},
        "languages": {
            language: _language(vocabulary, counted) for language, counted in counts.items()
        },
        "premium": list(_premiums(vocabulary, tuple(counts), data)),
        # With separate ids per language, equal ids mean nothing and no token is shared.
        "anchors": [
            _anchors(vocabulary, first, second, counts, Cognates.read(data, first, second))
            for first, second in combinations(counts, 2)
            if vocabulary.has_one_space
        ],
    }


def _language(vocabulary: Vocabulary, counted: LanguageCounts) -> dict[str, object]:
    tokens = int(counted.ids.sum() - counted.ids[vocabulary.special_ids.sep])
    unknowns = int(counted.ids[vocabulary.special_ids.unk])
    return {
        "lines": counted.lines,
        "words": counted.words.total,
        "characters": counted.characters,
        "tokens": tokens,
        "tokens a word": tokens / counted.words.total,
        "tokens a character": tokens / counted.characters,
        "different tokens": int((counted.ids[len(vocabulary.special_ids) :] > 0).sum()),
        "unknowns": unknowns,
        "share of unknowns": unknowns / tokens,
        "unknown characters": dict(counted.unknown_characters.most_common(_EXAMPLES)),
    }


def _premiums(
    vocabulary: Vocabulary, languages: tuple[str, ...], data: DataFolder
) -> Iterator[dict[str, object]]:
    """Yield how many tokens each language takes for the same text, relative to the first.

    Measured on every parallel set that has all languages (Petrov et al. 2023, arXiv 2305.15425), as
    its files are when the streams are written; a set that cannot be read is left out.
    """
    for name in data.parallel_sets(*languages):
        try:
            lines = data.parallel(name, *languages)
        except XlingError as error:
            _log.warning("%s; left out of the tokenizer premium", error)
            continue
        tokens = {
            language: sum(
                len(encoding.ids)
                for encoding in vocabulary.tokenizer(language).encode_batch(
                    lines[language], add_special_tokens=False
                )
            )
            for language in languages
        }
        base = tokens[languages[0]]
        if base:
            yield {
                "set": name,
                "lines": len(lines[languages[0]]),
                "tokens": tokens,
                "premium": {language: count / base for language, count in tokens.items()},
            }


def _anchors(
    vocabulary: Vocabulary,
    first: str,
    second: str,
    counts: Mapping[str, LanguageCounts],
    cognates: Cognates | None,
) -> dict[str, object]:
    tokens = vocabulary.tokens(first)
    anchors = find_anchors(counts[first].use, counts[second].use, tokens, cognates)
    words = shared_words(counts[first].words, counts[second].words)

    def covered(share: Share) -> dict[str, object]:
        shares = {first: share.first, second: share.second}
        return {
            "tokens": share.tokens,
            "share of running tokens": shares,
            "overlap": share.overlap,
        }

    return {
        "languages": [first, second],
        "dictionary": cognates is not None,
        **covered(anchors.all),
        "words": {
            "share of running words": {first: words[0], second: words[1]},
            "overlap": words[2],
        },
        "kinds": {kind: covered(share) for kind, share in anchors.kinds.items()},
        "commonest": [
            {
                "token": tokens[number],
                "kind": kind,
                first: int(counts[first].ids[number]),
                second: int(counts[second].ids[number]),
            }
            for number, kind in zip(anchors.ids[:_COMMONEST], anchors.kind_of, strict=False)
        ],
    }


def as_markdown(report: JsonObject) -> str:
    """Render a report as a page of tables."""
    vocabulary = report["vocabulary"]
    lines = [
        f"# Vocabulary: {vocabulary['kind']}, {vocabulary['size']:,} tokens",
        "",
        "Counted on the train streams; running tokens without [SEP].",
        "",
        "| language | lines | words | tokens | different | tokens per word | tokens per character "
        "| unknown | unknown characters |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_language_row(language, row) for language, row in report["languages"].items()),
    ]
    if report["premium"]:
        first = next(iter(report["languages"]))
        lines += [
            "",
            f"Tokens for the same text, relative to {first} (the tokenizer premium):",
            "",
            f"| parallel set | {' | '.join(report['languages'])} |",
            f"| --- |{' ---: |' * len(report['languages'])}",
            *(
                f"| {row['set']} | {' | '.join(f'{p:.2f}' for p in row['premium'].values())} |"
                for row in report["premium"]
            ),
        ]
    if vocabulary["kind"] == "separate":
        lines += ["", "Every language has separate ids: they share no token."]
    for anchors in report["anchors"]:
        lines += ["", *_anchor_table(anchors)]
    return "\n".join(lines) + "\n"


def _language_row(language: str, row: JsonObject) -> str:
    examples = " ".join(row["unknown characters"]).replace("|", "\\|")
    return (
        f"| {language} | {row['lines']:,} | {row['words']:,} | {row['tokens']:,} "
        f"| {row['different tokens']:,} | {row['tokens a word']:.2f} "
        f"| {row['tokens a character']:.3f} | {row['share of unknowns']:.4%} | {examples} |"
    )


def _anchor_table(anchors: JsonObject) -> list[str]:
    first, second = anchors["languages"]
    words = anchors["words"]

    def row(name: str, count: str, shares: Mapping[str, float], overlap: float) -> str:
        return f"| {name} | {count} | {shares[first]:.2%} | {shares[second]:.2%} | {overlap:.2%} |"

    def token_row(name: str, share: JsonObject) -> str:
        return row(name, f"{share['tokens']:,}", share["share of running tokens"], share["overlap"])

    commonest = {
        kind: " ".join(f"`{e['token']}`" for e in anchors["commonest"] if e["kind"] == kind)
        for kind in anchors["kinds"]
    }
    missing = (
        []
        if anchors["dictionary"]
        else [
            "",
            f"The data has no dictionary of {first} and {second}, so cognates and accidental "
            "homographs are among the unlisted words.",
        ]
    )
    return [
        f"## Anchors of {first} and {second}",
        "",
        f"| anchors | tokens | of running {first} | of running {second} | overlap |",
        "| --- | ---: | ---: | ---: | ---: |",
        token_row("all", anchors),
        *(token_row(kind, share) for kind, share in anchors["kinds"].items()),
        row("whole words", "", words["share of running words"], words["overlap"]),
        *missing,
        "",
        f"The {len(anchors['commonest'])} that cover most of both, by kind:",
        "",
        *(f"- {kind}: {tokens}" for kind, tokens in commonest.items() if tokens),
    ]
