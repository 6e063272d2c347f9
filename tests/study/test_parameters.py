"""Counts of parameters against arithmetic by hand, and the table of the documentation."""

from pathlib import Path

import pytest

from xling.study.config import StudyConfig
from xling.study.costs import as_table, count_parameters, paper_study
from xling.study.presets import presets

ROOT = Path(__file__).parents[2]
D, F, V, POSITIONS = 768, 3072, 80_000, 256
ATTENTION = 4 * (D * D + D) + 2 * D
FEED_FORWARD = D * F + F + F * D + D + 2 * D
LAYER = ATTENTION + FEED_FORWARD
HEAD = D * D + D + 2 * D
BESIDE_TOKENS = POSITIONS * D + D + 2 * D  # positions, the one token type, the norm


def rows(count: int) -> int:
    """Embeddings and output biases of so many tokens."""
    return count * D + count


@pytest.fixture(scope="module")
def counts():
    return {row.variant: row for row in count_parameters(paper_study())}


@pytest.mark.parametrize(
    ("variant", "shared", "private"),
    [
        ("default", rows(V) + BESIDE_TOKENS + 8 * LAYER + HEAD, 0),
        ("no-anchors", rows(V - 5) + BESIDE_TOKENS + 8 * LAYER + HEAD, 0),
        # A second set of special tokens in the one table
        ("sep-specials", rows(V - 5 + 5) + BESIDE_TOKENS + 8 * LAYER + HEAD, 0),
        ("sep-emb", 8 * LAYER + HEAD, rows(V // 2) + BESIDE_TOKENS),
        ("sep-L1-3", rows(V - 5) + BESIDE_TOKENS + 5 * LAYER + HEAD, 3 * LAYER),
        ("sep-emb-L1-6", 2 * LAYER + HEAD, rows(V // 2) + BESIDE_TOKENS + 6 * LAYER),
        ("monolingual", 0, rows(V // 2) + BESIDE_TOKENS + 8 * LAYER + HEAD),
        ("sep-attention", rows(V - 5) + BESIDE_TOKENS + 8 * FEED_FORWARD + HEAD, 8 * ATTENTION),
        ("language-embedding", rows(V) + BESIDE_TOKENS - D + 8 * LAYER + HEAD, D),
    ],
)
def test_counts_by_hand(counts, variant, shared, private):
    row = counts[variant]
    assert (row.shared, row.private) == (shared, private)
    assert row.total == shared + 2 * private
    assert row.member == shared + private
    assert row.at_most == (variant in ("sep-L1-3", "sep-attention"))


def test_every_preset_is_counted_and_in_the_documentation(counts):
    assert list(counts) == list(presets())
    text = (ROOT / "docs" / "factors.md").read_text()
    assert as_table(iter(counts.values())) in text
    for name in presets():
        assert text.count(f"| `{name}` |") == 2, name


def test_a_study_of_one_s_own(study_file):
    study = StudyConfig.load(study_file(pairs=["en-fr-de"], variants=["default", "sep-emb"]))
    default, separate = count_parameters(study)
    # Three languages: the rows of a third of the budget each.
    assert separate.total == separate.shared + 3 * separate.private
    assert default.total - separate.member == (120 - 40) * (16 + 1)
