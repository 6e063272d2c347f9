"""Code-switching: exact shares, and the same rows as a word-by-word reference."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.pretraining.code_switching import Runs, Switcher, Switches, spare_tokens
from xling.pretraining.config import CodeSwitching
from xling.randomness import generator

SEP = 3
# Ids from 10 begin a word, those from 30 continue one, those from 60 are of the other language.
STARTS = np.zeros(100, dtype=bool)
STARTS[10:30] = True
STARTS[60:80] = True

Dictionary = dict[tuple[int, ...], dict[tuple[int, ...], float]]


def compiled(dictionary: Dictionary) -> Switches:
    entries = list(dictionary.values())
    shares = [np.cumsum(list(found.values())) for found in entries]
    bounds = np.cumsum([0, *map(len, entries)])
    return Switches(
        words=Runs.of(list(dictionary)),
        entry=np.arange(len(entries)),
        bounds=bounds,
        cumulative=np.concatenate([e + share / share[-1] for e, share in enumerate(shares)]),
        translations=Runs.of([ids for found in entries for ids in found]),
    )


def switcher(dictionary: Dictionary, probability: float, maximum_share: float) -> Switcher:
    config = CodeSwitching(probability=probability, maximum_share=maximum_share)
    return Switcher(compiled(dictionary), STARTS, SEP, config)


def words_of(row: list[int]) -> list[tuple[int, ...]]:
    """Cut a row of text into words and separators."""
    words: list[list[int]] = []
    for position, token in enumerate(row):
        after_separator = position and row[position - 1] == SEP
        if position == 0 or STARTS[token] or token == SEP or after_separator:
            words.append([])
        words[-1].append(token)
    return [tuple(word) for word in words]


def reference(dictionary, probability, maximum_share, text, length, draws):
    """The same by the definition: word by word, and anew for every bound on the draws."""
    rows = [words_of(row.tolist()) for row in text]
    found = [
        (number, place)
        for number, words in enumerate(rows)
        for place, word in enumerate(words)
        if word in dictionary and place < len(words) - 1
    ]
    keys = dict(zip(found, draws.random(len(found)).tolist(), strict=True))
    choices = dict(zip(found, draws.random(len(found)).tolist(), strict=True))
    chosen = {}
    lost = Counter()
    for number, place in found:
        if keys[number, place] >= probability:
            continue
        options = dictionary[rows[number][place]]
        cumulative = np.cumsum(list(options.values())) / sum(options.values())
        which = int(np.searchsorted(cumulative, choices[number, place], side="right"))
        translation = list(options)[min(which, len(options) - 1)]
        lost[number] += max(0, len(rows[number][place]) - len(translation))
        if lost[number] <= text.shape[1] - length:
            chosen[number, place] = translation
    while True:
        result, words, inside = [], 0, []
        for number, row in enumerate(rows):
            tokens: list[int] = []
            for place, word in enumerate(row):
                if len(tokens) >= length:
                    break
                words += word != (SEP,)
                if (number, place) in chosen:
                    inside.append((number, place))
                tokens += chosen.get((number, place), word)
            result.append(tokens[:length])
        most = int(maximum_share * words)
        if len(inside) <= most:
            return result, words, len(inside)
        bound = sorted(keys[where] for where in inside)[most]
        chosen = {where: ids for where, ids in chosen.items() if keys[where] < bound}


starts, inner = st.integers(10, 29), st.integers(30, 59)
word = st.tuples(starts) | st.tuples(starts, inner) | st.tuples(starts, inner, inner)
foreign = st.lists(st.integers(60, 99), min_size=1, max_size=5).map(tuple)
dictionaries = st.dictionaries(
    word, st.dictionaries(foreign, st.floats(0.1, 9), min_size=1, max_size=3), min_size=1
)


@settings(max_examples=150, deadline=None)
@given(
    dictionary=dictionaries,
    seed=st.integers(0, 10_000),
    probability=st.sampled_from([0.3, 0.7, 1.0]),
    maximum_share=st.sampled_from([0.05, 0.15, 0.5, 1.0]),
    length=st.integers(4, 20),
    spare=st.integers(1, 8),
)
def test_rows_are_those_of_the_reference(
    dictionary, seed, probability, maximum_share, length, spare
):
    random = np.random.default_rng(seed)
    vocabulary = [*dictionary, (10,), (11, 30), (12, 31), (SEP,), (SEP,)]
    needed = 4 * (length + spare)
    drawn = [vocabulary[k] for k in random.integers(len(vocabulary), size=needed)]
    skipped = int(random.integers(2))  # a row may begin inside a word
    flat = [token for ids in drawn for token in ids][skipped : skipped + needed]
    text = np.array(flat).reshape(4, length + spare)
    made = switcher(dictionary, probability, maximum_share).switch(
        text, length, generator(seed, "switch")
    )
    rows, words, switched = reference(
        dictionary, probability, maximum_share, text, length, generator(seed, "switch")
    )
    assert made.rows_BT.tolist() == rows
    assert (made.words, made.switched) == (words, switched)
    assert switched <= maximum_share * words


def long_text(rows: int, length: int, dictionary: Dictionary, seed: int = 0) -> np.ndarray:
    """Words of the dictionary and as many that it does not have, in lines of about ten."""
    random = np.random.default_rng(seed)
    vocabulary = [*dictionary, *[(10 + k,) for k in range(len(dictionary))], (SEP,)]
    lengths = np.array([len(ids) for ids in vocabulary])
    drawn = random.integers(len(vocabulary), size=rows * length)
    flat = np.concatenate([np.array(vocabulary[k]) for k in drawn[: int(rows * length / 1.2)]])
    assert lengths.mean() > 1.2
    return flat[: rows * length].reshape(rows, length)


KNOWN: Dictionary = {
    (20,): {(60,): 3.0, (61, 80): 1.0},
    (21, 30): {(62,): 1.0},
    (22, 31, 32): {(63, 81, 64): 1.0},  # two words
    (23, 33): {(65, 82, 66, 83): 1.0, (67,): 1.0},
}


@pytest.mark.slow
def test_over_a_million_words_shares_are_those_of_the_settings():
    length, rows = 255, 200
    text = long_text(rows * 40, length + spare_tokens(length), KNOWN)
    free = switcher(KNOWN, 0.3, 1.0)
    words = found = switched = 0
    heads: Counter = Counter()
    unchanged = 0
    for number, part in enumerate(np.split(text, 40)):
        made = free.switch(part, length, generator(7, "switch", number))
        words, found, switched = words + made.words, found + made.found, switched + made.switched
        # A second count, from the tokens alone: first tokens of each kind of word.
        heads.update(made.rows_BT[np.isin(made.rows_BT, [60, 61, 62, 63, 65, 67])].tolist())
        unchanged += int(np.isin(made.rows_BT, [20, 21, 22, 23]).sum())
    assert words > 1_000_000
    replaced = heads.total()
    assert replaced == switched
    # The last word of a row may be cut, so that it cannot be told from the tokens.
    assert abs(replaced + unchanged - found) < 40 * rows
    for count, of, share in (
        (switched, found, 0.3),
        (heads[60], heads[60] + heads[61], 0.75),
        (heads[65], heads[65] + heads[67], 0.5),
    ):
        assert abs(count / of - share) < 5 * np.sqrt(share * (1 - share) / of)


def test_no_batch_has_more_than_the_greatest_share_and_it_is_used_up():
    length, rows = 63, 32
    text = long_text(rows * 100, length + spare_tokens(length), KNOWN, seed=1)
    bounded = switcher(KNOWN, 0.9, 0.15)
    places = np.zeros(length)
    for number, part in enumerate(np.split(text, 100)):
        made = bounded.switch(part, length, generator(7, "switch", number))
        replaced = np.isin(made.rows_BT, [60, 61, 62, 63, 65, 67])
        assert replaced.sum() == made.switched <= 0.15 * made.words
        assert made.switched > 0.14 * made.words
        places += replaced.sum(axis=0)
    # Words late in a row are as likely to be replaced as early ones.
    early, late = places[:30].sum(), places[-30:].sum()
    assert abs(early - late) < 5 * np.sqrt(early + late)


def test_a_row_that_would_run_out_of_text_keeps_words():
    dictionary: Dictionary = {(20, 30, 30, 30, 30): {(60,): 1.0}}
    text = np.array([[20, 30, 30, 30, 30] * 6])
    made = switcher(dictionary, 1.0, 1.0).switch(text, 20, generator(1, "switch"))
    assert made.rows_BT.tolist() == [[60, 60, *[20, 30, 30, 30, 30] * 3, 20, 30, 30]]
    assert made.switched == 2


@pytest.mark.parametrize("length", [7, 15, 255])
def test_there_is_spare_text(length):
    assert 0 < spare_tokens(length) <= length
