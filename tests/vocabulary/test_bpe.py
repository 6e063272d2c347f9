"""BPE against a naive second implementation."""

import itertools
import os
import subprocess
import sys
import unicodedata
from collections import Counter

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.vocabulary.bpe import (
    CLS,
    SEP,
    SPECIAL_TOKENS,
    WORD_MARK,
    assemble,
    learn,
    starts_word,
)

TEXT = [
    "the theatre, then (the other) there: the 12 others' theses.",
    "l'autre théâtre — là-bas, les autres thèses; the LibreOffice是一个基于Linux的办公软件",
    "the 办公软件 en l'an 2012 the the other",
] * 3
HAN = r"[\p{Han}]"


def naive_words(line: str) -> list[str]:
    """Words as the docs define them, character by character."""
    words: list[str] = []
    kind = None
    for character in unicodedata.normalize("NFC", line):
        if character.isspace():
            now = None
        elif unicodedata.category(character)[0] == "P" or character in "$+<=>^`|~":
            now = "mark"
        else:
            now = "han" if regex.match(HAN, character) else "other"
        if now is not None:
            if now == "mark" or now != kind:
                words.append("" if now == "han" else WORD_MARK)
            words[-1] += character
        kind = now
    return words


def naive_pairs(words: Counter[tuple[str, ...]]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for word, count in words.items():
        for pair in itertools.pairwise(word):
            pairs[pair] += count
    return pairs


def naive_merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    index = 0
    while index < len(word):
        if word[index : index + 2] == pair:
            merged.append(pair[0] + pair[1])
            index += 2
        else:
            merged.append(word[index])
            index += 1
    return tuple(merged)


@pytest.fixture(scope="module")
def learnt():
    alphabet = sorted({c for line in TEXT for c in line if c != " "} | {WORD_MARK})
    return learn(iter([TEXT]), 110, alphabet)


def test_every_merge_was_the_commonest_pair_at_its_time(learnt):
    words = Counter(tuple(word) for line in TEXT for word in naive_words(line))
    assert len(learnt.merges) > 20
    for merge in learnt.merges:
        pairs = naive_pairs(words)
        assert pairs[merge] == max(pairs.values()) >= 2
        words = Counter({naive_merge(word, merge): count for word, count in words.items()})


def test_entries_are_special_tokens_then_characters_then_merges(learnt):
    specials = len(SPECIAL_TOKENS)
    assert tuple(learnt.tokens[:specials]) == SPECIAL_TOKENS
    characters = learnt.tokens[specials : -len(learnt.merges)]
    assert all(len(token) == 1 for token in characters)
    assert learnt.tokens[-len(learnt.merges) :] == [a + b for a, b in learnt.merges]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="thesaor12.,'( )\u00a0\u3000é\u0301là是一办公软件件Linux☃", max_size=40))
def test_encoding_applies_the_merges_in_order(learnt, line):
    ids = {token: number for number, token in enumerate(learnt.tokens)}
    tokenizer = assemble(ids, learnt.merges)
    expected: list[int] = []
    for word in naive_words(line):
        pieces = tuple(word)
        for merge in learnt.merges:
            pieces = naive_merge(pieces, merge)
        expected += [ids.get(piece, 1) for piece in pieces]
    assert tokenizer.encode(line, add_special_tokens=False).ids == expected


def test_the_same_name_is_the_same_tokens_in_running_chinese():
    bpe = learn(iter([["LibreOffice 是 Office"] * 5]), 40, sorted({*"LibreOffice是", WORD_MARK}))
    tokenizer = assemble({token: number for number, token in enumerate(bpe.tokens)}, bpe.merges)
    alone = tokenizer.encode("LibreOffice", add_special_tokens=False).ids
    inside = tokenizer.encode("是LibreOffice是(LibreOffice)", add_special_tokens=False).ids
    chinese = tokenizer.token_to_id("是")
    assert inside[: len(alone) + 2] == [chinese, *alone, chinese]


def test_special_tokens_frame_text_are_taken_whole_and_dropped_when_decoding(learnt):
    tokenizer = assemble({token: n for n, token in enumerate(learnt.tokens)}, learnt.merges)
    added = tokenizer.get_added_tokens_decoder()
    assert {n: token.content for n, token in added.items()} == dict(enumerate(SPECIAL_TOKENS))
    assert all(token.special and not token.normalized for token in added.values())
    one, two = (tokenizer.encode(text, add_special_tokens=False).ids for text in ("the", "other"))
    single, pair = tokenizer.encode("the"), tokenizer.encode("the", "other")
    assert single.ids == [CLS, *one, SEP]
    assert single.type_ids == [0] * len(single.ids)
    assert pair.ids == [CLS, *one, SEP, *two, SEP]
    assert pair.type_ids == [0] * (len(one) + 2) + [1] * (len(two) + 1)
    assert single.special_tokens_mask == [1, *[0] * len(one), 1]
    mask = SPECIAL_TOKENS.index("[MASK]")
    masked = tokenizer.encode("the [MASK]", add_special_tokens=False).ids
    assert masked == [*one, mask]
    assert tokenizer.decode([CLS, *masked, SEP]) == "the"
    assert tokenizer.decode(masked, skip_special_tokens=False) == "the[MASK]"


@pytest.mark.parametrize(
    ("token", "expected"),
    [("▁the", True), ("▁", True), ("he", False), ("办公", True), ("ー", True)],
)
def test_starts_word(token, expected):
    assert starts_word(token) is expected


LEARN = """
import hashlib, random
from xling.vocabulary.bpe import learn
random.seed(5)
words = ["".join(random.choices("abcdefgh", k=random.randint(1, 7))) for _ in range(3000)]
lines = [" ".join(random.choices(words, k=12)) for _ in range(3000)]
bpe = learn(iter([lines[i:i + 100] for i in range(0, 3000, 100)]), 900, [*"▁abcdefgh"])
print(len(bpe.tokens), hashlib.sha256(repr(bpe).encode()).hexdigest())
"""


def test_learning_does_not_depend_on_threads_or_hash_seeds():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", LEARN],
            env={**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(outputs) == 1
    assert outputs.pop().startswith("900 ")
