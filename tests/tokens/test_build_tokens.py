"""The stage as a whole, against tokenising line by line with Hugging Face."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.tokens import build as module
from xling.tokens.build import TokensConfig, build_tokens
from xling.tokens.streams import TokenIndex, TokenStream
from xling.tokens.tokenise import is_held_out
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

TEXT = {"aa": ["wiki", "web:second-half"], "bb": ["wiki"]}
CONFIG = TokensConfig(dev_share=0.1, shard_tokens=1000)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def part_lines(data: DataFolder, language: str, part: str) -> list[str]:
    """The lines of a part by plain reading."""
    domain, _, half = part.partition(":")
    lines = data.text(domain, language).read_text(encoding="utf-8").split("\n")[:-1]
    if half:
        lines = lines[len(lines) // 2 :]
    return [line for line in lines if line.strip()]


def stream_ids(folder: Path, language: str, part: str, split: str) -> np.ndarray:
    index = TokenIndex.load(folder)
    (stream,) = (
        stream
        for stream in index.streams
        if (stream.language, stream.part, stream.split) == (language, part, split)
    )
    raw = b"".join((folder / shard.file).read_bytes() for shard in stream.shards)
    return np.frombuffer(raw, dtype=index.dtype)


def test_streams_are_the_lines_encoded_by_hugging_face(data, vocabulary, tokens):
    from transformers import AutoTokenizer

    for language, parts in TEXT.items():
        opened = AutoTokenizer.from_pretrained(
            vocabulary.folder(language), split_special_tokens=True
        )
        for part in parts:
            ids = {
                split: stream_ids(tokens, language, part, split).tolist()
                for split in ("train", "dev")
            }
            for line in part_lines(data, language, part):
                row = opened(line).input_ids[1:]
                side = ids["dev" if is_held_out(line, CONFIG.dev_share) else "train"]
                assert side[: len(row)] == row
                del side[: len(row)]
            assert ids == {"train": [], "dev": []}


def test_the_split_holds_out_the_share_and_keeps_equal_lines_together(data, tokens):
    index = TokenIndex.load(tokens)
    lines = {
        split: sum(stream.lines for stream in index.streams if stream.split == split)
        for split in ("train", "dev")
    }
    assert 0.06 < lines["dev"] / sum(lines.values()) < 0.14
    assert sum(lines.values()) == sum(
        len(part_lines(data, language, part)) for language, parts in TEXT.items() for part in parts
    )


def test_number_of_held_out_lines_is_bounded(data, vocabulary, tmp_path):
    config = TokensConfig(dev_share=0.5, dev_lines=20)
    build_tokens(data, {"aa": ["wiki"]}, vocabulary, tmp_path / "t", config, workers=1)
    stream = TokenStream.open(tmp_path / "t", "aa", "dev")
    assert 5 <= stream.lines <= 40


def test_output_is_the_same_for_any_number_of_workers(data, vocabulary, tokens, tmp_path):
    build_tokens(data, TEXT, vocabulary, tmp_path / "t", CONFIG, workers=3)
    assert contents(tmp_path / "t") == contents(tokens)


def test_compressed_text_gives_the_same_streams(data, vocabulary, tokens, tmp_path):
    import gzip

    root = tmp_path / "data"
    shutil.copytree(data.root, root)
    path = root / "text" / "wiki" / "aa.txt"
    path.with_name("aa.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    build_tokens(DataFolder(root), TEXT, vocabulary, tmp_path / "t", CONFIG, workers=1)
    ours, theirs = contents(tmp_path / "t"), contents(tokens)
    del ours["artefact.json"], theirs["artefact.json"]
    assert ours == theirs


def test_index_and_counts_agree_with_the_streams(data, vocabulary, tokens):
    for language, parts in TEXT.items():
        train = []
        for stream in TokenIndex.load(tokens).streams:
            if stream.language != language:
                continue
            ids = stream_ids(tokens, language, stream.part, stream.split)
            assert stream.tokens == len(ids)
            assert stream.lines == (ids == vocabulary.special_ids.sep).sum()
            assert stream.unknowns == (ids == vocabulary.special_ids.unk).sum()
            if stream.split == "train":
                train.append(ids)
        assert len(train) == len(parts)
        counts = np.load(tokens / language / "counts.npy")
        assert (counts == np.bincount(np.concatenate(train), minlength=vocabulary.size)).all()


def test_report_states_unknowns_words_and_anchors(vocabulary, tokens):
    report = json.loads((tokens / "report.json").read_text())
    aa = report["languages"]["aa"]
    assert aa["unknown characters"].keys() == {"w"}
    assert aa["unknowns"] == aa["unknown characters"]["w"] > 0
    counts = {
        language: Counter(dict(enumerate(np.load(tokens / language / "counts.npy").tolist())))
        for language in TEXT
    }
    for count in counts.values():
        del count[vocabulary.special_ids.sep]
    both = [n for n in range(5, vocabulary.size) if counts["aa"][n] and counts["bb"][n]]
    (anchors,) = report["anchors"]
    assert anchors["tokens"] == len(both)
    for language, count in counts.items():
        assert report["languages"][language]["tokens"] == count.total()
        assert anchors["share of running tokens"][language] == pytest.approx(
            sum(count[n] for n in both) / count.total()
        )
    assert sum(kind["tokens"] for kind in anchors["kinds"].values()) == len(both)
    page = (tokens / "report.md").read_text()
    assert f"| all | {len(both):,} |" in page
    assert f"| aa | {aa['lines']:,} |" in page


def test_second_run_changes_nothing_and_new_text_replaces(data, vocabulary, tmp_path):
    root, out = tmp_path / "data", tmp_path / "t"
    shutil.copytree(data.root, root)
    build_tokens(DataFolder(root), TEXT, vocabulary, out, CONFIG, workers=1)
    inodes = {path: path.stat().st_ino for path in out.rglob("*")}
    build_tokens(DataFolder(root), TEXT, vocabulary, out, CONFIG, workers=2)
    assert {path: path.stat().st_ino for path in out.rglob("*")} == inodes
    tokens = TokenStream.open(out, "bb", "train").tokens
    with open(root / "text" / "wiki" / "bb.txt", "a", encoding="utf-8") as file:
        file.writelines(f"taxi {number}\n" for number in range(50))
    build_tokens(DataFolder(root), TEXT, vocabulary, out, CONFIG, workers=1)
    assert TokenStream.open(out, "bb", "train").tokens > tokens


def test_interrupted_run_leaves_what_was_there(data, vocabulary, tokens, tmp_path, monkeypatch):
    out = tmp_path / "t"
    shutil.copytree(tokens, out)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_report", interrupt)
    config = CONFIG.model_copy(update={"dev_share": 0.2})
    with pytest.raises(KeyboardInterrupt):
        build_tokens(data, TEXT, vocabulary, out, config, workers=1)
    assert contents(out) == contents(tokens)
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def new_data(tmp_path: Path, text: str) -> DataFolder:
    path = tmp_path / "data" / "text" / "wiki" / "aa.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return DataFolder(tmp_path / "data")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", r"wiki/aa\.txt: no text"),
        ("ここは日本\n" * 3 + "これも日本\n" * 9, r"wiki/aa\.txt: .* unknown to the vocabulary"),
        ("abba\rabba\r", r"aa\.txt: found 1 line and 2 carriage returns .*; convert the file: tr"),
        ("abba\n", "aa: none of 1 lines was held out for dev at dev_share 0.0001"),
    ],
)
def test_text_that_cannot_be_used_is_named(vocabulary, tmp_path, text, message):
    data = new_data(tmp_path, text)
    config = TokensConfig(dev_share=0.0001)
    with pytest.raises(XlingError, match=message):
        build_tokens(data, {"aa": ["wiki"]}, vocabulary, tmp_path / "t", config, workers=1)
    assert not (tmp_path / "t").exists()


def test_text_that_is_all_held_out_is_named(vocabulary, tmp_path):
    data = new_data(tmp_path, "abba\nabba\n")
    config = TokensConfig(dev_share=0.999999)
    with pytest.raises(XlingError, match=r"aa\.txt: no token to train on: all 2 lines"):
        build_tokens(data, {"aa": ["wiki"]}, vocabulary, tmp_path / "t", config, workers=1)


def test_language_without_vocabulary_is_named(data, vocabulary, tmp_path):
    vocabulary = Vocabulary(vocabulary.path, {"bb": vocabulary.size}, vocabulary.kind)
    with pytest.raises(XlingError, match="no vocabulary of aa, only of bb"):
        build_tokens(data, TEXT, vocabulary, tmp_path / "t", CONFIG, workers=1)


def test_bytes_that_are_not_utf8_are_named_from_a_worker_run(vocabulary, tmp_path):
    data = new_data(tmp_path, "abba\n")
    path = data.text("wiki", "aa")
    path.write_bytes(b"abba\nab\xffba\n")
    with pytest.raises(XlingError, match=r"aa\.txt, line 2: not valid UTF-8"):
        build_tokens(data, {"aa": ["wiki"]}, vocabulary, tmp_path / "t", CONFIG, workers=2)


def test_real_text_is_known_to_its_vocabulary(real_data, tmp_path):
    data, text = DataFolder(real_data), {"en": ["guide"], "fr": ["guide"]}
    build_vocabulary(data, text, VocabularyConfig(size=3000), tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    build_tokens(data, text, vocabulary, tmp_path / "t", TokensConfig(), workers=1)
    report = json.loads((tmp_path / "t" / "report.json").read_text())
    for language in text:
        assert report["languages"][language]["share of unknowns"] < 0.001
        assert 1.0 < report["languages"][language]["tokens a word"] < 1.5
    (anchors,) = report["anchors"]
    commonest = {anchor["token"] for anchor in anchors["commonest"]}
    assert {"▁.", "▁,", "▁Debian"} <= commonest


def test_languages_with_ids_of_their_own_have_no_anchors(data, tmp_path):
    config = VocabularyConfig(kind="separate", size=260, coverage=1.0)
    build_vocabulary(data, TEXT, config, tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    build_tokens(data, TEXT, vocabulary, tmp_path / "t", CONFIG, workers=1)
    report = json.loads((tmp_path / "t" / "report.json").read_text())
    assert report["anchors"] == []
    assert report["vocabulary"] == {"kind": "separate", "size": 255}
    assert "share no token" in (tmp_path / "t" / "report.md").read_text()
    for language in TEXT:
        counts = np.load(tmp_path / "t" / language / "counts.npy")
        assert len(counts) == vocabulary.sizes[language] == 130
        assert counts[5:].sum() > 0
        # Each stream reads back as text of its own language.
        part = TokenIndex.load(tmp_path / "t").streams
        stream = next(s for s in part if (s.language, s.split) == (language, "train"))
        ids = stream_ids(tmp_path / "t", language, stream.part, "train")
        assert ids.max() < 130
        tokens = vocabulary.tokens(language)
        assert sum(len(tokens[number].strip("▁")) for number in ids if number > 4) > 100
