import gzip
import os
import struct
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.alignment.fasttext_binary import _ngrams
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
        (b"a 1 nan\nb nan 2\n", "no word vectors"),
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


# What a file is: refused with its place, or read; never read as something else.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"2 2\nchat 0,5 0,25\nchien 1,5 2,5\n", "line 2: found .* with decimal commas"),
        (b"2 2\n\nchat 0.5 0.25\nchien 1 2\n", "line 2: empty"),
        (b"2 2\nchat 0.5 0.25\n\nchien 1 2\n", "line 3: empty"),
        (b"2 4\nchat 0.5 0.25 1\nchien 1 2 3\n", "line 2: .* which has 3 numbers, .* 4 finite"),
        (b"2 2\nchat 0.5 0.25 1\nchien 1 2 3\n", "line 2: found 3 numbers .* expected 2"),
        (b"2 0\nchat\nchien\n", "line 1: found a width of 0"),
        (b"2 999999999999\nchat 0.5\n", "line 1: found a width of 999,999,999,999"),
        (b"0 0\n", "no word vectors"),
        (b"2 2\n", "no word vectors"),
        (b"chat\nchien\n", "line 1: found b'chat"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "line 1: found"),
        (b"3 2\nchat 0.5 0.25\nchien 1.5 2", "line 3: the file ends in the middle of a line"),
        (b"\x1f\x8b\x08 gzip", "does not end in .gz"),
    ],
)
def test_garbage_is_refused_by_its_place(tmp_path, content, message):
    path = tmp_path / "fr.vec"
    path.write_bytes(content)
    with pytest.raises(XlingError, match=f"^{path}.*{message}"):
        read_vectors(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf2 2\nchat 1 2\n. . 3 4\n",  # a byte order mark
        b"2 2\r\nchat 1 2\r\n. . 3 4\r\n",
        b"2\t2\nchat\t1\t2\n. .\t3\t4\n",
        b"2 2 \nchat 1 2 \n. . 3 4\t\n\n\n",  # trailing blanks, and empty lines at the end
        b"chat 1 2\n. . 3 4\n",
        b"chat 1 2\n. . 3 4",
        b"2 2\nchat  1  2\n. .  +3e0  .4e1\n",
    ],
)
def test_text_as_others_write_it(tmp_path, content):
    path = tmp_path / "fr.vec"
    path.write_bytes(content)
    words, matrix = read_vectors(path)
    assert words == ["chat", ". ."]
    np.testing.assert_array_equal(matrix, [[1, 2], [3, 4]])


def test_words_that_look_like_something_else(tmp_path):
    words = [" ", "\u00a0", "at 95", "12", "3.5", "-", "\u3000", "a\u0085b", "a\u2028b", "x\rb"]
    path = tmp_path / "fr.vec"
    lines = [f"{word} {row} 0.5" for row, word in enumerate(words, 1)]
    for header in ("", f"{len(words)} 2\n"):
        path.write_bytes((header + "\n".join(lines) + "\n").encode())
        found, matrix = read_vectors(path)
        assert found == words
        assert matrix[:, 0].tolist() == list(range(1, len(words) + 1))


