import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.word_vectors import word_vectors
from xling.errors import XlingError
from xling.transfer import context
from xling.transfer.context import linked_word_vectors


@pytest.fixture
def parts(models_of, data):
    lines = DataFolder(data).parallel("test", "aa", "bb")
    words = [[line.split() for line in lines[language]] for language in ("aa", "bb")]
    encoders = Encoder.load(models_of["aa"], "aa"), Encoder.load(models_of["wide"], "bb")
    random = np.random.default_rng(0)
    links = [
        [(i, int(random.integers(len(line)))) for i in range(0, len(line), 2)] for line in words[0]
    ]
    links[4] = []
    return (*encoders, *words, links)


def test_rows_are_the_linked_words_of_each_line(parts, monkeypatch):
    monkeypatch.setattr(context, "_CHUNK", 7)
    one, other, lines, others, links = parts
    found = linked_word_vectors(*parts, layers=[(0, 0), (1, 3)])
    x, x_starts = word_vectors(one, lines)
    y, y_starts = word_vectors(other, others)
    rows = [(x_starts[n] + i, y_starts[n] + j) for n, pair in enumerate(links) for i, j in pair]
    left, right = np.array(rows).T
    for (X, Y), (i, j) in zip(found, [(0, 0), (1, 3)], strict=True):
        np.testing.assert_allclose(X, x[i][left], atol=1e-5)
        np.testing.assert_allclose(Y, y[j][right], atol=1e-5)


def test_bad_input_is_refused(parts):
    one, other, lines, others, links = parts
    with pytest.raises(XlingError, match="60 source lines and 59 target lines"):
        linked_word_vectors(one, other, lines, others[1:], links, [(0, 0)])
    with pytest.raises(XlingError, match="line 2: links beyond its"):
        linked_word_vectors(one, other, lines, others, [[], [(0, 99)], *links[2:]], [(0, 0)])
    with pytest.raises(XlingError, match="no word is linked"):
        linked_word_vectors(one, other, lines, others, [[]] * 60, [(0, 0)])
