"""Exact numbers of predictions, and what the model sees there."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xling.pretraining.batches import BatchMaker, mask_rows, next_tokens
from xling.randomness import generator
from xling.vocabulary.vocabulary import SpecialIds

SPECIAL = np.arange(5)
MASK = 4


def test_shares_over_a_million_tokens():
    rows = np.random.default_rng(0).integers(0, 2000, (8000, 128))
    rows[:, 0] = 2
    replacements = np.arange(5, 2000)
    masked = mask_rows(rows, generator(1, "mask"), 0.15, MASK, SPECIAL, replacements)
    before, seen = rows.ravel()[masked.positions_P], masked.ids_BT.ravel()[masked.positions_P]
    count = len(masked.positions_P)
    assert count == round(0.15 * (rows >= 5).sum())
    assert np.array_equal(before, masked.labels_P)
    # Five standard deviations of a binomial; a random token is the true one once in 1995
    for found, share in (
        ((seen == MASK).mean(), 0.8),
        ((seen == before).mean(), 0.1 + 0.1 / 1995),
        (((seen != MASK) & (seen != before)).mean(), 0.1 * 1994 / 1995),
    ):
        assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / count)
    random = seen[(seen != MASK) & (seen != before)]
    assert abs(random.mean() - replacements.mean()) < 5 * 576 / np.sqrt(len(random))
    # Every ordinary position is as likely as any other: columns of the rows alike
    columns = np.bincount(masked.positions_P % 128, minlength=128)
    assert columns[0] == 0
    assert (abs(columns[1:] - count / 127) < 6 * np.sqrt(count / 127)).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=arrays(
        np.int64, st.tuples(st.integers(1, 6), st.integers(2, 20)), elements=st.integers(0, 30)
    ),
    share=st.sampled_from([0.05, 0.15, 0.5, 0.99]),
    replacements=st.lists(st.integers(5, 30), min_size=1, max_size=4),
    seed=st.integers(0, 100),
)
def test_only_ordinary_tokens_are_predicted_or_drawn(rows, share, replacements, seed):
    original = rows.copy()
    masked = mask_rows(rows, generator(seed, "mask"), share, MASK, SPECIAL, np.array(replacements))
    assert np.array_equal(rows, original)
    positions = masked.positions_P
    assert len(positions) == round(share * (rows >= 5).sum())
    assert (np.diff(positions) > 0).all()
    assert (masked.labels_P >= 5).all()
    assert np.array_equal(masked.labels_P, rows.ravel()[positions])
    seen, elsewhere = masked.ids_BT.ravel()[positions], np.ones(rows.size, dtype=bool)
    elsewhere[positions] = False
    assert np.array_equal(masked.ids_BT.ravel()[elsewhere], rows.ravel()[elsewhere])
    allowed = (seen == MASK) | (seen == masked.labels_P) | np.isin(seen, replacements)
    assert allowed.all()


def test_the_draws_decide_everything():
    rows = np.random.default_rng(0).integers(5, 90, (4, 32))

    def positions(step):
        draws = generator(1, "mask", step)
        return mask_rows(rows, draws, 0.15, MASK, SPECIAL, np.arange(5, 90)).positions_P.tolist()

    assert positions(1) == positions(1) != positions(2)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(2, 9)), elements=st.integers(0, 9))
)
def test_every_token_but_the_last_predicts_the_next(rows):
    found = next_tokens(rows, pad_id=0)
    assert found.ids_BT is rows  # nothing is masked
    expected = [
        (row * rows.shape[1] + column, rows[row, column + 1])
        for row in range(rows.shape[0])
        for column in range(rows.shape[1] - 1)
        if rows[row, column + 1] != 0
    ]
    assert list(zip(found.positions_P, found.labels_P, strict=True)) == expected


def test_a_decoder_predicts_a_language_s_own_special_tokens(maker):
    """Rows and labels hold the language's own ids of [SEP] and [CLS], and no others."""
    shared = maker(objective="clm")
    own = SpecialIds(*range(120, 125))
    texts = {key: replace(text, special=own) for key, text in shared.texts.items()}
    changed = BatchMaker(texts, shared.config, shared.special)
    one, other = shared.batch(0).masked, changed.batch(0).masked
    assert np.array_equal(one.positions_P, other.positions_P)
    for before, after in ((one.ids_BT, other.ids_BT), (one.labels_P, other.labels_P)):
        special = before < 5
        assert special.any()
        assert np.array_equal(after[special], before[special] + 120)
        assert np.array_equal(after[~special], before[~special])
    assert (other.ids_BT[:, 0] == own.cls).all()
