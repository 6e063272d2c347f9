"""Planted faults are named with file and line; what cannot be read leaves nothing behind."""

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
from collections import deque
from contextlib import suppress

import pytest

from xling.data.importing.streams import Stream
from xling.data.layout import DataFolder
from xling.errors import XlingError

LINES = "un\ndeux\ntrois\n" * 400


def nothing_left(tmp_path) -> bool:
    return not (tmp_path / "data").exists() and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fr.txt", LINES.encode() + b"caf\xe9\n", r"a\.fr\.txt, line 1201: not valid UTF-8"),
        ("a.fr.txt", LINES.encode("utf-16"), r"line 1: found [\d,]+ NUL bytes .* iconv -f UTF-16"),
        ("a.fr.txt", LINES.replace("\n", "\r").encode(), "found 1 line and 1,200 carriage returns"),
        ("a.fr.txt", b"", "empty; nothing to import"),
        ("a.fr.txt", b"\n \n", "empty; nothing to import"),
        ("a.fr.txt", b"un\n" + b"x" * (17 << 20), "line 2: a line of more than 16 MiB"),
        ("a.gz", gzip.compress(LINES.encode())[:-9], "the gzip data break off before their end"),
        ("a.xz", lzma.compress(LINES.encode())[:-9], "the xz data break off before their end"),
        ("a.bz2", bz2.compress(LINES.encode())[:-9], "the bz2 data break off before their end"),
        ("a.zst", "zstd", "the zstd data break off before their end"),
        ("a.gz", gzip.compress(LINES.encode())[:40] + b"\xff" * 60, "gzip data: "),
        ("a.gz", gzip.compress(gzip.compress(LINES.encode())), "holds gzip data inside gzip"),
        ("bomb.gz", "bomb", r"unpacks to \d+ times its size \(line [\d,]+\)"),
        ("a.zip", b"PK\x03\x04" + b"\x00" * 40, "a zip archive; unpack it"),
        ("a.tar.gz", b"PK\x03\x04" + b"\x00" * 40, "a zip archive; unpack it"),
        ("a.parquet", b"PAR1" + b"\x15\x04" * 50, "not a whole parquet file"),
        ("a.jsonl", b'{"text": "un"}\n{"text": "de\n', "line 2: not valid JSON"),
        ("a.jsonl", b'{"text": "un"}\n[1]\n', r"line 2: found '\[1\]', expected"),
        ("a.jsonl", b'{"speech": "un"}\n', "JSON lines with the columns speech, which cannot be"),
        ("a.csv", b'id,text\n1,un\n2,"de\n', "line 3: not valid CSV"),
        ("a.tmx", b"<tmx><body><tu></body></tmx>", "line 1: not valid XML"),
        (
            "a.tmx",
            b'<!DOCTYPE tmx [<!ENTITY a "ha">]>\n<tmx><body/></tmx>',
            "line 1: declares an entity",
        ),
        ("a.xml", b"<mediawiki>\n<page>\n", "a dump in MediaWiki's XML; take the text out first"),
        ("a.html", b"<!DOCTYPE html>\n<p>un\n", "XML or HTML of a kind that xling does not read"),
        ("train.txt", b"un\n", "its name does not say which language"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read(name, content, message, tmp_path, imported, request):
    if content == "zstd":
        content = request.getfixturevalue("zstd")(LINES.encode())[:-5]
    if content == "bomb":
        content = gzip.compress(b"".join([b"un " * 5000 + b"\n"] * 5000))
    (tmp_path / name).write_bytes(content)
    languages = None if name == "train.txt" or name.endswith("tmx") else "fr"
    with pytest.raises(XlingError, match=message) as raised:
        imported(tmp_path / name, languages=languages)
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert nothing_left(tmp_path)


@pytest.fixture
def zstd():
    import zstandard

    return zstandard.compress


def test_what_is_mended_or_left_out_is_named(write, imported):
    text = (
        b"\xef\xbb\xbfun\r\n"  # a byte order mark, and the line ends of Windows
        b"deux \xe2\x80\xa8 trois\n"  # U+2028
        b"\n"
        b"qu\x00atre\n"
        b"cinq\rsix\n" + b"x" * 10_000_000 + b"\n"
        b"se\xef\xbb\xbfpt\n"
        b"\xc2\xa0\n"
        b"hu\x08it\n"
        b"ne\xef\xbf\xbdf\n"
    )
    path = write("odd.fr.txt", text)
    found = imported(path)
    assert found.lines("text/odd/fr.txt") == [
        *("un", "deux   trois", "quatre", "cinq six", "sept", "huit", "ne\ufffdf"),
    ]
    for line, said in {
        1: "byte order mark at the start dropped",
        2: "changed: U+2028 and other line separators",
        3: "left out: empty (2 lines, the first)",
        4: "changed: NUL bytes",
        5: "changed: carriage returns inside",
        6: "left out: longer than 1,000,000 characters",
        7: "changed: byte order marks inside",
        9: "changed: other control characters",
        10: "damaged: replacement characters (U+FFFD)",
    }.items():
        assert f"{path}, line {line}: {said}" in found.said
    assert f"{path}, line 1: mixed line ends (1 line end in" in found.said.replace(
        "line 2: mixed", "line 1: mixed"
    )


def test_a_broken_parquet_after_good_rows(tmp_path, imported):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "a.fr.parquet"
    table = pyarrow.table({"text": [f"line {n} {n * n}" for n in range(4000)]})
    parquet.write_table(table, path, row_group_size=2000, compression="none", use_dictionary=False)
    raw = bytearray(path.read_bytes())
    cut = raw.index(b"line 2500 ")
    raw[cut - 6 : cut] = b"\xff" * 6  # the length of this value
    path.write_bytes(raw)
    with pytest.raises(XlingError, match=r"a\.fr\.parquet: not a whole parquet file .*after row"):
        imported(path)
    assert nothing_left(tmp_path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(XlingError, match=r"a\.fr\.parquet: not a whole parquet file"):
        imported(path)


@pytest.mark.slow
def test_memory_does_not_grow_with_what_a_file_unpacks_to(tmp_path, imported, zstd):
    line = "une ligne de texte comme une autre, avec un numéro, sans fin ni début " * 12
    content = "".join(f"{line} {n}\n" for n in range(40_000)).encode()
    path = tmp_path / "long.fr.zst"
    path.write_bytes(zstd(content))
    assert len(content) > 20 * path.stat().st_size
    tracemalloc.start()
    try:
        found = imported(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(1 for _ in (found.out / "text/long/fr.txt").open()) == 40_000
    # Blocks of a megabyte, in bytes and in text, whole and as lines; the text has 8.
    assert peak < 14 << 20 < len(content) // 2


def test_a_bomb_is_refused_before_it_fills_memory_or_disk(tmp_path, zstd):
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstd(b"\0" * (1 << 28)))
    tracemalloc.start()
    try:
        with Stream(path) as stream:
            sizes = map(len, iter(stream.read1, b""))
            with pytest.raises(OSError, match="times its size"):
                deque(sizes, maxlen=0)
            read = stream.given
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read < 80 << 20
    assert peak < 40 << 20


def test_lines_of_bitext_that_do_not_match(write, imported, tmp_path):
    write("t.en", "a\nb\nc\n")
    with pytest.raises(XlingError, match=r"unequal line counts: t\.en has 3 lines but t\.fr 2"):
        imported(tmp_path / "t.en", write("t.fr", "a\nb\n"))
    assert nothing_left(tmp_path)


def test_a_faulty_tree_and_a_faulty_tag_cost_their_sentence(write, imported):
    row = "{}\t{}\t_\tX\t_\t_\t{}\tdep\t_\t_\n"
    good = row.format(1, "un", 0) + "\n"
    bad = row.format(1, "deux", 2) + row.format(2, "trois", 1) + "\n"
    found = imported(write("fr_x-ud-test.conllu", good + bad + good))
    assert len(list(DataFolder(found.out).treebank("fr", "test"))) == 2
    assert "fr_x-ud-test.conllu, line 3: found a cycle of heads" in found.said
    assert "left out 1: 1 faulty" in found.said


def test_parts_that_are_there_stay(write, imported, tmp_path):
    write("data/text/web/fr.txt.gz", "mine\n")
    before = (tmp_path / "data/text/web/fr.txt.gz").read_bytes()
    with pytest.raises(
        XlingError, match=r"fr\.txt\.gz: is there already, and is never overwritten"
    ):
        imported(write("a.en.txt", "one\n"), write("a.fr.txt", "un\n"), part="text/web")
    assert (tmp_path / "data/text/web/fr.txt.gz").read_bytes() == before
    assert not (tmp_path / "data/text/web/en.txt").exists()
    assert not (tmp_path / "data/.import").exists()
    write("data/parallel/t/de.txt", "x\n")
    with pytest.raises(XlingError, match=r"de\.txt: is there already"):
        imported(write("t.en", "a\n"), write("t.fr", "b\n"))


def test_two_sources_of_one_part(write, imported, tmp_path):
    sources = [write("x/en-fr.txt", "cat chat\n"), write("x/en-fr.0-5000.txt", "cat chat\n")]
    with pytest.raises(XlingError, match=r"gives dictionaries/en-fr\.train\.tsv, as .* does"):
        imported(*sources)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_the_same_import_after_a_kill_at_any_change_of_the_disk(
    write, imported, tmp_path, monkeypatch
):
    sources = [write(f"a.{code}.txt", f"{code}\n") for code in ("en", "fr")]
    sources += [write("t.en", "a\n"), write("t.fr", "b\n")]
    changes = ("rename", "replace", "mkdir", "unlink", "fsync", "rmdir")
    count, last = 0, None

    def counting(name, change):
        def run(*arguments, **more):
            nonlocal count
            count += 1
            if count == last:
                raise KeyboardInterrupt
            return change(*arguments, **more)

        return run

    with monkeypatch.context() as patch:
        for name in changes:
            patch.setattr(f"os.{name}", counting(name, getattr(os, name)))
        whole = tree(imported(*sources).out)
        total = count
        assert total > 20
        for last in range(1, total + 1):
            count = 0
            with suppress(KeyboardInterrupt):
                imported(*sources, out=f"killed{last}")
            count = -1_000_000
            assert tree(imported(*sources, out=f"killed{last}").out) == whole, last
    assert not list(tmp_path.rglob(".*"))


def test_the_same_import_again_changes_nothing(write, imported):
    sources = [write("a.en.txt", "one\n"), write("a.fr.txt", "un\n")]
    before = tree(imported(*sources).out)
    again = imported(*sources)
    assert tree(again.out) == before
    assert "text/a/fr.txt: is there from the same files; kept" in again.said
    sources[1].write_text("deux\n")
    with pytest.raises(XlingError, match="is there already, and is never overwritten"):
        imported(*sources)


def test_what_the_user_says_must_make_sense(write, imported, tmp_path):
    path = write("a.fr.txt", "un\n")
    for part in ("texts/wiki", "nli/xnli", "text/../x", "wiki"):
        with pytest.raises(XlingError):
            imported(path, part=part)
    with pytest.raises(XlingError, match="looks like plain text, which cannot be read as nli"):
        imported(path, part="nli")
    with pytest.raises(XlingError, match=r"not found; expected a file or a folder"):
        imported(tmp_path / "absent.txt")
    with pytest.raises(XlingError, match="not among those of --language"):
        imported(path, languages="en,de")
    assert nothing_left(tmp_path)


def test_a_row_without_the_column_is_named(write, imported):
    rows = [{"text": "un"}, {"other": 1}, {"text": None}]
    path = write("a.fr.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert f"{path}, line 2: left out: empty (2 lines, the first)" in imported(path).said
