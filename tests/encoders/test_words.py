import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.encoders.encoder import Encoder
from xling.encoders.words import split_words, tokenise_words
from xling.errors import XlingError
from xling.vocabulary.bpe import assemble


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="aé ,.'中文ア-$1​\t", max_size=20))
def test_words_are_those_of_the_vocabularies_pre_tokeniser(line):
    pieces = assemble({}, []).pre_tokenizer.pre_tokenize_str(line)
    assert split_words(line) == [piece.removeprefix("▁") for piece, _ in pieces]


def by_offsets(encoder, words):
    """Number of the word of each token of one line, a token and a word at a time."""
    spans, place = [], 0
    for word in words:
        spans.append(range(place, place + len(word)))
        place += len(word) + 1
    encoded = encoder.tokenizer(" ".join(words), return_offsets_mapping=True)
    result = []
    for token, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        inside = [i for i, span in enumerate(spans) if end - 1 in span]
        special = token in (0, 2, 3, 4)
        result.append(-1 if special or not inside else inside[0])
    return result


def test_every_token_is_given_to_the_word_it_ends_in(bert, parallel):
    lines = [line.split() for line in parallel["aa"]]
    lines[3:3] = [[], []]
    lines.append([])
    tokens = tokenise_words(bert, lines)
    assert tokens.words == [word for line in lines for word in line]
    assert np.diff(tokens.starts).tolist() == [len(line) for line in lines]
    for i, line in enumerate(lines):
        here = slice(tokens.sentences.starts[i], tokens.sentences.starts[i + 1])
        expected = [w if w < 0 else w + tokens.starts[i] for w in by_offsets(bert, line)]
        assert tokens.word_of[here].tolist() == expected
    assert (tokens.sizes > 0).all()
    assert tokens.sizes.max() > 1


def test_words_past_the_models_limit_have_no_tokens(build, tokenizer):
    encoder = Encoder("aa", build("bert", len(tokenizer), 0, 8), tokenizer)
    tokens = tokenise_words(encoder, [["f"] * 30, ["a", "b"]])
    assert tokens.sentences.truncated == 1
    assert tokens.sizes[:30].astype(bool).tolist() == [True] * 6 + [False] * 24
    assert (tokens.sizes[30:] > 0).all()


def test_text_that_is_not_cut_is_refused(bert):
    with pytest.raises(XlingError, match="split_words"):
        tokenise_words(bert, ["a b"])
