"""Anchors and their kinds against a direct count."""

import numpy as np
import pytest

from xling.vocabulary.anchors import (
    KINDS,
    Cognates,
    TokenUse,
    anchor_kind,
    breaks,
    find_anchors,
    is_punctuation,
)
from xling.vocabulary.bpe import SEP, SPECIAL_TOKENS, starts_word

TOKENS = [
    *SPECIAL_TOKENS,
    "▁,",
    "▁12",
    "▁a",
    "▁the",
    "he",
    "▁le",
    "▁Paris",
    "▁main",
    "▁table",
    "▁xyz",
]
COMMA, TWELVE, A, THE, HE, LE, PARIS, MAIN, TABLE, XYZ = range(5, len(TOKENS))
STARTS = np.array([starts_word(token) for token in TOKENS])
DICTIONARY = Cognates(
    same=frozenset({"table", "paris"}), known=frozenset({"table", "paris", "main", "the", "hand"})
)


def use(*lines: list[int]) -> TokenUse:
    ids = np.array([number for line in lines for number in [*line, SEP]])
    return TokenUse.of(ids, STARTS, breaks(TOKENS), SEP)


def counted(counts: list[int]) -> TokenUse:
    return TokenUse(*(np.array(counts),) * 3)


def test_anchors_are_what_occurs_in_both_corpora():
    first = counted([0, 7, 0, 50, 0, 10, 5, 1, 77, 0, 0, 0, 0, 0, 0])
    second = counted([0, 9, 0, 60, 0, 20, 1, 0, 1, 9, 60, 0, 0, 0, 0])
    anchors = find_anchors(first, second, TOKENS, DICTIONARY)
    assert anchors.ids.tolist() == [5, 6, 8]
    assert anchors.kind_of == ["punctuation", "digits", "homographs"]
    assert anchors.all.tokens == 3
    assert anchors.all.first == pytest.approx(92 / 100)
    assert anchors.all.second == pytest.approx(22 / 100)
    assert anchors.all.overlap == pytest.approx(0.10 + 0.01 + 0.01)
    assert anchors.kinds["punctuation"].tokens == 1
    assert anchors.kinds["digits"].second == pytest.approx(0.01)
    assert anchors.kinds["homographs"].first == pytest.approx(0.77)
    assert anchors.kinds["pieces"].tokens == 0
    for column in range(4):
        total = sum(share[column] for share in anchors.kinds.values())
        assert total == pytest.approx(anchors.all[column])
    assert tuple(anchors.kinds) == KINDS


def test_corpora_without_a_common_token_have_none():
    first, second = counted([0, 3, 0, 1, 0, 5]), counted([0, 3, 0, 1, 0, 0])
    assert find_anchors(first, second, TOKENS, None).all == (0, 0.0, 0.0, 0.0)


def test_use_against_a_count_by_hand():
    found = use([PARIS, A, HE, COMMA, PARIS, LE], [LE, PARIS, PARIS], [A])
    assert found.counts[[PARIS, A, HE, COMMA, LE, SEP]].tolist() == [4, 2, 1, 1, 2, 3]
    # "▁a he" is one word of two tokens; the other "▁a" is a word.
    assert found.whole[[PARIS, A, HE, COMMA, LE, SEP]].tolist() == [4, 1, 0, 1, 2, 0]
    # Paris at the head of a line, after a comma, after a word, after a word.
    assert found.inside[[PARIS, A, LE]].tolist() == [2, 0, 1]


def test_use_does_not_depend_on_how_text_is_cut_into_chunks():
    lines = [[PARIS, A, HE], [LE, PARIS], [A, COMMA, MAIN]]
    whole, parts = use(*lines), use(lines[0]) + use(lines[1]) + use(lines[2])
    for name in ("counts", "whole", "inside"):
        assert (getattr(whole, name) == getattr(parts, name)).all()


@pytest.mark.parametrize(
    ("number", "line", "kind"),
    [
        (COMMA, [A, COMMA], "punctuation"),
        (TWELVE, [A, TWELVE], "digits"),
        (HE, [A, HE], "pieces"),
        (A, [A, HE, A, HE, A], "pieces"),
        (PARIS, [LE, PARIS], "names"),
        (PARIS, [PARIS, LE], "cognates"),  # a capital at the head of a line says nothing
        (MAIN, [LE, MAIN], "homographs"),
        (TABLE, [LE, TABLE], "cognates"),
        (XYZ, [LE, XYZ], "unlisted"),
    ],
)
def test_kinds(number, line, kind):
    uses = (use(line), use(line))
    assert anchor_kind(TOKENS[number], number, uses, DICTIONARY) == kind
    undecided = kind in ("cognates", "homographs")
    assert anchor_kind(TOKENS[number], number, uses, None) == ("unlisted" if undecided else kind)


def test_a_name_is_one_in_both_corpora():
    uses = (use([LE, PARIS]), use([PARIS]))
    assert anchor_kind("▁Paris", PARIS, uses, None) == "unlisted"


def test_a_dictionary_is_read_in_both_directions(tmp_path):
    from xling.data.layout import DataFolder

    folder = tmp_path / "dictionaries"
    folder.mkdir()
    (tmp_path / "data.yaml").write_text("languages: [en, fr]\n")
    data = DataFolder(tmp_path)
    assert Cognates.read(data, "en", "fr") is None
    (folder / "en-fr.train.tsv").write_text("Table\ttable\nhand\tmain\n")
    (folder / "fr-en.test.tsv").write_text("taxi\ttaxi\n")
    found = Cognates.read(data, "en", "fr")
    assert found.same == {"table", "taxi"}
    assert found.known == {"table", "taxi", "hand", "main"}
    assert Cognates.read(data, "fr", "en") == found


@pytest.mark.parametrize(
    ("token", "expected"),
    [("▁,", True), ("▁+", True), ("。", True), ("▁", False), ("½", False), ("▁a", False)],
)
def test_punctuation(token, expected):
    assert is_punctuation(token) == expected
