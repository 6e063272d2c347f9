"""Text to train and dev tokens and their counts: what a worker does with one piece.

Words are looked up in a cache before the tokenizer is called, since most occurred before. The
pre-tokeniser cuts at every space, so a line's ids are the ids of its pieces between spaces, one
after the other; encoding each distinct piece once and joining the stored bytes gives exactly the
tokenizer's ids, ten times as fast.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from xling.tokens.counts import Tokens, find_words
from xling.vocabulary.vocabulary import Vocabulary

_CACHED_WORDS = 1 << 18
# Text without spaces comes in pieces that hardly ever repeat.
_LONGEST_CACHED = 64


def id_dtype(size: int) -> np.dtype:
    """Return the little-endian type that stores ids of a vocabulary of ``size``."""
    return np.dtype("<u2" if size <= 1 << 16 else "<u4")


class Encoder:
    """Encodes lines of one language; remembers the words it has seen, up to a limit.

    Args:
        tokenizer: The language's tokenizer.
        separator: Id written after every line.
        dtype: Type of the ids.
    """

    def __init__(self, tokenizer: Tokenizer, separator: int, dtype: np.dtype) -> None:
        self._tokenizer = tokenizer
        self._dtype = dtype
        self._fixed = {"": b"", "\n": np.array([separator], dtype).tobytes()}
        self._cache = dict(self._fixed)

    def encode(self, lines: list[str]) -> np.ndarray:
        """Return the ids of the lines, each followed by the separator, as one array.

        Args:
            lines: Lines in NFC without line ends.
        """
        words = (" \n ".join(lines) + " \n").split(" ") if lines else []
        unknown = list(set(words).difference(self._cache))
        self._learn(unknown)
        ids = np.frombuffer(b"".join(map(self._cache.__getitem__, words)), dtype=self._dtype)
        self._forget(unknown)
        return ids

    def _learn(self, words: list[str]) -> None:
        if not words:
            return
        # One call for all words, not encode_batch: that would start threads of its own.
        encoding = self._tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
        raw = np.array(encoding.ids, dtype=self._dtype).tobytes()
        lengths = np.bincount(np.array(encoding.word_ids, dtype=np.int64), minlength=len(words))
        ends = np.cumsum(lengths) * self._dtype.itemsize
        start = 0
        for word, end in zip(words, ends.tolist(), strict=True):
            self._cache[word] = raw[start:end]
            start = end

    def _forget(self, new: list[str]) -> None:
        """Keep the memory bounded."""
        if len(self._cache) > _CACHED_WORDS:
            self._cache = dict(self._fixed)
            return
        for word in new:
            if len(word) > _LONGEST_CACHED:
                del self._cache[word]


SPLITS = ("train", "dev")


@dataclass(frozen=True)
class Chunk:
    r"""A piece of text to tokenise.

    Attributes:
        source: Number of the text it is from; comes back with the result.
        language: Whose tokenizer to use.
        text: Lines in NFC joined by ``\n``.
        dev_share: Share of lines to hold out, in [0, 1).
    """

    source: int
    language: str
    text: str
    dev_share: float


class TokenisedChunk(NamedTuple):
    """The tokens of a chunk by split, and the number of the text it is from."""

    source: int
    splits: dict[str, Tokens]


def is_held_out(line: str, share: float) -> bool:
    """Decide a line's side of the split, from its content alone."""
    digest = hashlib.blake2b(line.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


class ChunkTokeniser:
    """Tokenises chunks of any language of a vocabulary; one lives in each worker.

    Args:
        folder: The vocabulary's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._vocabulary = Vocabulary.load(folder)
        self._encoders: dict[str, Encoder] = {}
        self._alphabets: dict[str, frozenset[str]] = {}
        self._starts: dict[str, np.ndarray] = {}

    def __call__(self, chunk: Chunk) -> TokenisedChunk:
        """Return the tokens of each split; the same for equal chunks, whatever came before."""
        lines: dict[str, list[str]] = {split: [] for split in SPLITS}
        for line in chunk.text.split("\n"):
            lines["dev" if is_held_out(line, chunk.dev_share) else "train"].append(line)
        splits = {split: self._tokens(chunk.language, chosen) for split, chosen in lines.items()}
        return TokenisedChunk(chunk.source, splits)

    def _tokens(self, language: str, lines: list[str]) -> Tokens:
        ids = self._encoder(language).encode(lines)
        special = self._vocabulary.special_ids
        return Tokens(
            ids=ids,
            lines=len(lines),
            characters=sum(map(len, lines)),
            words=find_words(ids, self._word_starts(language), special.sep, special.unk),
            unknown_characters=self._unknown_characters(language, lines, ids),
        )

    def _unknown_characters(self, language: str, lines: list[str], ids: np.ndarray) -> Counter[str]:
        special = self._vocabulary.special_ids
        unknown = np.flatnonzero(ids == special.unk)
        if not len(unknown):
            return Counter()
        line_of = np.cumsum(ids == special.sep)
        found = Counter("".join(lines[number] for number in np.unique(line_of[unknown])))
        known = self._alphabet(language)
        return Counter(
            {
                character: count
                for character, count in found.items()
                if character not in known and not character.isspace()
            }
        )

    def _encoder(self, language: str) -> Encoder:
        if language not in self._encoders:
            vocabulary = self._vocabulary
            self._encoders[language] = Encoder(
                vocabulary.tokenizer(language),
                vocabulary.special_ids.sep,
                id_dtype(vocabulary.size),
            )
        return self._encoders[language]

    def _alphabet(self, language: str) -> frozenset[str]:
        if language not in self._alphabets:
            tokens = self._vocabulary.tokens(language)
            own = (tokens[number] for number in self._vocabulary.own_ids(language))
            self._alphabets[language] = frozenset(token for token in own if len(token) == 1)
        return self._alphabets[language]

    def _word_starts(self, language: str) -> np.ndarray:
        if language not in self._starts:
            self._starts[language] = self._vocabulary.word_starts(language)
        return self._starts[language]
