"""A folder filled from tiny copies of the real data sets, against what was put into the copies."""

import shutil

import pytest
import yaml

from xling.data.check import check
from xling.data.hub import fill as fill_module
from xling.data.hub.dataset import DataSet
from xling.data.hub.fill import fill
from xling.data.layout import DataFolder
from xling.data.selection import MatchedText, TextPart, select
from xling.errors import XlingError
from xling.files import content_hash

STARTS = {"train": 1000, "dev": 2000, "test": 3000}


def files(root):
    paths = [path for path in root.rglob("*") if path.is_file() and ".hub" not in path.parts]
    return {str(path.relative_to(root)): content_hash(path) for path in paths}


@pytest.fixture
def small(mirror, tmp_path):
    """Write a specification of a few parts in English and French."""

    def _write(**changes):
        spec = {
            "languages": ["en", "fr"],
            "text": {"wiki": "wikipedia"},
            "nli": {"preset": "xnli", "splits": {"test": "test"}},
            **changes,
        }
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
        return path

    return _write


@pytest.mark.slow
def test_the_papers_folder_has_every_part_and_no_problem(paper_data, mirror):
    found = check(paper_data)
    assert found.problems == []
    assert not any(
        "leave them out of pretraining" in warning for warning in map(str, found.warnings)
    )
    assert {row.part for row in found.rows} == {
        *("text", "parallel", "dictionaries", "nli", "ner", "ud", "topics")
    }
    data = DataFolder(paper_data)
    assert data.languages == mirror.languages
    assert data.set_languages("text", "wiki") == tuple(sorted(mirror.languages))
    assert data.set_languages("text", "web") == ("de", "fr", "ru", "zh")
    pairs = tuple(f"tatoeba-{language}" for language in ("de", "fr", "ru", "zh"))
    assert data.parallel_sets() == ("pud", *pairs, "xnli")
    for part in ("ner", "ud", "topics"):
        for language in mirror.languages:
            assert data.splits(part, language) == ("train", "dev", "test")
    assert data.splits("nli", "en") == ("train", "dev", "test")
    assert data.splits("nli", "fr") == ("dev", "test")


@pytest.mark.parametrize("language", ["fr", pytest.param("en", marks=pytest.mark.slow), "zh"])
def test_text_is_the_articles_lines_without_the_test_sentence(paper_data, mirror, language):
    expected = []
    for number in range(40):
        first, second = (mirror.written(language, 10 * number + i) for i in (0, 1))
        expected += [first, "History", second]
        if number == 1:
            expected.append("a tab, a separator and café")
    found = (paper_data / f"text/wiki/{language}.txt").read_text(encoding="utf-8")
    assert found == "".join(f"{line}\n" for line in expected)
    assert mirror.written(language, 3000) not in found


@pytest.mark.parametrize("language", ["fr", "de", "ru", "zh"])
def test_web_text_is_cut_to_the_size_of_wiki(paper_data, mirror, language):
    def size(domain):
        return len((paper_data / f"text/{domain}/{language}.txt").read_text().replace("\n", ""))

    lines = (paper_data / f"text/web/{language}.txt").read_text().splitlines()
    assert lines == mirror.pages(language)[: len(lines)]
    assert size("web") - len(lines[-1]) < size("wiki") <= size("web")
    matched = MatchedText(parts=(TextPart(domain="web"),), size_of=(TextPart(domain="wiki"),))
    ((part, _),) = select(DataFolder(paper_data), {language: matched})[language].items()
    assert part.lines == len(lines)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_tasks_are_the_rows(paper_data, mirror, language):
    data = DataFolder(paper_data)
    offset = 10_000 * mirror.languages.index(language)
    for split, start in STARTS.items():
        if split != "train" or language == "en":
            names = ("entailment", "neutral", "contradiction")
            rows = [(p, h, names[label]) for p, h, label in mirror.nli_rows(language, start)]
            assert data.nli(language, split) == rows
        tags = ["O", "B-LOC", "I-LOC", "O", "B-PER", "I-PER", "B-ORG", "O", "O", "O"]
        entities = mirror.entity_rows(language, start + offset)
        assert list(data.ner(language, split)) == [(tokens, tags) for tokens, _ in entities]
        topics = [(str(i), label, text) for i, label, text in mirror.topic_rows(language, start)]
        assert data.topics(language, split) == topics
        found = list(data.treebank(language, split))
        assert len(found) == 8
        for number, tree in enumerate(found):
            # Neither the multiword range nor the empty node of the data set is a word.
            words = mirror.sentence(language, start + offset + number)
            assert tree.forms == words
            assert tree.heads == list(range(len(words)))
            assert tree.relations == ["root", *["obj"] * (len(words) - 1)]
            assert tree.upos == ["VERB", *["NOUN"] * (len(words) - 1)]
            assert tree.text == mirror.written(language, start + offset + 700 + number)


