import warnings

import numpy as np
import pytest

from xling.errors import XlingError
from xling.measures import Procrustes, iterative_normalize
from xling.measures.self_learning import SelfLearning


def two_languages(seed, size=250, width=12, noise=0.2):
    """Clustered vectors and their rotated, noisy, shuffled copy; the row of each translation."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, width)) * np.linspace(2, 0.5, width)
    X = centres[random.integers(20, size=size)]
    X = X + random.normal(size=X.shape) * np.linspace(1, 0.3, width)
    rotation = np.linalg.qr(random.normal(size=(width, width)))[0]
    order = random.permutation(size)
    Y = (X @ rotation + noise * random.normal(size=X.shape))[order]
    return iterative_normalize(X), iterative_normalize(Y), np.argsort(order)


def accuracy(found, partner):
    return np.mean(partner[found.pairs_[:, 0]] == found.pairs_[:, 1])


@pytest.mark.parametrize("seeded", [False, True])
def test_a_planted_rotation_is_found_from_few_seeds_and_from_none(seeded, tmp_path):
    X, Y, partner = two_languages(0)
    seeds = np.column_stack([np.arange(6), partner[:6]]) if seeded else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = SelfLearning().fit(X, Y, seeds)
    assert accuracy(found, partner) > 0.95
    # How near both searches come to each other depends on the last bits of matrix products.
    assert found.agreement_ > 0.5
    gold = Procrustes().fit(X, Y[partner]).matrix_
    assert np.linalg.norm(found.matrix_ - gold) < 0.2 * np.linalg.norm(gold)
    np.testing.assert_allclose(found.matrix_ @ found.matrix_.T, np.eye(12), atol=1e-6)
    found.save(tmp_path / "map.safetensors")
    loaded = SelfLearning.load(tmp_path / "map.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), found.transform(X))
    if seeded:
        # Six pairs alone do not determine twelve dimensions.
        alone = Procrustes(underdetermined=True).fit(X[:6], Y[partner[:6]]).matrix_
        assert np.linalg.norm(alone - gold) > 2 * np.linalg.norm(found.matrix_ - gold)


def test_spaces_that_have_nothing_in_common_are_said_to_fail():
    X, _, _ = two_languages(1)
    Y, _, _ = two_languages(2)
    with pytest.warns(RuntimeWarning, match="found no map to trust"):
        found = SelfLearning().fit(X, Y)
    assert found.agreement_ < 0.4


def test_widths_may_differ_with_seeds_only():
    X, Y, partner = two_languages(3)
    wide = np.hstack([Y, np.zeros((len(Y), 3))])
    found = SelfLearning().fit(X, wide, np.column_stack([np.arange(30), partner[:30]]))
    assert accuracy(found, partner) > 0.9
    with pytest.raises(XlingError, match="asks for equal widths"):
        SelfLearning().fit(X, wide)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (np.empty((0, 2), dtype=int), "at least one pair"),
        ([[0, 250]], r"seeds pair 0 is \[0, 250\]: X has 250 rows and Y has 250"),
        ([[0.0, 1.5]], "float64: expected row numbers"),
        ([0, 1], r"shape \(2,\)"),
    ],
)
def test_bad_seeds_are_refused(seeds, message):
    X, Y, _ = two_languages(0)
    with pytest.raises(XlingError, match=message):
        SelfLearning().fit(X, Y, seeds)
