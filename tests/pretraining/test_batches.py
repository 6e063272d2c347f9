"""Batches that depend on seed and step only, and cover the text once an epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.pretraining.batches import language_shares

CPU = torch.device("cpu")


def same(one, other):
    return one.language == other.language and all(
        np.array_equal(getattr(one.masked, field), getattr(other.masked, field))
        for field in ("ids_BT", "positions_P", "labels_P")
    )


def original(batch):
    """Undo the masking."""
    rows = batch.masked.ids_BT.copy()
    rows.reshape(-1)[batch.masked.positions_P] = batch.masked.labels_P
    return rows


def test_a_batch_is_a_function_of_seed_and_step(maker):
    first, again, other = maker(), maker(), maker(seed=4)
    in_order = list(first.batches(0, 12))
    assert len(in_order) == 12
    for step in (7, 0, 11, 3):  # whatever was made before
        assert same(again.batch(step), in_order[step])
        assert same(next(again.batches(step, step + 1)), in_order[step])
        assert not same(other.batch(step), in_order[step])
    assert list(first.batches(5, 5)) == []


def test_a_longer_run_begins_as_the_shorter_one(maker):
    short, long = maker(steps=12), maker(steps=500)
    assert all(same(short.batch(k), long.batch(k)) for k in range(12))


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_and_accumulation_split_the_same_batch(maker, processes, accumulation):
    for step in range(3):
        batch = maker().batch(step)
        rows, positions, labels = [], [], []
        for rank in range(processes):
            for micro in batch.micro_batches(rank, processes, accumulation, CPU):
                assert len(micro.ids_BT) == 8 // processes // accumulation
                before = sum(len(part) for part in rows) * 16
                rows.append(micro.ids_BT.numpy())
                positions.append(micro.positions_P.numpy() + before)
                labels.append(micro.labels_P.numpy())
        assert np.array_equal(np.concatenate(rows), batch.masked.ids_BT)
        assert np.array_equal(np.concatenate(positions), batch.masked.positions_P)
        assert np.array_equal(np.concatenate(labels), batch.masked.labels_P)
        assert batch.predicted == len(batch.masked.labels_P) > 0


def test_every_window_is_seen_once_an_epoch(maker, corpus):
    make = maker("bb", rows=8, steps=1000)
    stream, body = corpus.text("bb").stream, 15
    windows = stream.windows(body)
    assert windows > 20
    rows = np.concatenate([original(make.batch(k)) for k in range(3 * windows // 8 + 1)])
    assert (rows[:, 0] == 2).all()
    orders = []
    for epoch in range(3):
        seen = rows[epoch * windows : (epoch + 1) * windows, 1:]
        candidates = [stream.rows(np.arange(windows), body, offset) for offset in range(body)]
        matching = [c for c in candidates if sorted(map(tuple, c)) == sorted(map(tuple, seen))]
        assert len(matching) == 1
        places = {tuple(row): number for number, row in enumerate(matching[0])}
        orders.append(tuple(places[tuple(row)] for row in seen))
    assert len({tuple(range(windows)), *orders}) == 4


def test_rows_can_begin_with_a_line(maker, corpus):
    make = maker("bb", rows=8, steps=50, start="line")
    stream = corpus.text("bb").stream
    text = stream.rows(np.arange(stream.windows(1)), 1).ravel().tolist()
    heads = {tuple(text[k + 1 : k + 16]) for k, token in enumerate(text) if token == 3}
    anywhere = {tuple(text[k : k + 15]) for k in range(len(text))}
    rows = np.concatenate([original(make.batch(k)) for k in range(50)])
    assert (rows[:, 0] == 2).all()
    bodies = {tuple(row) for row in rows[:, 1:].tolist()}
    assert len(bodies) > 20
    assert bodies <= anywhere
    # Only inside a line longer than a row is there no head to begin with.
    assert all(body in heads or 3 not in body for body in bodies)
    assert any(body in heads for body in bodies)


def test_languages_are_drawn_by_their_share_of_lines(maker, corpus):
    make = maker(steps=20_000, exponent=0.7)
    lines = {k: corpus.text(k).stream.lines for k in ("aa", "bb")}
    weights = {k: (v / sum(lines.values())) ** 0.7 for k, v in lines.items()}
    share = weights["aa"] / sum(weights.values())
    drawn = np.mean([make.language(k) == "aa" for k in range(20_000)])
    assert abs(drawn - share) < 5 * np.sqrt(share * (1 - share) / 20_000)
    assert make.shares["aa"] == pytest.approx(share)


@given(
    lines=st.lists(st.integers(1, 10**9), min_size=1, max_size=5),
    exponent=st.floats(0, 1),
)
def test_shares_follow_the_formula(lines, exponent):
    named = {str(k): v for k, v in enumerate(lines)}
    shares = list(language_shares(named, exponent).values())
    assert sum(shares) == pytest.approx(1.0)
    for share, count in zip(shares, lines, strict=True):
        assert share / shares[0] == pytest.approx((count / lines[0]) ** exponent)


def test_replacements_are_those_of_the_language(maker, corpus):
    make = maker(steps=200, predicted_share=0.5)
    for step in range(100):
        batch = make.batch(step)
        own = corpus.text(batch.language).replacements
        seen = batch.masked.ids_BT.ravel()[batch.masked.positions_P]
        assert np.isin(seen[seen != 4], own).all()


@pytest.mark.parametrize("start", ["anywhere", "line"])
def test_switched_rows_are_those_of_the_text_with_words_of_the_other_language(maker, corpus, start):
    make = maker(steps=60, start=start, code_switching={"probability": 1.0})
    own = {k: corpus.text(k).replacements for k in ("aa", "bb")}
    foreign = total = 0
    for step in range(60):
        batch = make.batch(step)
        rows = original(batch)
        assert rows.shape == (8, 16)
        assert (rows[:, 0] == 2).all()
        known = np.isin(rows, own[batch.language]) | (rows == 2) | (rows == 3)
        foreign += int((~known).sum())
        total += rows.size
        assert np.isin(rows[~known], own["bb" if batch.language == "aa" else "aa"]).all()
    assert 0.05 * total < foreign < 0.3 * total
    assert same(maker(steps=90, start=start, code_switching={"probability": 1.0}).batch(59), batch)
    fewer = maker(steps=60, start=start, code_switching={"maximum_share": 0.05})
    assert not same(fewer.batch(59), batch)


def test_too_little_text_for_one_row_is_said(maker):
    with pytest.raises(XlingError, match=r"aa: \d+ training tokens do not fill one row of 99999"):
        maker(length=99_999)
