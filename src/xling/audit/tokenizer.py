"""How a model's tokenizer treats each language: length, unknown and shared tokens.

It also tokenises the same text in a second way, to compare a language with itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xling.audit.subjects import Subject
from xling.encoders.coverage import count_unknown
from xling.encoders.encoder import Encoder
from xling.encoders.sentences import Sentences, as_sentences, tokenise
from xling.names import pair_name
from xling.randomness import generator
from xling.results import Key, Score

TOKENIZER = "tokenizer"
CUT = 0.25  # share of the pieces that are split once more
Ints = NDArray[np.int64]
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")  # a byte for which SentencePiece has no piece
_WORD = re.compile(r"\w+")


def score_tokenizer(
    key: Key,
    subject: Subject,
    lines: Mapping[str, Sequence[str]],
    sentences: Mapping[str, Sentences],
) -> Iterator[Score]:
    """Yield the tokenizer's scores of every language, the pivot first.

    Args:
        key: The data set.
        subject: The model whose tokenizer it is.
        lines: Lines by language, the pivot first.
        sentences: The same lines tokenised, with the prefix of the model.

    Yields:
        Probe ``tokenizer``: ``tokens-relative`` (to the pivot, of the whole set),
        ``tokens-per-word`` (a word is a run of letters, digits and marks, so this means nothing for
        scripts without spaces), ``tokens-per-character``, and as shares of running tokens
        ``unknown``, ``byte-fallback`` (pieces of a character) and, for the pair, ``shared`` (with
        the pivot). Probe ``coverage``: ``truncated`` and ``empty`` lines.
    """
    pivot = next(iter(lines))
    prefix = prefix_tokens(subject, pivot)
    counts, kinds = {}, {}
    for code, of_language in sentences.items():
        kinds[code] = _Tokens(subject, code, of_language)
        there = int(np.count_nonzero(~of_language.empty(np.array([], dtype=np.int64))))
        counts[code] = max(0, kinds[code].total - prefix * there)
    for code, texts in lines.items():
        found = kinds[code]
        of = key._replace(probe=TOKENIZER, language=code)
        words = sum(len(_WORD.findall(text)) for text in texts)
        characters = sum(len(text.strip()) for text in texts)
        values = {
            "tokens-relative": counts[code] / max(1, counts[pivot]),
            "tokens-per-word": counts[code] / max(1, words),
            "tokens-per-character": counts[code] / max(1, characters),
            "unknown": found.unknown / max(1, found.total),
            "byte-fallback": found.bytes / max(1, found.total),
        }
        for metric, value in values.items():
            yield of._replace(metric=metric).score(float(value), n=found.total)
        if code != pivot:
            of_pair = of._replace(language=pair_name((pivot, code)), metric="shared")
            yield of_pair.score(found.shared(kinds[pivot]), n=found.total)
        lost = {"truncated": sentences[code].truncated, "empty": found.empty}
        for metric, lines_lost in lost.items():
            of = key._replace(probe="coverage", language=code, metric=metric)
            yield of.score(float(lines_lost), n=len(texts))


def prefix_tokens(subject: Subject, language: str) -> int:
    """Return the number of ordinary tokens of the model's prefix."""
    return len(_ordinary(tokenise(subject.encoders[language], [subject.prefix])))


def _ordinary(sentences: Sentences) -> np.ndarray:
    return sentences.ids[~sentences.special]


class _Tokens:
    """The running tokens of one language, counted by kind."""

    def __init__(self, subject: Subject, language: str, sentences: Sentences) -> None:
        encoder = subject.encoders[language]
        ids = _ordinary(sentences)
        numbers, times = np.unique(ids, return_counts=True)
        strings = (sentences.strings[number] for number in numbers.tolist())
        self.counts = dict(zip(strings, times.tolist(), strict=True))
        self.total = len(ids)
        self.unknown = count_unknown(encoder, ids)
        self.empty = int(sentences.empty(np.array([], dtype=np.int64)).sum())
        of_bytes = "ByteLevel" in repr(encoder.tokenizer.backend_tokenizer.decoder)
        self.bytes = sum(
            count for string, count in self.counts.items() if _is_fragment(string, of_bytes)
        )

    def shared(self, pivot: "_Tokens") -> float:
        """Return the share of this language's tokens that also occur in the pivot's text."""
        common = sum(count for string, count in self.counts.items() if string in pivot.counts)
        return float(common / max(1, self.total))


