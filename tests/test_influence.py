"""Influence values against the bootstrap, closed forms, and what a reader may find on disk."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from xling.errors import XlingError
from xling.influence import (
    INFLUENCE,
    mean_of,
    of_mean,
    of_separate_sets,
    of_statistic,
    of_sum,
    over_draws,
    read_influence,
    write_influence,
)
from xling.results import Key


def f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])


def counts(rng: np.random.Generator, items: int = 400) -> np.ndarray:
    gold, guessed = rng.integers(1, 5, items), rng.integers(1, 5, items)
    right = rng.binomial(np.minimum(gold, guessed), 0.6)
    return np.stack([right, gold, guessed], axis=1)


def test_of_a_mean_both_forms_agree() -> None:
    hits = np.random.default_rng(0).random(50)
    table = np.stack([hits, np.ones(50)], axis=1)
    jackknife = of_statistic(table, lambda sums: sums[:, 0] / sums[:, 1])
    np.testing.assert_allclose(jackknife, of_mean(hits), atol=1e-12)


def test_f1_errs_as_the_bootstrap_says() -> None:
    rng = np.random.default_rng(1)
    table = counts(rng)
    drawn = rng.integers(len(table), size=(4000, len(table)))
    spread = f1(table[drawn].sum(axis=1)).std()
    values = of_statistic(table, f1)
    assert values.mean() == pytest.approx(0, abs=1e-12)
    assert values.std() / np.sqrt(len(table)) == pytest.approx(spread, rel=0.05)


def test_the_same_model_twice_has_a_difference_without_error() -> None:
    values = of_statistic(counts(np.random.default_rng(2)), f1)
    assert not of_sum([values, -values]).any()


@given(st.integers(2, 30), st.integers(31, 60), st.integers(0, 2**32 - 1))
def test_separate_sets_add_their_variances(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (of_mean(rng.random(size)) for size in (n, m))
    whole = of_separate_sets([one, other])
    assert len(whole) == n + m
    expected = (one @ one) / n**2 + (other @ other) / m**2
    assert (whole @ whole) / len(whole) ** 2 == pytest.approx(expected)
    np.testing.assert_array_equal(of_sum([one, other]), whole)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    values = {
        Key("retrieval", "p/x", "en+zh-Hans", "", 3, "trained", 7, "p@1"): np.array([0.5, -0.5]),
        Key("transfer-ner", "ner", "fr", condition="untrained", metric="f1"): np.array([0.25, 0.0]),
    }
    write_influence(tmp_path, values)
    found = read_influence([tmp_path, tmp_path / "no such job"])
    assert found.keys() == values.keys()
    for key, array in values.items():
        np.testing.assert_array_equal(found[key], array)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_influence(tmp_path, {Key("a", "b", "c", metric="d"): np.ones(4)})
    path = tmp_path / INFLUENCE
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(XlingError, match=r"influence\.safetensors: damaged"):
        read_influence([tmp_path])


def test_what_an_earlier_version_wrote_is_found_by_today_s_keys(tmp_path: Path) -> None:
    save_file(
        {
            '["context-ner", "ner", "fr", 2, "random:unmapped:f1"]': np.ones(2, np.float32),
            '["retrieval", "pud", "en-fr", 0, "p@1"]': np.zeros(3, np.float32),
        },
        tmp_path / INFLUENCE,
    )
    assert set(read_influence([tmp_path])) == {
        Key("context-ner", "ner", "fr", "", 2, "untrained-unmapped", None, "f1"),
        Key("retrieval", "pud", "en-fr", layer=0, metric="p@1"),
    }


def test_of_several_untrained_models_the_mean_is_kept() -> None:
    key = Key("retrieval", "pud", "en-fr", layer=0, condition="untrained", metric="p@1")
    (found,) = over_draws([{key: np.array([1.0, 0.0])}, {key: np.array([0.0, 0.0])}]).items()
    assert found[0] == key
    assert found[1].tolist() == [0.5, 0.0]
    assert over_draws([]) == {}


@pytest.mark.parametrize("name", ["retrieval", "[1, 2]", "7"])
def test_a_file_of_other_tensors_is_named(tmp_path: Path, name: str) -> None:
    save_file({name: np.ones(4)}, tmp_path / INFLUENCE)
    with pytest.raises(XlingError, match=r"influence\.safetensors: damaged .* names no score"):
        read_influence([tmp_path])


def test_a_mean_of_scores_is_moved_by_the_mean_of_what_moves_them() -> None:
    one, other = np.array([1.0, -1.0]), np.array([0.0, 0.5])
    found = mean_of([one, None, other])
    assert found is not None
    assert found.tolist() == [0.5, -0.25]
    assert mean_of([one, np.zeros(3)]) is None
    assert mean_of([None]) is None
    assert mean_of([]) is None


def test_nothing_to_keep_writes_nothing(tmp_path: Path) -> None:
    write_influence(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
