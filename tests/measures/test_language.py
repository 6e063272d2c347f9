from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from xling.errors import XlingError
from xling.measures import (
    language_identity,
    language_subspace,
    pooled_hits,
    precision_at_1,
    remove_subspace,
)


def languages(seed=0, count=4, lines=100, width=20, offset=3.0, noise=0.3):
    """The same meanings with an offset for each language, and the offsets."""
    random = np.random.default_rng(seed)
    meaning = random.normal(size=(lines, width))
    offsets = offset * random.normal(size=(count, width))
    noisy = [meaning + o + noise * random.normal(size=meaning.shape) for o in offsets]
    return noisy, offsets


def test_a_planted_offset_per_language_is_removed():
    vectors, _ = languages()
    basis = language_subspace(vectors, rank=3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
    left = [remove_subspace(side, basis) for side in vectors]
    means = np.stack([side.mean(axis=0) for side in left])
    np.testing.assert_allclose(means, np.broadcast_to(means[:1], means.shape), atol=1e-9)
    assert pooled_hits(vectors).mean() < 0.05 < 0.9 < pooled_hits(left).mean()
    assert language_identity(vectors).mean() == 1
    assert language_identity(left).mean() < 0.4
    single = language_subspace([side.astype(np.float32) for side in vectors], 3)
    np.testing.assert_allclose(single @ single.T, basis @ basis.T, atol=1e-5)


def test_a_smaller_rank_removes_the_strongest_directions_only():
    vectors, _ = languages()
    spread = []
    for rank in range(4):
        left = [remove_subspace(side, language_subspace(vectors, rank)) for side in vectors]
        means = np.stack([side.mean(axis=0) for side in left])
        spread.append(np.square(means - means.mean(axis=0)).sum())
    assert all(a > b for a, b in pairwise(spread))
    assert spread[3] < 1e-12 * spread[0]


def test_what_languages_share_is_orthogonal_to_the_subspace():
    """The two conditions that define the decomposition of Piratla et al. (2020)."""
    vectors, _ = languages(1, count=3)
    basis = language_subspace(vectors, 2)
    means = np.stack([side.mean(axis=0) for side in vectors], axis=1)
    shared = remove_subspace(means.T, basis)
    np.testing.assert_allclose(shared, np.broadcast_to(shared[:1], shared.shape), atol=1e-9)
    np.testing.assert_allclose(basis.T @ shared.T, 0, atol=1e-9)


def test_languages_without_a_difference_have_no_subspace():
    X = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    assert language_subspace([X, X.copy(), X], 2).shape == (5, 0)
    np.testing.assert_array_equal(remove_subspace(X, language_subspace([X, X], 1)), X)
    constant = np.ones((30, 5))
    left = remove_subspace(constant, language_subspace([constant, constant], 1))
    assert precision_at_1(left, left).mean == pytest.approx(1 / 30)


@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_means_around_the_origin_are_removed_too(centre):
    X = np.random.default_rng(0).normal(size=(50, 6))
    X -= X.mean(axis=0)
    step = np.array([5.0, 0, 0, 0, 0, 0])
    basis = language_subspace([X + step + centre, X - step + centre], 1)
    left = remove_subspace(X + step + centre, basis), remove_subspace(X - step + centre, basis)
    np.testing.assert_allclose(*left, atol=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_identity_equals_ridge_classification_of_scikit_learn(shift):
    vectors, _ = languages(2, count=3, lines=41, width=6, offset=0.6, noise=1.0)
    vectors = [side + shift for side in vectors]
    found = language_identity(vectors, folds=4)
    expected = np.zeros((3, 41))
    lines, labels = np.tile(np.arange(41), 3), np.repeat(np.arange(3), 41)
    X = np.vstack(vectors)
    for fold in range(4):
        train = lines % 4 != fold
        variance = X[train].var(axis=0).mean()
        model = RidgeClassifier(alpha=1e-3 * variance * train.sum())
        model.fit(X[train], labels[train])
        right = model.predict(X[~train]) == labels[~train]
        expected[labels[~train], lines[~train]] = right
    np.testing.assert_array_equal(found, expected)
    assert 0.4 < found.mean() < 0.95


def test_languages_that_cannot_be_told_apart_score_chance():
    constant = np.tile(np.random.default_rng(0).normal(size=7), (20, 1)).astype(np.float32)
    np.testing.assert_allclose(language_identity([constant] * 3), 1 / 3)
    X = np.random.default_rng(1).normal(size=(20, 7))
    np.testing.assert_allclose(language_identity([X, X]), 1 / 2)
    assert language_identity([constant, constant + 1]).mean() == 1
    noise = np.random.default_rng(2).normal(size=(4, 300, 5))
    assert abs(language_identity(noise).mean() - 0.25) < 0.06


def test_no_line_is_known_from_its_translations():
    """Every line has a direction of its own and a language of its own: nothing can be learnt."""
    X = np.eye(40)
    Y = X * -1
    assert language_identity([X, Y]).mean() < 0.6


def test_bad_input_is_refused():
    X = np.eye(4)
    with pytest.raises(XlingError, match="rank 2: expected 0 to 1, since 2 languages"):
        language_subspace([X, X], 2)
    with pytest.raises(XlingError, match="at least two languages, in one space"):
        language_subspace([X], 0)
    with pytest.raises(XlingError, match="at least two languages, in one space"):
        language_identity([X, X[:, :3]])
    with pytest.raises(XlingError, match=r"\[3, 4\] lines and 2 folds: expected the same lines"):
        language_identity([X, X[:3]], 2)
    with pytest.raises(XlingError, match=r"\[4\] lines and 5 folds"):
        language_identity([X, X])
    with pytest.raises(XlingError, match="width 4 and the subspace 3"):
        remove_subspace(X, np.eye(3)[:, :1])
