import numpy as np

from xling.encoders.encoder import Encoder
from xling.encoders.sentences import shared_ids, tokenise


def test_lines_are_kept_apart_and_special_tokens_marked(bert, parallel):
    lines = parallel["aa"]
    sentences = tokenise(bert, lines)
    assert len(sentences) == len(lines)
    for i, line in enumerate(lines):
        here = slice(sentences.starts[i], sentences.starts[i + 1])
        expected = bert.tokenizer(line)["input_ids"]
        assert sentences.ids[here].tolist() == expected
        assert sentences.special[here].tolist() == [t in (0, 2, 3, 4) for t in expected]
    assert sentences.lengths.tolist() == [len(bert.tokenizer(line)["input_ids"]) for line in lines]


def test_unknown_words_are_ordinary_tokens(bert):
    sentences = tokenise(bert, ["abc Ω"])
    assert sentences.strings[bert.tokenizer.unk_token_id] == "[UNK]"
    assert not sentences.empty(np.array([], dtype=np.int64)).any()


def test_long_lines_are_cut_and_counted_and_keep_their_last_special_token(build, tokenizer):
    encoder = Encoder("aa", build("bert", len(tokenizer), 0, 8), tokenizer)
    sentences = tokenise(encoder, ["a b", "f" + " f" * 29, "c", "e" + " e" * 5, "e" + " e" * 6])
    assert sentences.truncated == 2
    assert sentences.lengths.tolist() == [4, 8, 3, 8, 8]
    assert sentences.ids[sentences.starts[1:] - 1].tolist() == [3] * 5


def test_empty_tells_lines_that_keep_no_token(bert):
    sentences = tokenise(bert, ["", "a", "a b", ""])
    nothing = np.array([], dtype=np.int64)
    assert sentences.empty(nothing).tolist() == [True, False, False, True]
    a = sentences.ids[sentences.starts[1] + 1 : sentences.starts[2] - 1]
    assert sentences.empty(a).tolist() == [True, True, False, True]


def test_anchors_are_the_tokens_both_sides_have(bert, parallel):
    a, b = tokenise(bert, parallel["aa"]), tokenise(bert, parallel["bb"])
    ids_a, ids_b = shared_ids(a, b)
    both = set(a.ids[~a.special]) & set(b.ids[~b.special])
    assert set(ids_a) == set(ids_b) == both
    assert len(both) > 10
    assert not set(a.ids[a.kept(ids_a)]) & set(b.ids[b.kept(ids_b)])


def test_anchors_of_two_vocabularies_are_matched_by_spelling(build, learn_tokenizer, parallel):
    sides, tokenizers = [], []
    for language, size in (("aa", 150), ("bb", 250)):
        tokenizers.append(learn_tokenizer(parallel[language], size))
        encoder = Encoder(language, build("bert", size), tokenizers[-1])
        sides.append(tokenise(encoder, parallel[language]))
    found = shared_ids(*sides)
    strings = [
        set(tokenizer.convert_ids_to_tokens(ids.tolist()))
        for tokenizer, ids in zip(tokenizers, found, strict=True)
    ]
    assert strings[0] == strings[1] >= {"1", "2"}
    assert set(found[0]) != set(found[1])
    left = [
        set(tokenizer.convert_ids_to_tokens(np.unique(side.ids[side.kept(ids)]).tolist()))
        for tokenizer, side, ids in zip(tokenizers, sides, found, strict=True)
    ]
    assert not left[0] & left[1]
