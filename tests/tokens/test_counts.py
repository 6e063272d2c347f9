"""Word counts against dictionaries of tuples."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.tokens import counts as module
from xling.tokens.counts import WordCounts, find_words, shared_words

UNK, SEP = 1, 3
STARTS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0], dtype=bool)
LINE = st.lists(st.sampled_from([UNK, 5, 6, 7, 8, 9]), min_size=1, max_size=8)
STREAMS = st.lists(LINE, max_size=12)


def as_ids(lines):
    return np.array([token for line in lines for token in (*line, SEP)], dtype=np.uint16)


def naive(lines):
    """Running words as tuples of ids."""
    found = []
    for line in lines:
        word = []
        for token in line:
            if STARTS[token] and word:
                found.append(tuple(word))
                word = []
            word.append(token)
        found.append(tuple(word))
    return found


@settings(max_examples=100, deadline=None)
@given(STREAMS)
def test_words_are_runs_from_one_start_to_the_next(lines):
    words = find_words(as_ids(lines), STARTS, SEP, UNK)
    expected = naive(lines)
    assert words.total == len(expected)
    known = Counter(word for word in expected if UNK not in word)
    assert sorted(words.counts.tolist()) == sorted(known.values())
    assert (np.diff(words.hashes.astype(object)) > 0).all()


@settings(max_examples=100, deadline=None)
@given(STREAMS.filter(bool), STREAMS.filter(bool), st.integers(1, 4))
def test_shared_words_are_those_in_both(first, second, pieces):
    counted = []
    for lines in (first, second):
        counts = WordCounts()
        for start in range(pieces):
            counts.add(find_words(as_ids(lines[start::pieces]), STARTS, SEP, UNK))
        counted.append(counts)
    one, two = (
        {word: count / len(naive(lines)) for word, count in Counter(naive(lines)).items()}
        for lines in (first, second)
    )
    both = {word for word in one.keys() & two.keys() if UNK not in word}
    assert shared_words(*counted) == pytest.approx(
        (
            sum(one[word] for word in both),
            sum(two[word] for word in both),
            sum(min(one[word], two[word]) for word in both),
        )
    )


def test_the_rarest_types_are_dropped_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(module, "_MOST_TYPES", 10)
    monkeypatch.setattr(module, "_SMALLEST_MERGE", 4)
    counts = WordCounts()
    for _ in range(3):
        common = np.arange(4, dtype=np.uint64)
        counts.add(module.Words(40, common, np.full(4, 10)))
    rare = np.arange(100, 120, dtype=np.uint64)
    counts.add(module.Words(20, rare, np.ones(20, dtype=np.int64)))
    hashes, kept = counts.items()
    assert hashes.tolist() == [0, 1, 2, 3, 100]
    assert kept.tolist() == [30, 30, 30, 30, 1]
    assert counts.total == 140
