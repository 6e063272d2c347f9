"""From one BPE a language to ids: merged by spelling, kept apart, or a space for each language.

In a common space a language's tokenizer defines every id, so that all languages' models have the
same number of rows and every id can be shown as text.
"""

from collections.abc import Mapping

from xling.vocabulary.bpe import BPE
from xling.vocabulary.special import SPECIAL_TOKENS


def unite(learnt: Mapping[str, BPE]) -> dict[str, dict[str, int]]:
    """Give tokens of identical spelling one id, whatever language they come from.

    Returns:
        The same ids for each language: the first language's tokens, then what each adds.
    """
    tokens = dict.fromkeys(token for bpe in learnt.values() for token in bpe.tokens)
    ids = {token: number for number, token in enumerate(tokens)}
    return dict.fromkeys(learnt, ids)


def keep_apart(learnt: Mapping[str, BPE]) -> dict[str, dict[str, int]]:
    """Give every token of every language an id of its own; only the special tokens are shared.

    Returns:
        For each language the ids of its own tokens, a contiguous range, under their plain
        spelling, and those of the others under a name that no text can reach, for example
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
    """Give each language a space of ids of its own, in which its tokens keep their order.

    The special tokens come first in all of them; no other id means the same in two languages.
    """
    return {language: _numbered(bpe.tokens) for language, bpe in learnt.items()}


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
