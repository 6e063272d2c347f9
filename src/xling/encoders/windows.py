"""Sentences as token ids in windows that fit the model, and where each word begins.

A pre-tokenised sentence is encoded as its words joined by spaces, so that a word gets the same
tokens as in running text, whatever the tokenizer does with spaces;
:func:`xling.encoders.words.words_of_tokens` assigns the tokens back to the words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xling.encoders.batches import Ints, Tokens, laid_out, ranges
from xling.encoders.encoder import Encoder
from xling.encoders.words import words_of_tokens
from xling.errors import XlingError

_CHUNK = 4096  # sentences encoded at a time


@dataclass(frozen=True, eq=False, kw_only=True)
class Windows(Tokens):
    """N sentences as R >= N rows of token ids, none longer than the model's limit.

    ``truncated`` counts sentences that lost tokens: pairs too long, words longer than a window.

    Attributes:
        sentence_rows: int64 [N + 1]: sentence i has rows ``sentence_rows[i]:sentence_rows[i + 1]``.
        word_starts: int64 [N + 1]: the same for its words; no words for plain text.
        word_tokens: int64 [W]: position in ``ids`` of each word's first subword with text, which is
            the one after a bare mark of white space (``▁``) if the tokenizer splits one off.
    """

    sentence_rows: Ints
    word_starts: Ints
    word_tokens: Ints

    def __len__(self) -> int:
        return len(self.sentence_rows) - 1

    @property
    def sentence_lengths(self) -> Ints:
        """Tokens in each sentence's longest row: int64 [N]."""
        return np.maximum.reduceat(self.lengths, self.sentence_rows[:-1])

    def rows_of(self, sentences: Ints) -> Ints:
        """Return the row indices of some sentences, sentence after sentence."""
        return ranges(self.sentence_rows[sentences], self.sentence_rows[sentences + 1])


