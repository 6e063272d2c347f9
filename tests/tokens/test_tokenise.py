"""The encoder against the tokenizer it speeds up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.tokens import tokenise as module
from xling.tokens.tokenise import Encoder, id_dtype

SPACES = " \t\u00a0\u3000\x1c\x85\u2028\r"
LINES = st.lists(st.text(alphabet="abcdé12,([]SEPtaxi办公是▁☃" + SPACES, max_size=30), max_size=8)


def expected(vocabulary, language, lines):
    tokenizer = vocabulary.tokenizer(language)
    ids = []
    for line in lines:
        ids += tokenizer.encode(line, add_special_tokens=False).ids
        ids.append(vocabulary.special_ids.sep)
    return ids


@pytest.fixture(scope="module")
def encoder(vocabulary):
    return Encoder(vocabulary.tokenizer("aa"), vocabulary.special_ids.sep, np.dtype("<u2"))


@settings(max_examples=100, deadline=None)
@given(lines=LINES)
def test_ids_are_the_tokenizers(vocabulary, encoder, lines):
    assert encoder.encode(lines).tolist() == expected(vocabulary, "aa", lines)


def test_ids_do_not_depend_on_what_is_remembered(vocabulary, monkeypatch):
    monkeypatch.setattr(module, "_CACHED_WORDS", 5)
    monkeypatch.setattr(module, "_LONGEST_CACHED", 3)
    encoder = Encoder(vocabulary.tokenizer("aa"), vocabulary.special_ids.sep, np.dtype("<u4"))
    for lines in (["ab abcd", "ab"], ["ab abcd ba"], ["taxi 12 ab a b c d"], ["abcd  ab"]) * 2:
        assert encoder.encode(lines).tolist() == expected(vocabulary, "aa", lines)
        assert len(encoder._cache) <= 7


def test_smallest_type_that_holds_every_id():
    assert id_dtype(65_536) == np.uint16
    assert id_dtype(65_537) == np.uint32
