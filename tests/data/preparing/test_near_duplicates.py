"""Repeats of earlier lines, exact and near, against pairwise comparison."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xling.data.preparing.duplicates import SHINGLE, SeenKeys, band_keys
from xling.data.preparing.tokens import LineWords


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 7))
def test_a_line_repeats_if_an_earlier_one_has_its_key(numbers, batch):
    keys = np.array(numbers, dtype=np.uint64)
    seen = SeenKeys()
    found = np.concatenate(
        [seen.repeats(keys[start : start + batch]) for start in range(0, len(keys), batch)]
    )
    assert found.tolist() == [key in numbers[:place] for place, key in enumerate(numbers)]


def repeats(lines: list[str]) -> np.ndarray:
    """Return which lines share a band with an earlier one."""
    return np.any([SeenKeys().repeats(keys) for keys in band_keys(LineWords.of(lines)).T], axis=0)


def changed(line: str, words: int, random: np.random.Generator) -> str:
    """Replace some words by ones that occur nowhere else."""
    found = line.split()
    for place in random.choice(len(found), words, replace=False):
        found[place] = f"new{random.integers(1 << 40)}"
    return " ".join(found)


def jaccard(one: str, other: str) -> float:
    first, second = (
        {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
        for words in (one.split(), other.split())
    )
    return len(first & second) / len(first | second)


def test_recall_and_precision_of_planted_near_duplicates(made):
    random = np.random.default_rng(0)
    lines = [line.lower().rstrip(".") for line in made("en", 600, seed=3, words=60)]
    near = [changed(line, 1, random) for line in lines[:300]]
    far = [changed(line, 12, random) for line in lines[300:]]
    found = repeats([*lines, *near, *far])[len(lines) :]
    similar = [jaccard(*pair) for pair in zip(lines, [*near, *far], strict=True)]
    planted = np.array(similar) >= 0.72
    recall = (found & planted).sum() / planted.sum()
    precision = (found & planted).sum() / found.sum()
    print(f"near duplicates: recall {recall:.3f}, precision {precision:.3f}")
    assert recall > 0.95
    assert precision > 0.95


@pytest.mark.parametrize("similarity", [0.5, 0.72, 0.9])
def test_pairs_are_found_as_often_as_the_formula_says(similarity):
    """Two lines share a band with probability 1 - (1 - s ** 8) ** 14."""
    random = np.random.default_rng(1)
    both = 200
    own = round(both * (1 - similarity) / (2 * similarity))
    hits, pairs = 0, 300
    for _ in range(pairs):
        words = [f"w{random.integers(1 << 50)}" for _ in range(both + SHINGLE - 1)]
        one, other = (
            " ".join([*words, *(f"v{random.integers(1 << 50)}" for _ in range(own))])
            for _ in range(2)
        )
        hits += repeats([one, other])[1]
        similarity = jaccard(one, other)
    expected = 1 - (1 - similarity**8) ** 14
    assert hits / pairs == pytest.approx(expected, abs=4 * np.sqrt(0.25 / pairs))


def test_lines_shorter_than_a_shingle_repeat_only_the_same():
    lines = ["one two", "two one", "One, two!", "one two three", ""]
    found = repeats(lines)
    assert found.tolist() == [False, False, True, False, False]


def test_keys_of_a_line_do_not_depend_on_its_neighbours(made):
    lines = made("en", 20, words=30)
    together = band_keys(LineWords.of(lines))
    alone = np.concatenate([band_keys(LineWords.of([line])) for line in lines])
    np.testing.assert_array_equal(together, alone)
