"""Alphabets and sampling against brute force."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.selection import TextPart
from xling.vocabulary.build import Census, choose_alphabet, draw, sampling_rates, take_census

ALL = TextPart(domain="wiki")


def write(tmp_path: Path, lines: list[str]) -> dict[TextPart, Path]:
    path = tmp_path / "aa.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {ALL: path}


def counted(text: str) -> np.ndarray:
    counts = np.zeros(0x110000, dtype=np.int64)
    for character, count in Counter(text).items():
        counts[ord(character)] = count
    return counts


def test_census_counts_every_character(tmp_path):
    lines = ["ab é", "是𧢒 a", "", "  "]
    census = take_census(write(tmp_path, lines))
    assert census.lines == 2
    assert (census.characters == counted("".join(lines[:2]))).all()
    assert census.bytes == sum(len(line.encode()) for line in lines[:2])


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abcdeé是 \u3000", min_size=1), st.floats(0.01, 1.0))
def test_alphabet_is_the_shortest_list_that_covers_enough(text, coverage):
    occurring = Counter(c for c in text if not c.isspace())
    if not occurring:
        return
    kept, left_out = choose_alphabet(counted(text), coverage)
    assert sorted([*kept, *left_out]) == sorted(occurring)
    total = occurring.total()
    covered = sum(occurring[c] for c in kept)
    assert covered >= coverage * total
    assert covered - min(occurring[c] for c in kept) < coverage * total
    assert min(occurring[c] for c in kept) >= max([occurring[c] for c in left_out], default=0)


def census(lines: int, characters: int) -> Census:
    return Census(lines, counted("a") * characters)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=5),
    st.floats(0.0, 1.0),
    st.integers(10, 10_000_000),
)
def test_drawn_shares_follow_the_exponent_within_the_limit(lines, exponent, limit):
    censuses = {str(number): census(count, 50 * count) for number, count in enumerate(lines)}
    rates = sampling_rates(censuses, exponent, limit)
    drawn = np.array([rates[str(number)] * count for number, count in enumerate(lines)])
    wanted = (np.array(lines) / sum(lines)) ** exponent
    assert drawn / drawn.sum() == pytest.approx(wanted / wanted.sum())
    assert 50 * drawn.sum() <= limit * (1 + 1e-9) or max(rates.values()) == pytest.approx(1.0)
    assert 0 < max(rates.values()) <= 1.0
    assert 50 * drawn.sum() == pytest.approx(limit) or max(rates.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [1.0, 0.5, 1 / 3, 0.7, 0.001])
def test_draw_takes_evenly_spaced_lines(tmp_path, rate):
    lines = [f"line {number}" for number in range(2500)]
    drawn = [line for batch in draw(write(tmp_path, lines), rate) for line in batch]
    assert len(drawn) == int(len(lines) * rate)
    numbers = [int(line.split()[1]) for line in drawn]
    assert len(set(numbers)) == len(numbers)
    if len(numbers) > 1:
        gaps = np.diff(numbers)
        assert gaps.min() >= int(1 / rate)
        assert gaps.max() <= int(np.ceil(1 / rate))
