"""One byte-pair encoding: how text is cut into words, learnt from, and turned into ids.

Words are what Moses tokenisation would give: text between white space, with every punctuation
mark a word of its own. The mark ``▁`` opens each word, so that "the" is the same token after a
bracket as after a space. Runs of scripts that do not write spaces (Chinese, Japanese, Thai, ...)
are cut from their surroundings and carry no mark: a Latin name inside Chinese text is then
the same token as in English, and 中国 the same token anywhere in a phrase.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import regex
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from xling.data.lines import UNSPACED

# The same five, with the same ids, in every vocabulary.
PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

WORD_MARK = "▁"
UNKNOWN = SPECIAL_TOKENS[UNK]
_UNSPACED_START = regex.compile(f"[{UNSPACED}]")

# A pair seen once is an accident of one word, not a regularity.
_SMALLEST_PAIR_COUNT = 2


class BPE(NamedTuple):
    """What was learnt: the tokens in order of their ids, special ones first, and the merges."""

    tokens: list[str]
    merges: list[tuple[str, str]]


def starts_word(token: str) -> bool:
    """Tell whether a token opens a word; every token of an unspaced script counts as a word."""
    return token.startswith(WORD_MARK) or bool(_UNSPACED_START.match(token))


def learn(texts: Iterator[Sequence[str]], size: int, alphabet: Sequence[str]) -> BPE:
    """Learn a character-level BPE (Sennrich et al. 2016).

    The result depends on the text alone, not on the number of threads: the alphabet is given,
    and ties between pairs are broken by their ids.

    Args:
        texts: Batches of lines.
        size: Entries wanted, including the special tokens.
        alphabet: The single characters to keep; all others become unknown.

    Returns:
        At most ``size`` entries: fewer if no further pair occurs twice.
    """
    tokenizer = assemble({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=_SMALLEST_PAIR_COUNT,
        special_tokens=[*SPECIAL_TOKENS],
        initial_alphabet=[*alphabet],
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return read_bpe(tokenizer)


def learn_parity(
    texts: Sequence[Iterator[Sequence[str]]],
    size: int,
    alphabet: Sequence[str],
    lengths: Sequence[float],
) -> BPE:
    """Learn a BPE that compresses every language alike (Foroutan et al. 2025).

    Each merge is the commonest pair of the language that is compressed least, relative to its
    length in translations.

    Args:
        texts: For each language batches of lines.
        size: See `learn`.
        alphabet: See `learn`.
        lengths: For each language, how many units `units` counts in its version of the same text.

    Returns:
        See `learn`.
    """
    tokenizer = assemble({}, [])
    trainer = trainers.ParityBpeTrainer(
        num_merges=size - len(SPECIAL_TOKENS) - len(alphabet),
        min_frequency=_SMALLEST_PAIR_COUNT,
        ratio=[length / min(lengths) for length in lengths],
        special_tokens=[*SPECIAL_TOKENS],
        initial_alphabet=[*alphabet],
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    trainer.train_from_iterator(tokenizer, train_iterators=[*texts])
    return read_bpe(tokenizer)


def units(lines: Iterable[str]) -> int:
    """Count the units that a BPE starts merging from: characters, and a mark for each word."""
    tokenizer = assemble({}, [])
    assert tokenizer.pre_tokenizer
    return sum(
        len(piece) for line in lines for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(line)
    )


def read_bpe(tokenizer: Tokenizer) -> BPE:
    """Return a tokenizer's entries in order of their ids, and its merges in order of rank."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return BPE(tokens, [(left, right) for left, right in model["merges"]])


def assemble(ids: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """Make a tokenizer: NFC, words, BPE, and ``[CLS] text [SEP]`` around what is encoded.

    Args:
        ids: Every entry's id, special tokens included (none, for a tokenizer to be trained).
        merges: Pairs of entries to merge, in order of rank.
    """
    tokenizer = Tokenizer(models.BPE(vocab=dict(ids), merges=[*merges], unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[{UNSPACED}]+"), "isolated"),
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Metaspace(WORD_MARK, prepend_scheme="always", split=False),
            pre_tokenizers.Split(Regex(f"{WORD_MARK}(?=[{UNSPACED}])"), "removed"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(WORD_MARK, prepend_scheme="always")
    if ids:
        tokenizer.add_special_tokens([*SPECIAL_TOKENS])
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[
                (name, ids[name]) for name in (SPECIAL_TOKENS[CLS], SPECIAL_TOKENS[SEP])
            ],
        )
    return tokenizer


def unite(learnt: Mapping[str, BPE], share: float = 1.0) -> dict[str, dict[str, int]]:
    """Give tokens of identical spelling one id, whatever language they come from.

    Args:
        learnt: Each language's tokens.
        share: Share of these tokens that do get one id, evenly spaced from the first learnt, which
            are the commonest, to the last. The others are kept apart, as `keep_apart` does.

    Returns:
        For each language the ids of its tokens under their plain spelling: the first language's
        tokens, then those that each further language adds.
    """
    specials = len(SPECIAL_TOKENS)
    languages = Counter(token for bpe in learnt.values() for token in bpe.tokens[specials:])
    common = [token for token, count in languages.items() if count > 1]
    # Token n gets one id where the running quota n * share passes a whole number.
    quota = np.floor(np.arange(len(common) + 1) * share + 1e-9)
    apart = {common[index] for index in np.flatnonzero(np.diff(quota) == 0)}
    entries = dict.fromkeys(
        (language if token in apart else "", token)
        for language, bpe in learnt.items()
        for token in bpe.tokens
    )
    return {
        language: _numbered(
            [token if owner in ("", language) else f"{owner}:{token}" for owner, token in entries]
        )
        for language in learnt
    }


def keep_apart(learnt: Mapping[str, BPE]) -> dict[str, dict[str, int]]:
    """Give every token of every language an id of its own; only the special tokens are shared.

    Returns:
        For each language the ids of its own tokens, a contiguous range, under their plain
        spelling, and those of the others under a name that no text can yield, for example
        ``en:▁the`` (text is cut at every colon, so no token has one inside).
    """
    specials = len(SPECIAL_TOKENS)
    own = {language: bpe.tokens[specials:] for language, bpe in learnt.items()}
    return {
        language: _numbered(
            [*SPECIAL_TOKENS]
            + [
                token if other == language else f"{other}:{token}"
                for other, tokens in own.items()
                for token in tokens
            ]
        )
        for language in learnt
    }


def separate(learnt: Mapping[str, BPE]) -> dict[str, dict[str, int]]:
    """Give each language its own space of ids, in which its tokens keep their order.

    The special tokens come first in all of them; no other id means the same in two languages.
    """
    return {language: _numbered(bpe.tokens) for language, bpe in learnt.items()}


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