def test_parallel_lines_mean_the_same(paper_data, mirror):
    data = DataFolder(paper_data)
    lines = data.parallel("xnli")
    for language in mirror.languages:
        # A premise that three pairs share is one line.
        expected = [
            line
            for start in (2000, 3000)
            for row, (premise, hypothesis, _) in enumerate(mirror.nli_rows(language, start))
            for line in ([premise] if row % 3 == 0 else []) + [hypothesis]
        ]
        assert lines[language] == expected
    for language in ("fr", "zh"):
        pairs = mirror.pair_rows(language, mirror.languages.index(language))
        found = data.parallel(f"tatoeba-{language}", language, "en")
        assert list(zip(found[language], found["en"], strict=True)) == pairs
    pud = data.parallel("pud")
    assert pud["ru"] == [mirror.written("ru", 1600 + number) for number in range(8)]


def test_dictionaries_come_from_word_lists(paper_data):
    data = DataFolder(paper_data)
    words = [("house", "maison", 1.0), ("house", "demeure", 1.0)]
    assert data.dictionary("en", "fr", "train") == words
    assert data.dictionary("en", "fr", "test") == [("old", "vieille", 1.0)]


def test_data_yaml_says_where_each_part_comes_from(paper_data):
    parts = yaml.safe_load((paper_data / "data.yaml").read_text())["parts"]
    assert parts["text/wiki"]["source"] == "wikimedia/wikipedia"
    assert len(parts["text/wiki"]["revision"]) == 40
    assert parts["text/wiki"]["steps"][0]["counts"]["text/wiki/fr"]["held out"] == 1
    assert parts["parallel/xnli"]["licence"] == "CC-BY-NC-4.0"
    assert all({"source", "licence"} <= set(part) for part in parts.values())


