"""Anchors against a direct count."""

import numpy as np
import pytest

from xling.vocabulary.anchors import find_anchors, token_kind
from xling.vocabulary.special import SPECIAL_TOKENS

TOKENS = [*SPECIAL_TOKENS, "▁,", "▁12", "▁a", "▁the", "he", "▁le"]


def test_anchors_are_what_occurs_in_both_corpora():
    first = np.array([0, 7, 0, 50, 0, 10, 5, 1, 77, 0, 0])
    second = np.array([0, 9, 0, 60, 0, 20, 1, 0, 1, 9, 60])
    anchors = find_anchors(first, second, TOKENS)
    assert anchors.ids.tolist() == [5, 6, 8]
    assert anchors.all.tokens == 3
    assert anchors.all.first == pytest.approx(92 / 100)
    assert anchors.all.second == pytest.approx(22 / 100)
    assert anchors.all.overlap == pytest.approx(0.10 + 0.01 + 0.01)
    assert anchors.kinds["punctuation"].tokens == 1
    assert anchors.kinds["digits"].second == pytest.approx(0.01)
    assert anchors.kinds["letters"].tokens == 0
    assert anchors.kinds["pieces"].first == pytest.approx(0.77)


def test_corpora_without_a_common_token_have_none():
    anchors = find_anchors(np.array([0, 3, 0, 1, 0, 5]), np.array([0, 3, 0, 1, 0, 0]), TOKENS)
    assert anchors.all == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("▁,", "punctuation"),
        ("▁+", "punctuation"),
        ("。", "punctuation"),
        ("▁2012", "digits"),
        ("½", "digits"),
        ("▁a", "letters"),
        ("▁", "letters"),
        ("是", "letters"),
        ("▁the", "pieces"),
        ("b2", "pieces"),
    ],
)
def test_kinds(token, kind):
    assert token_kind(token) == kind