def test_words_are_composed_and_the_first_of_equals_counts(tmp_path):
    path = tmp_path / "fr.vec"
    path.write_text("e\u0301te\u0301 0 0\ne\u0301te\u0301 1 2\nété 3 4\n한 5 6\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"1 word without a direction .*; 1 word repeated"):
        words, matrix = read_vectors(path)
    assert words == ["été", "한"]
    np.testing.assert_array_equal(matrix, [[1, 2], [5, 6]])


def test_words_with_a_vector_that_is_not_finite_cost_nobody_else(tmp_path):
    path = tmp_path / "fr.vec"
    path.write_text("4 2\nchat 0.5 inf\nchien 1 2\nan nan nan\nnan 3 4\n")
    with pytest.warns(UserWarning, match="2 words with NaN or infinity, left out"):
        words, matrix = read_vectors(path)
    assert words == ["chien", "nan"]
    np.testing.assert_array_equal(matrix, [[1, 2], [3, 4]])


def test_words_that_are_no_text_cost_nobody_else(tmp_path):
    path, binary = tmp_path / "fr.vec", tmp_path / "fr.bin"
    words = [b"chi\xe9n", b"chat", b"\xff"]
    path.write_bytes(b"".join(word + b" 1.5 2.5\n" for word in words) + b" 3 4\n")
    row = np.array([1.5, 2.5], dtype="<f4").tobytes()
    binary.write_bytes(b"3 2\n" + b"".join(word + b" " + row for word in words))
    for file, more in ((path, "1 word empty"), (binary, "")):
        with pytest.warns(UserWarning, match=rf"2 words not UTF-8, read with U\+FFFD.*{more}"):
            assert read_vectors(file)[0] == ["chi\ufffdn", "chat", "\ufffd"]


def test_first_line_that_promises_more_words(tmp_path):
    path = tmp_path / "fr.vec"
    path.write_text("99999999999 2\nchat 1 2\nchien 3 4\n")
    with pytest.warns(UserWarning, match="2 words, where the first line says 99,999,999,999"):
        assert read_vectors(path)[0] == ["chat", "chien"]
    row = np.array([1.5, 2.5], dtype="<f4").tobytes()
    path.write_bytes(b"99999999999 2\nchat " + row)
    with pytest.raises(XlingError, match="ends after 1 of 99999999999 words"):
        read_vectors(path)
    path.write_bytes(b"1 2\nchat " + row + b"chien " + row)
    with pytest.raises(XlingError, match="continues after the 1 words of 2 numbers"):
        read_vectors(path)


def test_gzip_that_is_none_or_broken(tmp_path, matrix):
    path = tmp_path / "fr.vec.gz"
    whole = gzip.compress(text_of(matrix).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(XlingError, match=r"fr.vec.gz: the gzip data break off"):
        read_vectors(path)
    path.write_text(text_of(matrix))
    with pytest.raises(XlingError, match=r"expected gzip data, as the name ends in \.gz"):
        read_vectors(path)
    write_fasttext(tmp_path / "cc.bin", WORDS, 4, 5, 3, 6)
    path.write_bytes(gzip.compress((tmp_path / "cc.bin").read_bytes()))
    with pytest.raises(XlingError, match=r"unpack it first: gunzip .*fr.vec.gz"):
        read_vectors(path)


def fasttext_grams(word, shortest, longest):
    """computeSubwords of fastText, byte by byte; the line end has none."""
    if word == b"</s>":
        return []
    marked, grams = b"<" + word + b">", []
    for i in range(len(marked)):
        if marked[i] & 0xC0 == 0x80:
            continue
        j, n, gram = i, 1, b""
        while j < len(marked) and n <= longest:
            gram += marked[j : j + 1]
            j += 1
            while j < len(marked) and marked[j] & 0xC0 == 0x80:
                gram += marked[j : j + 1]
                j += 1
            if n >= shortest and not (n == 1 and (i == 0 or j == len(marked))):
                grams.append(gram)
            n += 1
    return grams


@given(word=st.binary(max_size=8) | st.text(max_size=6).map(lambda text: text.encode("utf-8")))
def test_ngrams_are_of_the_bytes_as_stored(word):
    for shortest, longest in ((1, 3), (3, 6)):
        assert _ngrams(word, shortest, longest) == fasttext_grams(word, shortest, longest)


def test_words_of_fasttext_are_composed_after_their_ngrams_were_hashed(tmp_path):
    path, word = tmp_path / "cc.bin", "e\u0301te\u0301"
    table = write_fasttext(path, ["x", word], 4, 50, 3, 4)
    words, matrix = read_vectors(path)
    assert words == ["x", "été"]
    rows = [table[1]]
    for gram in fasttext_grams(word.encode(), 3, 4):
        rows.append(table[2 + fnv(gram.decode()) % 50])
    np.testing.assert_allclose(matrix[1], np.mean(rows, axis=0), atol=1e-6)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.vec")
    with pytest.raises(XlingError, match=r"pipe.vec: is a named pipe, expected a regular file"):
        read_vectors(tmp_path / "pipe.vec")
    with pytest.raises(XlingError, match="is a folder"):
        read_vectors(tmp_path)
    with pytest.raises(XlingError, match="/dev/zero: is a device"):
        read_vectors("/dev/zero")


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\x0b\x0c\r\0"))
        .map(lambda text: unicodedata.normalize("NFC", text))
        .filter(lambda text: text and not text.startswith("\ufeff")),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    values=st.lists(st.floats(2**-10, 1000, width=32), min_size=40, max_size=40),
    binary=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, words, values, binary):
    width = 8
    matrix = np.array(values, dtype="<f4").reshape(-1, width)[: len(words)]
    path = tmp_path_factory.mktemp("vectors") / "a.vec"
    with open(path, "wb") as file:
        file.write(f"{len(words)} {width}\n".encode())
        for word, row in zip(words, matrix, strict=True):
            file.write(word.encode() + b" ")
            file.write(row.tobytes() if binary else " ".join(map(repr, row.tolist())).encode())
            file.write(b"" if binary else b"\n")
    found, read = read_vectors(path)
    assert found == words
    np.testing.assert_array_equal(read, matrix)


ROWS = [b"hund 0.1 0.2 0.3\n", b"katt 0.4 0.5 0.6\n", b"fisk 0.7 0.8 0.9\n"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"".join(ROWS)[:-9],
            "line 3: found b'fisk 0.7', which has 1 number, expected a word and 3",
        ),
        (b"".join(ROWS).replace(b" 0.5", b""), "line 2: .* which has 2 numbers"),
        (b"3 3 1\n" + b"".join(ROWS), "line 1: .* which has 2 numbers"),
        (b"hund 310\nkatt 205\n", "line 1: .* 1 number per word .* counts"),
        (b"".join(ROWS).replace(b"\n", b"\r"), "line 1: found 2 carriage returns .*0x0d.* tr "),
        (b"3 3\r" + b"".join(ROWS).replace(b"\n", b"\r"), "line 1: found 3 carriage returns"),
        (
            b"3 3\n" + ROWS[0] + ROWS[1].replace(b"\n", b"\r") + ROWS[2],
            "line 3: found 1 carriage return ",
        ),
        (b"PK\x03\x04\x14\x00 garbage", "a zip archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("3 3\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_a_file_is_does_not_hang_on_one_line(tmp_path, content, message):
    (tmp_path / "sv.vec").write_bytes(content)
    with pytest.raises(XlingError, match=message):
        read_vectors(tmp_path / "sv.vec")


def test_words_that_end_in_numbers_do_not_make_vectors_narrower(tmp_path):
    lines = [*ROWS[:2], b"Windows 95 1 2 3\n", b"route 66 1 3 2\n", ROWS[2]]
    (tmp_path / "en.txt").write_bytes(b"".join(lines))
    words, matrix = read_vectors(tmp_path / "en.txt")
    assert words == ["hund", "katt", "Windows 95", "route 66", "fisk"]
    assert matrix.shape == (5, 3)


def test_first_line_that_promises_fewer_words(tmp_path):
    (tmp_path / "sv.vec").write_bytes(b"2 3\n" + b"".join(ROWS))
    with pytest.warns(UserWarning, match="3 words, where the first line says 2"):
        assert len(read_vectors(tmp_path / "sv.vec")[0]) == 3
    assert len(read_vectors(tmp_path / "sv.vec", 2)[0]) == 2


@pytest.mark.parametrize("line_ends", [b"", b"\n"])
def test_spaces_in_words_of_binary_files(tmp_path, line_ends):
    matrix = np.random.default_rng(2).normal(size=(3, 20)).astype("<f4")

    def write(*words):
        with open(tmp_path / "en.bin", "wb") as file:
            file.write(b"3 20\n")
            for word, row in zip(words, matrix, strict=True):
                file.write(word + b" " + row.tobytes() + line_ends)

    write(b"cat", b" ", b"dog")
    words, found = read_vectors(tmp_path / "en.bin")
    assert words == ["cat", " ", "dog"]
    np.testing.assert_array_equal(found, matrix)
    write(b"cat", b"New York", b"dog")
    with pytest.raises(XlingError, match=r"word 2 holds .* a word up to there has a space"):
        read_vectors(tmp_path / "en.bin")
