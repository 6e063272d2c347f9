"""Lines as words and as tokens, and which token belongs to which word."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from xling.encoders.batches import Ints
from xling.encoders.encoder import Encoder
from xling.encoders.sentences import Sentences, as_sentences, encode_lines
from xling.errors import XlingError
from xling.vocabulary.bpe import UNSPACED, WORD_MARK

_MARK = r"\p{P}$+<=>^`|~"
_WORD = regex.compile(rf"[{UNSPACED}]+|[{_MARK}]|[^\s{_MARK}{UNSPACED}]+")


def split_words(line: str) -> list[str]:
    """Split a line where xling's vocabularies do: at white space and around punctuation marks.

    A run of text in a script without spaces stays whole: split such text into words beforehand and
    give the words.

    Example:
        >>> split_words("L'été, enfin!")
        ['L', "'", 'été', ',', 'enfin', '!']
    """
    found: list[str] = _WORD.findall(line)
    return found


@dataclass(frozen=True, eq=False)
class WordTokens:
    """N lines as W running words and T tokens.

    Attributes:
        sentences: The tokens of the lines.
        words: The words of all lines, one line after the other.
        starts: int64 array [N + 1]: line i has the words ``starts[i]:starts[i + 1]``.
        word_of: int64 array [T]: the running word that a token is part of; -1 for special tokens
            and marks of white space.
    """

    sentences: Sentences
    words: list[str]
    starts: Ints
    word_of: Ints

    @property
    def sizes(self) -> Ints:
        """Tokens of each word: int64 array [W]; 0 where a line was cut, or no token was made."""
        return np.bincount(self.word_of[self.word_of >= 0], minlength=len(self.words))


def tokenise_words(encoder: Encoder, lines: Sequence[Sequence[str]]) -> WordTokens:
    """Tokenise lines given as words.

    The words are joined by spaces and tokenised together, so that each has the same tokens as in
    running text, whatever the tokenizer does with spaces; :func:`words_of_tokens` assigns them back
    to the words. Lines are cut at the model's limit of positions.

    Args:
        encoder: The encoder whose tokenizer and limit are used.
        lines: The words of each line, without white space inside; a line may have none.

    Raises:
        XlingError: if ``lines`` holds text that is not split into words.
    """
    if any(isinstance(line, str) for line in lines):
        raise XlingError("expected lines as lists of words; cut text with split_words(line)")
    texts = [" ".join(words) for words in lines]
    found, truncated = encode_lines(encoder, texts, return_offsets_mapping=True)
    sentences = as_sentences(encoder, found["input_ids"], truncated)
    # Special tokens have the offsets (0, 0); any character of the line will do for them.
    ends = ([max(end, 1) for _, end in places] for places in found["offset_mapping"])
    last = np.fromiter(chain.from_iterable(ends), np.int64, len(sentences.ids))
    owners, text = words_of_tokens(encoder, lines, sentences.ids, last, sentences.lengths)
    words = list(chain.from_iterable(lines))
    starts = np.fromiter(accumulate(map(len, lines), initial=0), np.int64, len(lines) + 1)
    return WordTokens(sentences, words, starts, np.where(text & ~sentences.special, owners, -1))


def words_of_tokens(
    encoder: Encoder, lines: Sequence[Sequence[str]], ids: Ints, ends: Ints, counts: Ints
) -> tuple[Ints, NDArray[np.bool_]]:
    """Tell which word each token is part of, and whether it has any of the word's text.

    All code that maps subwords to words uses this rule. The lines were tokenised with one space
    between words. A token belongs to the word that contains its last character. A token that ends
    between words, as a mark of white space does, belongs to the word after it. SentencePiece often
    splits such a mark off (``▁``, ``中国``): it has no text, so no word is read from it.

    Args:
        encoder: The encoder whose tokenizer made the tokens.
        lines: The words of each of N lines, W in all.
        ids: int64 [T]: tokens of all lines, one line after the other.
        ends: int64 [T]: the character of its line that each token ends before.
        counts: int64 [N]: number of tokens of each line.

    Returns:
        int64 [T]: running word of each token, -1 in a line without words; bool [T]: whether it has
        text.
    """
    words = np.fromiter(map(len, lines), np.int64, len(lines))
    sizes = np.fromiter(map(len, chain.from_iterable(lines)), np.int64, int(words.sum()))
    # Length of each line and the separator after it (a line without words has one, too).
    lengths = np.maximum(np.diff(_running(sizes + 1)[_running(words)]), 1)
    first_words, first_characters = _running(words), _running(lengths)
    # The separators after words; a separator already belongs to the next word.
    separators = np.cumsum(sizes + 1) - 1 + np.repeat(np.cumsum(words == 0), words)
    last = np.maximum(ends, 1) - 1 + np.repeat(first_characters[:-1], counts)
    owners = np.searchsorted(separators, last, side="right")
    owners = np.minimum(owners, np.repeat(first_words[1:], counts) - 1)
    owners[np.repeat(words == 0, counts)] = -1
    return owners, ~np.isin(ids, _without_text(encoder.tokenizer, ids))


def _without_text(tokenizer: Any, ids: Ints) -> Ints:
    """Return the tokens that are only the tokenizer's mark of white space."""
    backend = tokenizer.backend_tokenizer
    if _pieces(backend, "a(中b") == [f"{WORD_MARK}a", f"{WORD_MARK}(", "中", f"{WORD_MARK}b"]:
        # xling's own vocabularies put the mark before every word (also after brackets), except in
        # unspaced scripts: here it counts as a letter, at which models have learnt to read words.
        return np.array([], dtype=np.int64)
    marks = "".join(set("".join(_pieces(backend, "a a"))) - {"a"})
    distinct = np.unique(ids).tolist()
    strings = tokenizer.convert_ids_to_tokens(distinct)
    empty = [i for i, string in zip(distinct, strings, strict=True) if not string.strip(marks)]
    return np.array(empty, dtype=np.int64)


def _pieces(backend: Any, text: str) -> list[str]:
    """Split a text into the pieces that a tokenizer's model is given."""
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


def _running(sizes: Ints) -> Ints:
    """Return where each part begins, and the end: int64 [N + 1]."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