def test_run_again_nothing_is_read_and_a_change_reads_only_its_part(
    small, mirror, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    read = []
    rows = DataSet.rows

    def spy(self, config, *rest):
        read.append((self.source.data, config))
        return rows(self, config, *rest)

    monkeypatch.setattr(DataSet, "rows", spy)
    fill(small(), out, mirror.root)
    assert len(read) == 4
    before = files(out)
    read.clear()
    fill(small(), out, mirror.root)
    assert read == []
    assert files(out) == before
    fill(small(text={"wiki": {"preset": "wikipedia", "lines": 10}}), out, mirror.root)
    wiki = "wikimedia/wikipedia"
    assert read == [(wiki, "20231101.en"), (wiki, "20231101.fr")]
    assert len((out / "text/wiki/en.txt").read_text().splitlines()) == 10
    read.clear()
    (out / "nli/fr/test.tsv").unlink()
    fill(small(text={"wiki": {"preset": "wikipedia", "lines": 10}}), out, mirror.root)
    assert read == [("facebook/xnli", "fr")]


@pytest.mark.parametrize("killed_at", [1, 2, 4])
def test_interrupted_it_goes_on_to_the_same_folder(small, mirror, tmp_path, monkeypatch, killed_at):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fill(small(), whole, mirror.root)
    rows = DataSet.rows
    calls = []

    def failing(self, *arguments):
        calls.append(arguments)
        for number, row in enumerate(rows(self, *arguments)):
            if len(calls) == killed_at and number == 5:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(DataSet, "rows", failing)
    with pytest.raises(KeyboardInterrupt):
        fill(small(), broken, mirror.root)
    assert len(calls) == killed_at
    # What was interrupted left no file under a name of the layout.
    made = [name for name in files(broken) if name != "data.yaml"]
    assert sorted(made) == sorted(set(files(whole)) & set(made))
    assert len(made) == killed_at - 1
    fill(small(), broken, mirror.root)
    assert len(calls) == 5
    assert files(broken) == files(whole)


def test_a_test_set_that_changes_makes_the_text_anew(small, mirror, tmp_path):
    out = tmp_path / "out"
    fill(small(), out, mirror.root)
    premise = mirror.written("en", 3000)
    assert premise not in (out / "text/wiki/en.txt").read_text()
    copy = tmp_path / "copy"
    shutil.copytree(mirror.root / "facebook/xnli", copy)
    for language in ("en", "fr"):
        source, target = (
            copy / language / f"{s}-00000-of-00001.parquet" for s in ("train", "test")
        )
        shutil.copy(source, target)
    fill(
        small(nli={"preset": "xnli", "splits": {"test": "test"}, "data": str(copy)}),
        out,
        mirror.root,
    )
    assert premise in (out / "text/wiki/en.txt").read_text()


def test_files_of_others_are_not_written_over(small, mirror, tmp_path):
    out = tmp_path / "out"
    (out / "nli/en").mkdir(parents=True)
    (out / "nli/en/test.tsv").write_text("mine\n")
    with pytest.raises(XlingError, match=r"nli/en/test.tsv: is there already"):
        fill(small(), out, mirror.root)
    assert (out / "nli/en/test.tsv").read_text() == "mine\n"
    other = tmp_path / "other"
    other.mkdir()
    (other / "data.yaml").write_text("languages: [en]\n")
    with pytest.raises(XlingError, match=r"data.yaml: is there already"):
        fill(small(), other, mirror.root)


def test_parts_of_an_earlier_specification_are_named(small, mirror, tmp_path, caplog):
    out = tmp_path / "out"
    fill(small(), out, mirror.root)
    caplog.set_level("INFO", logger=fill_module.__name__)
    fill(small(languages=["en"]), out, mirror.root)
    assert "no longer in the specification" in caplog.text
    assert "nli/fr/test, text/wiki/fr" in caplog.text


def test_what_an_import_adds_stays_known(small, mirror, tmp_path):
    from xling.data.importing.stage import import_sources

    out = tmp_path / "out"
    fill(small(), out, mirror.root)
    source = tmp_path / "news.sw.txt"
    source.write_text("habari\n")
    import_sources([source], out)
    before = (out / "data.yaml").read_bytes()
    fill(small(), out, mirror.root)
    listed, earlier = (yaml.safe_load(text) for text in ((out / "data.yaml").read_bytes(), before))
    assert listed["languages"] == ["en", "fr", "sw"]
    assert listed["parts"] == earlier["parts"]
    assert DataFolder(out).set_languages("text", "news") == ("sw",)


def test_rows_that_are_no_translations_are_refused(small, mirror, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(mirror.root / "Davlan/sib200", copy)
    # French has the sentences of another split: as many rows, but other ones.
    shutil.copy(copy / "fra_Latn/train/0000.parquet", copy / "fra_Latn/test/0000.parquet")
    source = {
        "data": str(copy),
        "files": "{config}/{split}/*.parquet",
        "configs": {"en": "eng_Latn", "fr": "fra_Latn"},
        "splits": ["test"],
        "columns": ["text"],
        "same": "index_id",
        "licence": "none",
    }
    with pytest.raises(XlingError, match=r"row 1 of test differs in index_id \(eng_Latn '3000'"):
        fill(small(parallel={"flores": source}), tmp_path / "out", mirror.root)
    shutil.copy(copy / "eng_Latn/test/0000.parquet", copy / "fra_Latn/test/0000.parquet")
    fill(small(parallel={"flores": source}), tmp_path / "good", mirror.root)
    assert len(DataFolder(tmp_path / "good").parallel("flores")["en"]) == 6
