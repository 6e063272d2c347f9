"""One space of ids from several BPEs."""

from xling.vocabulary.bpe import BPE, SPECIAL_TOKENS, keep_apart, unite

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
