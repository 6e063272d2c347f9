"""Words and links beside parallel lines: read as given, or refused with file and line."""

import gzip

import pytest

from xling.data.check import check
from xling.data.layout import DataFolder
from xling.data.parallel_words import read_links, read_links_of, write_links
from xling.errors import XlingError

ZH = "中国人在北京。\n\n我爱Cafe\u0301，真的\n"
WORDS = "中国 人 在 北京 。\n\n我 爱 Caf\u00e9 ，\u3000真 的\n"
EN = "Chinese in Beijing .\n\nI love cafes , really\n"


@pytest.fixture
def parallel(write, tmp_path):
    write("parallel/talks/zh.txt", ZH)
    write("parallel/talks/en.txt", EN)
    return tmp_path


def findings(root, of):
    return [str(finding) for finding in getattr(check(root), of)]


def test_words_are_the_lines_cut_whatever_their_composition(parallel, write):
    data = DataFolder(parallel)
    assert data.parallel_words("talks", "zh") is None
    write("parallel/talks/zh.words", WORDS)
    expected = [["中国", "人", "在", "北京", "。"], [], ["我", "爱", "Café", "，", "真", "的"]]
    assert data.parallel_words("talks", "zh") == expected
    assert data.parallel_words("talks", "en") is None
    assert not any(".words" in text for text in findings(parallel, "problems"))


def test_gzipped_words_are_read_too(parallel, write):
    (parallel / "parallel/talks/zh.words.gz").write_bytes(gzip.compress(WORDS.encode()))
    assert DataFolder(parallel).parallel_words("talks", "zh")[0][0] == "中国"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("中国 人\n", r"zh.words: found 1 line, but zh.txt has 3; expected each of its lines"),
        (WORDS + "完\n", r"zh.words: found 4 lines, but zh.txt has 3"),
        ("", r"zh.words: found 0 lines"),
        (WORDS.replace("\n", "\r"), r"zh.words: found 1 line, but .* 3 carriage returns .*tr "),
        (
            WORDS.replace("北京", "南京"),
            r"zh.words, line 1: found .*南京.* where zh.txt has .*北京",
        ),
        (WORDS.replace("真 的", "真"), r"zh.words, line 3: found .* where zh.txt has .*真的"),
    ],
)
def test_words_of_other_lines_are_an_error_and_a_problem(parallel, write, words, message):
    write("parallel/talks/zh.words", words)
    with pytest.raises(XlingError, match=message):
        DataFolder(parallel).parallel_words("talks", "zh")
    found = [text for text in findings(parallel, "problems") if "zh.words" in text]
    assert len(found) == 1
    with pytest.raises(XlingError, match=message):
        raise XlingError(found[0])


@pytest.mark.parametrize(
    ("name", "links", "message"),
    [
        ("en-zh.align", "0-0\n\n", "en-zh.align: found 2 lines for 3 parallel lines"),
        ("en-zh.align", "0-0 x\n\n\n", "en-zh.align, line 1: found 'x', expected links such as"),
        ("en-zh.align", "0-0\n\n0-6\n", "line 3: found a link 0-6 of a line with 5 and 6 words"),
        ("zh-en.align", "0-0\n\n0-5\n", "line 3: found a link 0-5 of a line with 6 and 5 words"),
        ("en-zh.align", "0-0\n0-0\n\n", "line 2: found a link 0-0 of a line with 0 and 0 words"),
    ],
)
def test_links_beyond_their_lines_are_problems(parallel, write, name, links, message):
    write("parallel/talks/zh.words", WORDS)
    write(f"parallel/talks/{name}", links)
    assert any(message in text for text in findings(parallel, "problems"))


def test_good_links_are_read_and_say_nothing(parallel, write):
    write("parallel/talks/zh.words", WORDS)
    path = write("parallel/talks/en-zh.align", "0-1 1-2 2?3\n\n0-0 1p1\n")
    assert not any(".align" in text for text in findings(parallel, "problems"))
    found = list(read_links_of(path, [(4, 5), (0, 0), (5, 6)]))
    assert found == [[(0, 1, True), (1, 2, True), (2, 3, False)], [], [(0, 0, True), (1, 1, False)]]


@pytest.mark.parametrize("name", ["ja.words", "en-ja.align", "talks.align"])
def test_files_that_nothing_reads_are_told(parallel, write, name):
    write(f"parallel/talks/{name}", "a\n\nb\n")
    assert any(f"{name}: not read: expected" in text for text in findings(parallel, "warnings"))


def test_a_words_file_without_its_lines_is_an_error(parallel, write):
    write("parallel/talks/ja.words", WORDS)
    with pytest.raises(XlingError, match=r"ja.txt \(or .gz\): not found; ja.words is its lines"):
        DataFolder(parallel).parallel_words("talks", "ja")


def test_words_that_cannot_be_read_are_told_as_such_and_not_counted(parallel, write):
    write("parallel/talks/zh.words", (WORDS + "完\n").encode("utf-16"))
    assert "line 1: not valid UTF-8" in findings(parallel, "problems")[0]
    with pytest.raises(XlingError, match=r"line 1: not valid UTF-8 .* UTF-16"):
        DataFolder(parallel).parallel_words("talks", "zh")
    (parallel / "parallel/talks/zh.words").unlink()
    (parallel / "parallel/talks/zh.words").mkdir()
    assert "zh.words: is a folder" in findings(parallel, "problems")[0]


def test_links_are_written_and_read(tmp_path):
    path = tmp_path / "gold.align"
    path.write_text("0-1 1?2 1p0\n\n3-3\n", encoding="utf-8")
    sure, possible = read_links(path)
    assert [links.tolist() for links in sure] == [[[0, 1]], [], [[3, 3]]]
    assert [links.tolist() for links in possible] == [[[0, 1], [1, 0], [1, 2]], [], [[3, 3]]]
    write_links(sure, path)
    assert path.read_text(encoding="utf-8") == "0-1\n\n3-3\n"
    path.write_text("0-1\n1:2\n", encoding="utf-8")
    with pytest.raises(XlingError, match=r"gold.align, line 2: found '1:2', expected links"):
        read_links(path)
