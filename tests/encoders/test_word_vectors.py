import numpy as np
import pytest
import torch

from xling.encoders import word_vectors
from xling.encoders.encoder import Encoder
from xling.encoders.word_vectors import cached_word_types, frequent_words
from xling.encoders.words import tokenise_words
from xling.errors import XlingError


def one_by_one(encoder, lines):
    """Every running word's vectors [L + 1, W, d]: a line alone, a word and a layer at a time."""
    result = []
    for line in lines:
        if not line:
            continue
        tokens = tokenise_words(encoder, [line])
        ids = torch.from_numpy(tokens.sentences.ids)[None]
        with torch.no_grad():
            hidden = encoder.body(input_ids=ids, output_hidden_states=True).hidden_states
        for number in range(len(line)):
            mine = np.flatnonzero(tokens.word_of == number)
            result.append([np.mean([state[0, t].numpy() for t in mine], 0) for state in hidden])
    return np.array(result).transpose(1, 0, 2)


@pytest.fixture
def lines(parallel):
    return [line.split() for line in parallel["aa"][:20]] + [[]]


def test_words_in_context_are_means_of_their_subwords(encoder, lines):
    vectors, starts = word_vectors.word_vectors(encoder, lines, batch_tokens=50)
    np.testing.assert_allclose(vectors, one_by_one(encoder, lines), atol=2e-5)
    assert starts.tolist() == np.cumsum([0, *map(len, lines)]).tolist()
    some, _ = word_vectors.word_vectors(encoder, lines, [-1, 0], batch_tokens=50)
    np.testing.assert_array_equal(some, vectors[[-1, 0]])


def test_type_means_are_means_over_all_occurrences(bert, lines, monkeypatch):
    monkeypatch.setattr(word_vectors, "_CHUNK", 6)
    lines = lines * 2
    lines[25] = lines[3] + lines[7]
    running = [word for line in lines for word in line]
    words = frequent_words(lines, 15)
    found = word_vectors.word_type_means(bert, iter(lines), [*words, "zzzzz"], 60)
    vectors = one_by_one(bert, lines)
    for row, word in enumerate(words):
        where = [i for i, other in enumerate(running) if other == word]
        np.testing.assert_allclose(found.vectors[:, row], vectors[:, where].mean(1), atol=2e-5)
        assert found.counts[row] == len(where) >= 2
    assert found.counts[-1] == 0
    assert not found.vectors[:, -1].any()
    assert found.lines == len(lines)


def test_embeddings_of_words_that_are_one_subword(bert):
    words = ["a", "abcabcabcabc", "b", "Ω"]
    which, vectors = word_vectors.embedding_vectors(bert, words)
    table = bert.body.get_input_embeddings().weight.detach().numpy()
    assert which.tolist() == [
        i for i, word in enumerate(words) if len(bert.tokenizer.tokenize(word)) == 1 and i != 3
    ]
    for row, vector in zip(which, vectors, strict=True):
        (token,) = bert.tokenizer(words[row], add_special_tokens=False)["input_ids"]
        np.testing.assert_array_equal(vector, table[token])


def test_clear_errors(bert, lines):
    with pytest.raises(XlingError, match="none of the 1 words occurs in the 21 lines of aa"):
        word_vectors.word_type_means(bert, lines, ["zzzzz"])
    with pytest.raises(XlingError, match="2 words, 1 distinct"):
        word_vectors.word_type_means(bert, lines, ["a", "a"])
    with pytest.raises(XlingError, match="no line has a word"):
        word_vectors.word_vectors(bert, [[], []])
    with pytest.raises(XlingError, match="layers 0 to 3"):
        word_vectors.word_vectors(bert, lines, [4])
    with pytest.raises(XlingError, match="none of the 1 words is a single subword"):
        word_vectors.embedding_vectors(bert, ["abcabcabcabc"])


def test_averages_are_kept_until_something_changes(bert, parallel, tmp_path, monkeypatch):
    model, text, out = tmp_path / "model", tmp_path / "aa.txt", tmp_path / "out"
    bert.model.save_pretrained(model)
    bert.tokenizer.save_pretrained(model)
    text.write_text("\n".join(parallel["aa"]) + "\n", encoding="utf-8")
    first = cached_word_types(model, "aa", [text], out, maximum_words=20)
    lines = [line.split() for line in parallel["aa"]]
    assert list(first.words) == frequent_words(lines, 20)
    expected = word_vectors.word_type_means(Encoder.load(model, "aa"), lines, first.words)
    np.testing.assert_array_equal(first.vectors, expected.vectors)
    with monkeypatch.context() as patch:
        patch.setattr(word_vectors, "word_type_means", None)
        again = cached_word_types(model, "aa", [text], out, maximum_words=20)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    assert again.counts.tolist() == first.counts.tolist()
    assert (again.words, again.lines) == (first.words, len(lines))
    text.write_text("abc abc\n", encoding="utf-8")
    changed = cached_word_types(model, "aa", [text], out, maximum_words=20)
    assert changed.words == ("abc",)
    assert changed.counts.tolist() == [2]
