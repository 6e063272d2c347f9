from collections import defaultdict
from math import log

import numpy as np
import pytest

from xling.errors import XlingError
from xling.measures import static_vectors
from xling.measures.static_vectors import cooccurrences, ppmi_vectors

VOCABULARY = [f"w{i}" for i in range(12)]


@pytest.fixture
def lines():
    random = np.random.default_rng(0)
    return [
        [f"w{min(i, 13)}" for i in random.geometric(0.2, size=random.integers(1, 9)) - 1]
        for _ in range(120)
    ]


def counted(lines, window):
    counts = defaultdict(float)
    for line in lines:
        line = [word for word in line if word in VOCABULARY]
        for i, word in enumerate(line):
            for j, other in enumerate(line):
                if i != j and abs(i - j) <= window:
                    counts[word, other] += (window - abs(i - j) + 1) / window
    return counts


@pytest.mark.parametrize("window", [1, 3])
def test_counts_equal_loops(lines, window, monkeypatch):
    monkeypatch.setattr(static_vectors, "_CHUNK", 17)
    expected = counted(lines, window)
    found = cooccurrences(iter(lines), VOCABULARY, window).toarray()
    for i, word in enumerate(VOCABULARY):
        for j, other in enumerate(VOCABULARY):
            assert found[i, j] == pytest.approx(expected[word, other])


def test_vectors_are_the_svd_of_the_definition(lines):
    counts = counted(lines, 2)
    total = {word: sum(counts[word, other] for other in VOCABULARY) for word in VOCABULARY}
    smooth = sum(value**0.75 for value in total.values())
    matrix = np.zeros((12, 12))
    for i, word in enumerate(VOCABULARY):
        for j, other in enumerate(VOCABULARY):
            if counts[word, other]:
                joint = counts[word, other] / sum(total.values())
                single = total[word] / sum(total.values())
                matrix[i, j] = max(0.0, log(joint / (single * total[other] ** 0.75 / smooth)))
    U, singular, _ = np.linalg.svd(matrix)
    expected = U[:, :4] * np.sqrt(singular[:4])
    found = ppmi_vectors(lines, VOCABULARY, 4, 2)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    np.testing.assert_array_equal(found, ppmi_vectors(lines, VOCABULARY, 4, 2))


def test_words_alone_have_no_vector(lines):
    found = ppmi_vectors([*lines, ["alone"]], [*VOCABULARY, "alone", "never"], 4)
    assert not found[-2:].any()
    assert found[0].any()


def test_bad_input_is_refused(lines):
    with pytest.raises(XlingError, match="width 12"):
        ppmi_vectors(lines, VOCABULARY, 12)
    with pytest.raises(XlingError, match="ever meet"):
        ppmi_vectors([["w1"], ["w2"]], VOCABULARY, 2)
    with pytest.raises(XlingError, match="2 words, 1 distinct"):
        ppmi_vectors(lines, ["w1", "w1"], 1)
