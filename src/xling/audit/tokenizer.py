"""How a model's tokenizer treats each language: length, what it does not know, what it shares."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np

from xling.audit.subjects import Subject
from xling.encoders.coverage import count_unknown
from xling.encoders.sentences import Sentences, tokenise
from xling.names import pair_name
from xling.results import Key, Score

TOKENIZER = "tokenizer"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")  # a byte that SentencePiece has no piece for
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
        subject: Whose tokenizer it is.
        lines: Lines by language, the pivot first.
        sentences: The same tokenised, the prefix of the model included.

    Yields:
        Probe ``tokenizer``: ``tokens-relative`` (to the pivot, of the whole set),
        ``tokens-per-word`` (a word being a run of letters, digits and marks, so that it says
        nothing of scripts without spaces), ``tokens-per-character``, and as shares of running
        tokens ``unknown``, ``byte-fallback`` (pieces of a character) and, for the pair, ``shared``
        (with the pivot). Probe ``coverage``: ``truncated`` and ``empty`` lines.
    """
    pivot = next(iter(lines))
    with_prefix = tokenise(subject.encoders[pivot], [subject.prefix])
    prefix = len(_ordinary(with_prefix))
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
        """Return the share of this language's tokens that the pivot's text has too."""
        common = sum(count for string, count in self.counts.items() if string in pivot.counts)
        return common / max(1, self.total)


def _is_fragment(token: str, of_bytes: bool) -> bool:
    """Tell whether a token is a byte, or bytes that are no whole characters."""
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
    """Return which byte each letter of a byte-level vocabulary is (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {chr(byte): byte for byte in plain}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}