def _is_fragment(token: str, of_bytes: bool) -> bool:
    """Tell whether a token is a byte, or bytes that are not whole characters."""
    if not of_bytes:
        return bool(_BYTE.fullmatch(token))
    table = _byte_letters()
    if any(letter not in table for letter in token):
        return False
    try:
        bytes(table[letter] for letter in token).decode()
    except UnicodeDecodeError:
        return True
    return False


@cache
def _byte_letters() -> dict[str, int]:
    """Return the byte for each letter of a byte-level vocabulary (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {chr(byte): byte for byte in plain}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


def recut(
    encoder: Encoder, sentences: Sentences, kept: int = 0, seed: int = 0
) -> tuple[Sentences, Ints]:
    """Split the same text into other pieces of the same vocabulary.

    A piece that consists of two shorter pieces of the vocabulary may be replaced by them. Each such
    piece is split with probability :data:`CUT`, and at least one in every line that has any; the
    split point is drawn from all possible ones. The text stays the same, letter by letter. Models
    trained with sampled segmentations see such lines in training: subword regularisation (Kudo
    2018) draws them from a unigram model, BPE-dropout (Provilkov et al. 2020) by leaving out
    merges. Only the vocabulary is used, so one rule works for BPE, byte-level BPE, Unigram and
    WordPiece, whose pieces within a word begin with ``##``.

    Args:
        encoder: The encoder whose tokenizer and limit are used.
        sentences: N tokenised lines.
        kept: Number of ordinary tokens at the beginning of each line (of a prefix) to leave as they
            are.
        seed: Seed of the draws.

    Returns:
        The lines that were tokenised differently, and their indices, int64 [M]. Lines without a
        piece to split, and lines that would exceed the model's limit, are left out; so a vocabulary
        of whole words, of characters or of bytes gives none.
    """
    ids = sentences.ids
    types, of_type = np.unique(ids, return_inverse=True)
    ways = _ways(encoder, types)
    count = np.array([len(of) for of in ways], dtype=np.int64)
    first = np.cumsum(count) - count
    pairs = np.array([pair for of in ways for pair in of], dtype=np.int64).reshape(-1, 2)
    line = np.repeat(np.arange(len(sentences)), sentences.lengths)
    ordinary = np.cumsum(~sentences.special)
    before = np.concatenate([[0], ordinary])[sentences.starts[:-1]]
    there = ~sentences.special & (ordinary - before[line] > kept) & (count[of_type] > 0)
    random = generator(seed, "second tokenisation", len(ids))
    drawn = np.where(there, random.random(len(ids)), np.inf)
    which = np.floor(random.random(len(ids)) * count[of_type]).astype(np.int64)
    least = np.full(len(sentences), np.inf)
    np.minimum.at(least, line, drawn)
    cut = there & ((drawn < CUT) | (drawn == least[line]))
    lengths = sentences.lengths + np.bincount(line[cut], minlength=len(sentences))
    fits = np.bincount(line[cut], minlength=len(sentences)) > 0
    fits &= lengths <= encoder.maximum_length
    result = np.repeat(ids, 1 + cut)
    places = (np.cumsum(1 + cut) - 2)[cut]
    result[places], result[places + 1] = pairs[(first[of_type] + which)[cut]].T
    rows = np.split(result, np.cumsum(lengths)[:-1])
    numbers = np.flatnonzero(fits)
    return as_sentences(encoder, [rows[i].tolist() for i in numbers], 0), numbers


def _ways(encoder: Encoder, ids: Ints) -> list[list[tuple[int, int]]]:
    """Return for each id the pairs of ids that give the same text."""
    tokenizer = encoder.tokenizer
    vocabulary = tokenizer.get_vocab()
    model = tokenizer.backend_tokenizer.model
    if type(model).__name__ == "WordLevel":
        return [[] for _ in ids]  # two of its entries are two words
    inside = getattr(model, "continuing_subword_prefix", None) or ""
    ending = len(getattr(model, "end_of_word_suffix", None) or "")
    apart = {*tokenizer.added_tokens_decoder, tokenizer.unk_token_id}
    rows = encoder.rows
    pieces = {name: at for name, at in vocabulary.items() if at not in apart and at < rows}

    def of_piece(number: int, piece: str) -> Iterator[tuple[int, int]]:
        if number in apart or _BYTE.fullmatch(piece):
            return
        start = len(inside) if inside and piece.startswith(inside) else 0
        for place in range(start + 1, len(piece) - ending):
            a, b = pieces.get(piece[:place]), pieces.get(inside + piece[place:])
            if a is not None and b is not None:
                yield a, b

    names = tokenizer.convert_ids_to_tokens(ids.tolist())
    return [list(of_piece(*one)) for one in zip(ids.tolist(), names, strict=True)]
