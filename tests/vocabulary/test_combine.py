"""One space of ids from several BPEs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from xling.vocabulary.bpe import BPE, SPECIAL_TOKENS, keep_apart, unite
from xling.vocabulary.build import VocabularyConfig

LEARNT = {
    "en": BPE([*SPECIAL_TOKENS, "▁", "a", "b", "▁a"], [("▁", "a")]),
    "fr": BPE([*SPECIAL_TOKENS, "▁", "b", "c", "▁c", "▁cb"], [("▁", "c"), ("▁c", "b")]),
}


def test_united_tokens_have_one_id_by_spelling():
    ids = unite(LEARNT)
    assert ids["en"] == ids["fr"]
    tokens = [*SPECIAL_TOKENS, "▁", "a", "b", "▁a", "c", "▁c", "▁cb"]
    assert ids["en"] == {token: number for number, token in enumerate(tokens)}


def test_tokens_kept_apart_share_only_the_special_ones():
    ids = keep_apart(LEARNT)
    assert all(set(own.values()) == set(range(5 + 4 + 5)) for own in ids.values())
    plain = {language: {ids[language][t] for t in bpe.tokens} for language, bpe in LEARNT.items()}
    assert plain["en"] & plain["fr"] == set(range(5))
    assert ids["en"]["▁a"] == ids["fr"]["en:▁a"] == 8
    assert [ids["fr"][token] for token in LEARNT["fr"].tokens[5:]] == list(range(9, 14))


TOKENS = st.lists(st.sampled_from([f"t{n}" for n in range(30)]), unique=True, min_size=1)


@given(tokens=st.lists(TOKENS, min_size=2, max_size=4), share=st.floats(0, 1))
def test_a_dose_of_the_tokens_in_common_is_united(tokens, share):
    learnt = {f"l{n}": BPE([*SPECIAL_TOKENS, *of], []) for n, of in enumerate(tokens)}
    ids = unite(learnt, share)
    size = len(ids["l0"])
    every = dict.fromkeys(token for of in tokens for token in of)
    assert all(sorted(own.values()) == list(range(size)) for own in ids.values())
    in_common = [token for token in every if sum(token in of for of in tokens) > 1]
    united = 0
    for token in every:
        found = {ids[name][token] for name, bpe in learnt.items() if token in bpe.tokens}
        count = sum(token in of for of in tokens)
        assert len(found) in (1, count)
        united += token in in_common and len(found) == 1
    assert united == pytest.approx(share * len(in_common), abs=1)
    assert size == 5 + sum(map(len, tokens)) - sum(
        sum(token in of for of in tokens) - 1
        for token in in_common
        if len({ids[name][token] for name, bpe in learnt.items() if token in bpe.tokens}) == 1
    )
    for own in ids.values():
        assert [own[token] for token in SPECIAL_TOKENS] == list(range(5))


def test_none_and_all_of_the_tokens_in_common():
    assert unite(LEARNT, 1) == unite(LEARNT)
    none = unite(LEARNT, 0)
    plain = {language: {none[language][t] for t in bpe.tokens} for language, bpe in LEARNT.items()}
    assert plain["en"] & plain["fr"] == set(range(5))


def test_the_dose_is_spread_over_commonest_and_rarest():
    learnt = {k: BPE([*SPECIAL_TOKENS, *(f"t{n:03d}" for n in range(100))], []) for k in "ab"}
    ids = unite(learnt, 0.05)
    united = [t for t, number in ids["a"].items() if ids["b"].get(t) == number][5:]
    assert united == ["t019", "t039", "t059", "t079", "t099"]


def test_only_a_union_has_a_dose():
    with pytest.raises(
        ValidationError, match=r"merged \(0.5\) needs kind: union \(found disjoint\)"
    ):
        VocabularyConfig(kind="disjoint", merged=0.5)
    assert "merged" not in VocabularyConfig(kind="union").model_dump()
    assert VocabularyConfig(kind="union", merged=0.5).model_dump()["merged"] == 0.5