def word_windows(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> Windows:
    """Tokenise sentences given as words, in windows that begin and end at words.

    A sentence that fits is one window. A longer one is split into windows of about equal length;
    each word is in exactly one of them. A word longer than a window keeps its first subwords, and a
    word for which the tokenizer gives no token becomes the unknown token.

    Args:
        encoder: The encoder whose tokenizer and limit are used.
        sentences: The words of each, at least one.

    Raises:
        XlingError: a sentence without words.
    """
    head, tail = _frame(encoder)
    room = _room(encoder, len(head) + len(tail))
    rows: list[list[int]] = []
    sentence_rows, word_starts = [0], [0]
    word_tokens: list[int] = []
    position = truncated = 0
    for ids, counts, firsts in _subwords(encoder, sentences):
        ids, counts, lost = _cut_long_words(ids, counts, room)
        firsts = np.minimum(firsts, counts - 1)
        truncated += lost
        ends = np.cumsum(counts)
        begin = 0
        for first, last in _split(counts, room):
            end = int(ends[last - 1])
            starts = ends[first:last] - counts[first:last] - begin + position + len(head)
            word_tokens.extend((starts + firsts[first:last]).tolist())
            rows.append([*head, *ids[begin:end], *tail])
            position += len(rows[-1])
            begin = end
        sentence_rows.append(len(rows))
        word_starts.append(len(word_tokens))
    return _assemble(encoder, rows, None, sentence_rows, word_starts, word_tokens, truncated)


def text_windows(encoder: Encoder, texts: Sequence[str]) -> Windows:
    """Tokenise running texts; long ones are split into windows at word ends where possible."""
    head, tail = _frame(encoder)
    room = _room(encoder, len(head) + len(tail))
    rows: list[list[int]] = []
    sentence_rows = [0]
    for encoding in _encode(encoder, texts):
        ids: list[int] = encoding.ids
        # The tokens of one word (as the tokenizer defines it) stay together where possible.
        words = np.array([-1 if word is None else word for word in encoding.word_ids])
        counts = np.diff(np.flatnonzero(np.diff(words, prepend=-2, append=-2)))
        if counts.max(initial=0) > room:
            counts = np.concatenate([_pieces(int(count), room) for count in counts])
        ends = np.cumsum(counts)
        begin = 0
        for _, last in _split(counts, room):
            rows.append([*head, *ids[begin : int(ends[last - 1])], *tail])
            begin = int(ends[last - 1])
        if not ids:
            rows.append([*head, *tail])
        sentence_rows.append(len(rows))
    nothing = [0] * len(sentence_rows)
    return _assemble(encoder, rows, None, sentence_rows, nothing, [], 0)


def pair_windows(encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> Windows:
    """Tokenise pairs as one row each; if a pair is too long, its longer side is cut."""
    tokenizer: Any = encoder.tokenizer
    special = tokenizer.num_special_tokens_to_add(pair=True)
    room = _room(encoder, special)
    rows: list[list[int]] = []
    types: list[list[int]] = []
    truncated = 0
    sides = [list(_encode(encoder, [pair[side] for pair in pairs])) for side in (0, 1)]
    for a, b in zip(*sides, strict=True):
        whole = len(a.ids) + len(b.ids)
        first, second = _longest_first(len(a.ids), len(b.ids), room)
        truncated += whole > first + second
        left, right = _framed_pair(tokenizer, a.ids[:first], b.ids[:second])
        rows.append(left + right)
        types.append([0] * len(left) + [1] * len(right))
    count = range(len(rows) + 1)
    segments = types if _knows_segments(encoder) else None
    return _assemble(encoder, rows, segments, list(count), [0] * len(count), [], truncated)


def _framed_pair(tokenizer: Any, a: list[int], b: list[int]) -> tuple[list[int], list[int]]:
    """Return ``[CLS] a [SEP]`` and ``b [SEP]``, or whatever the tokenizer puts around a pair."""
    before, between, after = _pair_frame(tokenizer)
    return [*before, *a, *between], [*b, *after]


def _pair_frame(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """Special tokens before, between and after the sides of a pair, taken from an example."""
    encoding = _backend(tokenizer).encode("a", "b")
    sides = encoding.sequence_ids
    first = [place for place, side in enumerate(sides) if side == 0]
    second = [place for place, side in enumerate(sides) if side == 1]
    if not first or not second:
        raise XlingError("the tokenizer leaves nothing of the letters a and b; it cannot be used")
    ids = encoding.ids
    return ids[: first[0]], ids[first[-1] + 1 : second[0]], ids[second[-1] + 1 :]


def _frame(encoder: Encoder) -> tuple[list[int], list[int]]:
    """Special tokens before and after one text, taken from an example."""
    tokenizer: Any = encoder.tokenizer
    encoding = _backend(tokenizer).encode("a")
    inner = [place for place, side in enumerate(encoding.sequence_ids) if side == 0]
    if not inner:
        raise XlingError("the tokenizer leaves nothing of the letter a; it cannot be used")
    return encoding.ids[: inner[0]], encoding.ids[inner[-1] + 1 :]


def _backend(tokenizer: Any) -> Any:
    """Return the tokenizer's backend; a saved one may cut and pad every text to one length."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def _room(encoder: Encoder, special: int) -> int:
    room = encoder.maximum_length - special
    if room < 1:
        raise XlingError(f"the model has positions for {encoder.maximum_length} tokens only")
    return room


def _encode(encoder: Encoder, texts: Sequence[str]) -> Iterator[Any]:
    """Yield the tokenizer's encoding of each text, without special tokens, never cut."""
    backend = _backend(encoder.tokenizer)
    for start in range(0, len(texts), _CHUNK):
        chunk = list(texts[start : start + _CHUNK])
        yield from backend.encode_batch(chunk, add_special_tokens=False)


def _subwords(
    encoder: Encoder, sentences: Sequence[Sequence[str]]
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield for each sentence its ids, and each word's number of tokens and first with text.

    Every word has one token or more.
    """
    unknown = encoder.tokenizer.unk_token_id
    unknown = encoder.padding if unknown is None else unknown
    for number, words in enumerate(sentences, 1):
        if not words:
            raise XlingError(f"sentence {number} has no words; remove it from the data")
    for start in range(0, len(sentences), _CHUNK):
        chunk = sentences[start : start + _CHUNK]
        encodings = list(_encode(encoder, [" ".join(words) for words in chunk]))
        yield from _chunk_subwords(encoder, chunk, encodings, unknown)


def _chunk_subwords(
    encoder: Encoder,
    sentences: Sequence[Sequence[str]],
    encodings: Sequence[Any],
    unknown: int,
) -> Iterator[tuple[Ints, Ints, Ints]]:
    ids = np.array([i for encoding in encodings for i in encoding.ids], dtype=np.int64)
    ends = [end for encoding in encodings for _, end in encoding.offsets]
    tokens = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    owners, text = words_of_tokens(encoder, sentences, ids, np.array(ends, dtype=np.int64), tokens)
    word_ends = np.cumsum([len(words) for words in sentences])
    counts = np.bincount(owners, minlength=int(word_ends[-1]))
    missing = np.flatnonzero(counts == 0)
    ids = np.insert(ids, np.cumsum(counts)[missing], unknown)
    begins = np.cumsum(counts) - counts
    # The first token with text of each word; its first token if none has any.
    firsts = np.zeros_like(counts)
    with_text = np.flatnonzero(text)[::-1]
    firsts[owners[with_text]] = with_text - begins[owners[with_text]]
    counts = np.maximum(counts, 1)
    token_ends = np.cumsum(counts)
    begin = first = 0
    for last in word_ends.tolist():
        end = int(token_ends[last - 1])
        yield ids[begin:end], counts[first:last], firsts[first:last]
        begin, first = end, last


def _cut_long_words(ids: Ints, counts: Ints, room: int) -> tuple[Ints, Ints, bool]:
    """Keep the first ``room`` subwords of each word; tell whether any were lost."""
    if counts.max(initial=0) <= room:
        return ids, counts, False
    begins = np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.arange(len(ids)) - begins < room
    return ids[kept], np.minimum(counts, room), True


def _pieces(count: int, room: int) -> Ints:
    """Split a number into parts of at most ``room``."""
    parts = -(-count // room)
    ends: Ints = np.linspace(0, count, parts + 1).astype(np.int64)
    return ends[1:] - ends[:-1]


def _split(counts: Ints, room: int) -> list[tuple[int, int]]:
    """Split words into the fewest windows of at most ``room`` tokens, with the longest minimal.

    Args:
        counts: Number of tokens of each word, none above ``room``.
        room: Maximum number of tokens in a window.

    Returns:
        First word and last word + 1 of each window.
    """
    ends = np.cumsum(counts)
    if not len(ends):
        return []
    if ends[-1] <= room:
        return [(0, len(ends))]
    fewest = len(_filled(ends, room))
    low, high = int(counts.max()), room
    while low < high:
        middle = (low + high) // 2
        if len(_filled(ends, middle)) <= fewest:
            high = middle
        else:
            low = middle + 1
    return _filled(ends, low)


def _filled(ends: Ints, limit: int) -> list[tuple[int, int]]:
    windows = []
    first = done = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, done + limit, side="right"))
        windows.append((first, last))
        first, done = last, int(ends[last - 1])
    return windows


def _longest_first(a: int, b: int, room: int) -> tuple[int, int]:
    """Shorten the longer of two lengths, then both equally, until they fit."""
    if a + b <= room:
        return a, b
    half = room // 2
    if min(a, b) <= half:
        return (a, room - a) if a < b else (room - b, b)
    return room - half, half


def _knows_segments(encoder: Encoder) -> bool:
    known = "token_type_ids" in encoder.tokenizer.model_input_names
    return known and getattr(encoder.model.config, "type_vocab_size", 0) > 1


def _assemble(
    encoder: Encoder,
    rows: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]] | None,
    sentence_rows: Sequence[int],
    word_starts: Sequence[int],
    word_tokens: Sequence[int],
    truncated: int,
) -> Windows:
    return Windows(
        **vars(laid_out(encoder, rows, truncated, types)),
        sentence_rows=np.array(sentence_rows, dtype=np.int64),
        word_starts=np.array(word_starts, dtype=np.int64),
        word_tokens=np.array(word_tokens, dtype=np.int64),
    )
