import numpy as np
import pytest

from xling.bootstrap import bootstrap_interval, interval, interval_over_seeds
from xling.randomness import generator
from xling.transfer.spans import micro_f1


def counts_of_spans(seed, shape):
    random = np.random.default_rng(seed)
    found = random.integers(0, 3, size=shape)
    extra = random.integers(0, 2, size=(2, *shape))
    return np.stack([found, found + extra[0], found + extra[1]], axis=-1)


def test_a_ratio_of_sums_equals_plain_resampling():
    counts = counts_of_spans(0, (60, 3))
    draws = generator(4, "bootstrap", 60).integers(60, size=(150, 60))
    plain = [micro_f1(counts[rows].sum(axis=0)) for rows in draws]
    found = interval(counts, micro_f1, seed=4, resamples=150)
    np.testing.assert_allclose(found, np.quantile(plain, [0.025, 0.975]))


def test_draws_do_not_depend_on_how_many_fit_at_once(monkeypatch):
    counts = counts_of_spans(1, (40, 2))
    runs = np.stack([counts, counts[::-1]])
    whole = interval(counts, micro_f1, 0, 100), interval_over_seeds(runs, micro_f1, 0, 100)
    monkeypatch.setattr("xling.bootstrap._DRAWS_AT_ONCE", 350)
    parts = interval(counts, micro_f1, 0, 100), interval_over_seeds(runs, micro_f1, 0, 100)
    np.testing.assert_allclose(whole, parts)


def test_further_axes_share_the_draws():
    counts = counts_of_spans(2, (50, 4, 2))
    low, high = interval(counts, micro_f1, seed=1, resamples=80)
    assert low.shape == high.shape == (4,)
    np.testing.assert_allclose(interval(counts[:, 2], micro_f1, 1, 80), (low[2], high[2]))
    same = np.stack([counts[:, 0]] * 2, axis=1)
    ends = interval(same, lambda sums: micro_f1(sums)[:, 0] - micro_f1(sums)[:, 1], 1, 80)
    assert ends == (0, 0)


def test_seeds_are_drawn_too_on_the_same_sentences():
    counts = np.stack([counts_of_spans(seed, (30, 2)) for seed in range(4)])
    sentences = generator(3, "bootstrap", 30).integers(30, size=(90, 30))
    seeds = generator(3, "bootstrap seeds", 4).integers(4, size=(90, 4))
    plain = [
        np.mean([micro_f1(counts[run][rows].sum(axis=0)) for run in runs])
        for runs, rows in zip(seeds, sentences, strict=True)
    ]
    found = interval_over_seeds(counts, micro_f1, seed=3, resamples=90)
    np.testing.assert_allclose(found, np.quantile(plain, [0.025, 0.975]))


def test_one_seed_is_the_interval_over_sentences():
    counts = counts_of_spans(5, (30, 2))
    found = interval_over_seeds(counts[None], micro_f1, seed=3)
    np.testing.assert_allclose(found, interval(counts, micro_f1, seed=3))


def test_seeds_that_differ_widen_the_interval():
    hits = np.zeros((5, 400))
    for run, accuracy in enumerate([0.3, 0.4, 0.5, 0.6, 0.7]):
        hits[run, : int(400 * accuracy)] = 1
    low, high = interval_over_seeds(hits, lambda sums: sums / 400, seed=0)
    one_low, one_high = interval(hits.mean(axis=0), lambda sums: sums / 400, seed=0)
    # Sentences alone: about 0.031 either side; five seeds of variance 0.02 add 0.063².
    assert high - low > 1.5 * (one_high - one_low)
    assert (high - low) / 2 == pytest.approx(1.96 * np.hypot(0.063, 0.018), abs=0.02)


def test_interval_matches_the_binomial_and_is_reproducible():
    n, p = 1000, 0.3
    hits = (np.arange(n) < p * n).astype(float)
    low, high = bootstrap_interval(hits, seed=1)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert low == pytest.approx(p - half, abs=0.006)
    assert high == pytest.approx(p + half, abs=0.006)
    assert (low, high) == bootstrap_interval(hits, seed=1)
    assert (low, high) != bootstrap_interval(hits, seed=2)


def test_intervals_of_many_vectors_use_the_same_draws():
    hits = np.random.default_rng(0).random((3, 2, 50))
    low, high = bootstrap_interval(hits, seed=0, resamples=200)
    assert low.shape == high.shape == (3, 2)
    one_low, one_high = bootstrap_interval(hits[2, 1], seed=0, resamples=200)
    assert (low[2, 1], high[2, 1]) == (pytest.approx(one_low), pytest.approx(one_high))
    assert (low < hits.mean(axis=-1)).all()
    assert (hits.mean(axis=-1) < high).all()


def test_interval_equals_plain_resampling():
    hits = np.random.default_rng(3).random(40)
    random = generator(5, "bootstrap", 40)
    means = [hits[row].mean() for row in random.integers(40, size=(100, 40))]
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(hits, 5, resamples=100), expected)
