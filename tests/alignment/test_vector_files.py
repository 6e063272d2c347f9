import gzip
import struct

import numpy as np
import pytest

from xling.alignment.vector_files import read_vectors
from xling.errors import XlingError

WORDS = ["the", "été", "中文", "a.b", "x"]


@pytest.fixture(params=[3, 100, 1100])
def matrix(request):
    return np.random.default_rng(0).normal(size=(5, request.param)).astype(np.float32)


def text_of(matrix, header=True):
    first = [f"{matrix.shape[0]} {matrix.shape[1]}"] if header else []
    rows = [
        " ".join([word, *map(repr, map(float, row))])
        for word, row in zip(WORDS, matrix, strict=True)
    ]
    return "\n".join([*first, *rows]) + "\n"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("ending", [".vec", ".vec.gz"])
def test_text(tmp_path, matrix, header, ending):
    path = tmp_path / f"en{ending}"
    opened = gzip.open if ending.endswith("gz") else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(text_of(matrix, header))
    words, found = read_vectors(path)
    assert words == WORDS
    np.testing.assert_array_equal(found, matrix)
    assert read_vectors(path, 2)[0] == WORDS[:2]


@pytest.mark.parametrize("line_ends", [b"", b"\n"])
def test_binary_of_word2vec(tmp_path, matrix, line_ends):
    path = tmp_path / "en.bin"
    with open(path, "wb") as file:
        file.write(f"{len(WORDS)} {matrix.shape[1]}\n".encode())
        for word, row in zip(WORDS, matrix, strict=True):
            file.write(word.encode() + b" " + row.tobytes() + line_ends)
    words, found = read_vectors(path)
    assert words == WORDS
    np.testing.assert_array_equal(found, matrix)
    assert read_vectors(path, 3)[1].shape == (3, matrix.shape[1])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(XlingError, match="ends after 4 of 5 words"):
        read_vectors(path)


def fnv(text):
    value = 2166136261
    for byte in text.encode():
        signed = byte - 256 if byte > 127 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return value


def write_fasttext(path, words, width, buckets, shortest, longest, version=12, quantised=0):
    """fastText's model format, field by field; returns its input matrix."""
    table = np.random.default_rng(1).normal(size=(len(words) + buckets, width)).astype("<f4")
    with open(path, "wb") as file:
        file.write(struct.pack("<2i", 793712314, version))
        settings = [width, 5, 5, 1, 5, 1, 1, 2, buckets, shortest, longest, 100]
        file.write(struct.pack("<12id", *settings, 1e-4))
        file.write(struct.pack("<3i2q", len(words) + 1, len(words), 1, 1000, -1))
        for word in [*words, "__label__x"]:
            file.write(word.encode() + b"\0" + struct.pack("<qb", 7, word.startswith("__label__")))
        file.write(struct.pack("<b2q", quantised, *table.shape))
        file.write(table.tobytes())
    return table


@pytest.mark.parametrize(("shortest", "longest"), [(3, 6), (1, 2), (0, 0)])
def test_binary_of_fasttext_is_the_mean_of_word_and_ngrams(tmp_path, shortest, longest):
    path, words = tmp_path / "cc.bin", ["</s>", *WORDS]
    buckets = 50 if longest else 0
    table = write_fasttext(path, words, 4, buckets, shortest, longest)
    found_words, found = read_vectors(path)
    assert found_words == words
    for row, word in enumerate(words):
        rows, marked = [table[row]], f"<{word}>"
        for start in range(len(marked)):
            for end in range(start + 1, len(marked) + 1):
                gram = marked[start:end]
                if shortest <= len(gram) <= longest and gram not in "<>" and word != "</s>":
                    rows.append(table[len(words) + fnv(gram) % buckets])
        np.testing.assert_allclose(found[row], np.mean(rows, axis=0), atol=1e-6)
    assert read_vectors(path, 2)[0] == words[:2]


def test_known_hash():
    # Reference value of 32-bit FNV-1a for ASCII input.
    assert fnv("foobar") == 0xBF9CF968
    from xling.alignment.fasttext_binary import _hashes

    grams = ["foobar", "é", "中文x", ""]
    assert _hashes([gram.encode() for gram in grams]).tolist() == [fnv(gram) for gram in grams]


def test_repeated_and_zero_words_are_left_out(tmp_path):
    path = tmp_path / "en.vec"
    path.write_text("a 1 2\nb 0 0\na 3 4\nc d 5 6\n", encoding="utf-8")
    words, matrix = read_vectors(path)
    assert words == ["a", "c d"]
    np.testing.assert_array_equal(matrix, [[1, 2], [5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"2 3\na 1 2 3\nb 1 x 3\n", r"en.vec, line 3: found b'b 1 x 3"),
        (b"a 1 2\nb 1 2 nan\n", "line 2"),
        (b"2 3\na 1 2 3\nb 1 2\n", "line 3"),
        (b"", "no word vectors"),
    ],
)
def test_damaged_text_is_refused(tmp_path, content, message):
    path = tmp_path / "en.vec"
    path.write_bytes(content)
    with pytest.raises(XlingError, match=message):
        read_vectors(path)


def test_other_fasttext_files_are_refused(tmp_path):
    path = tmp_path / "cc.bin"
    write_fasttext(path, WORDS, 4, 5, 3, 6, version=11)
    with pytest.raises(XlingError, match="fastText format 11"):
        read_vectors(path)
    write_fasttext(path, WORDS, 4, 5, 3, 6, quantised=1)
    with pytest.raises(XlingError, match="quantised"):
        read_vectors(path)
    write_fasttext(path, WORDS, 4, 5, 3, 6)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(XlingError, match="damaged"):
        read_vectors(path)
    with pytest.raises(XlingError, match="not found"):
        read_vectors(tmp_path / "none")
