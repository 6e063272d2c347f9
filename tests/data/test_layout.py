import pytest

from xling.data.layout import DataFolder, read_lines
from xling.errors import XlingError


def test_every_part_of_a_folder(good):
    data = DataFolder(good)
    assert data.languages == ("en", "fr")
    assert data.domains("fr") == data.domains() == ("wiki",)
    assert data.text("wiki", "fr").name == "fr.txt.gz"
    assert list(read_lines(data.text("wiki", "fr")))[1] == "il pleut encore"
    assert data.parallel_sets("en", "fr") == ("talks",)
    assert data.parallel("talks", "fr", "en") == {"fr": ["oui", "non"], "en": ["yes", "no"]}
    assert data.parallel("talks") == data.parallel("talks", "en", "fr")
    assert data.dictionaries() == ("en-fr.test", "en-fr.train")
    assert data.dictionary("en", "fr", "train") == [("cat", "chat", 0.5), ("dog", "chien", 1.0)]
    assert data.splits("nli", "fr") == ("train", "dev", "test")
    assert data.nli("fr", "dev") == [("A fr1.", "B.", "neutral")]
    assert data.topics("en", "test") == [("2", "sports", "A match en2.")]
    assert list(data.ner("en", "train")) == [(["in", "New", "Yorken0"], ["O", "B-LOC", "I-LOC"])]
    (tree,) = data.treebank("fr", "test")
    assert (tree.forms, tree.upos) == (["catsfr2", "sleep"], ["NOUN", "VERB"])
    assert (tree.heads, tree.relations) == ([2, 0], ["nsubj", "root"])


def test_languages_follow_data_yaml_else_text_else_any_part(write, tmp_path):
    write("ner/sw/test.iob2", "a\tO\n")
    assert DataFolder(tmp_path).languages == ("sw",)
    write("parallel/x/no.txt", "a\n")
    assert DataFolder(tmp_path).languages == ("no", "sw")
    write("text/b/fr.txt.gz", "a\n")
    write("text/a/en.txt", "a\n")
    assert DataFolder(tmp_path).languages == ("en", "fr")
    write("data.yaml", "languages: [zh, en]\n")
    assert DataFolder(tmp_path).languages == ("zh", "en")


def test_plain_file_wins_and_hidden_files_do_not_count(write, tmp_path):
    plain = write("text/a/en.txt", "a\n")
    write("text/a/en.txt.gz", "b\n")
    write("text/a/.fr.txt", "b\n")
    data = DataFolder(tmp_path)
    assert data.text("a", "en") == plain
    assert data.languages == ("en",)


def test_parallel_sets_need_every_language(write, tmp_path):
    for name, language in (("b", "en"), ("b", "fr"), ("a", "en"), ("a", "fr"), ("a", "de")):
        write(f"parallel/{name}/{language}.txt", "x\n")
    data = DataFolder(tmp_path)
    assert data.parallel_sets() == ("a", "b")
    assert data.parallel_sets("fr", "de") == ("a",)
    assert data.parallel_sets("zh") == ()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda data: data.text("wiki", "de"), r"text/wiki/de\.txt \(or \.gz\): not found; wiki"),
        (lambda data: data.text("wiki", "de"), "wiki has en, fr, and de has text in none"),
        (lambda data: data.text("web", "en"), "the domains are wiki"),
        (lambda data: data.parallel("pud"), "the parallel sets are talks"),
        (lambda data: data.parallel("talks", "en", "de"), r"talks/de\.txt .* talks has en, fr"),
        (lambda data: data.dictionary("fr", "en", "train"), r"fr-en\.train\.tsv .*en-fr\.test, en"),
        (lambda data: data.nli("de", "test"), r"nli/de/test\.tsv .* nli has en, fr"),
        (lambda data: data.ner("fr", "extra"), "ner has train, dev, test of fr"),
        (lambda data: data.treebank("zh", "dev"), r"ud/zh/dev\.conllu"),
        (lambda data: data.topics("zh", "dev"), r"topics/zh/dev\.tsv"),
    ],
)
def test_asking_for_what_is_missing_says_what_there_is(good, ask, message):
    with pytest.raises(XlingError, match=message):
        ask(DataFolder(good))


def test_misaligned_parallel_files(good, write):
    write("parallel/talks/fr.txt", "oui\n")
    with pytest.raises(XlingError, match=r"talks: unequal line counts: en\.txt has 2 .* fr\.txt 1"):
        DataFolder(good).parallel("talks", "en", "fr")


def test_the_odd_file_of_several_is_named(write, tmp_path):
    for language, count in (("de", 3), ("en", 4), ("fr", 4)):
        write(f"parallel/x/{language}.txt", "a\n" * count)
    with pytest.raises(XlingError, match=r"en\.txt has 4 lines but de\.txt 3;"):
        DataFolder(tmp_path).parallel("x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("languages: en", "no list of languages"),
        ("languages: []", "no list of languages"),
        ("- en", "no list of languages"),
        ("", "no list of languages"),
        ("languages: [en, no]", "language False, which is not text .quote it"),
        ("languages: [en, fr, en]", "a language twice"),
        ("languages: [en", "not valid YAML"),
    ],
)
def test_bad_data_yaml(write, tmp_path, content, message):
    write("data.yaml", content)
    with pytest.raises(XlingError, match=message) as error:
        DataFolder(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "data.yaml"))


def test_no_folder_no_layout(write, tmp_path):
    with pytest.raises(XlingError, match="none: not found; expected a data folder"):
        DataFolder(tmp_path / "none")
    with pytest.raises(
        XlingError, match=r"put one sentence or paragraph per line into text/DOMAIN"
    ):
        DataFolder(tmp_path)
    with pytest.raises(XlingError, match="is not a folder"):
        DataFolder(write("file", ""))


def test_gold_in_another_scheme_is_brought_to_iob2(good, write):
    write("ner/en/test.iob2", "Mira\tI-PER\nNova\tI-LOC\nBrek\tI-LOC\n")
    with pytest.warns(UserWarning, match=r"ner/en/test\.iob2, line 1: found tag I-PER .* IOB1"):
        found = list(DataFolder(good).ner("en", "test"))
    assert found == [(["Mira", "Nova", "Brek"], ["B-PER", "B-LOC", "I-LOC"])]


def test_parallel_lines_that_carriage_returns_end_are_refused(good, write):
    for language in ("en", "fr"):
        write(f"parallel/talks/{language}.txt", "a\rb\rc\r")
    (good / "parallel/talks/fr.txt.gz").unlink(missing_ok=True)
    with pytest.raises(XlingError, match=r"en\.txt: found 1 line and 3 carriage returns"):
        DataFolder(good).parallel("talks")


def test_carriage_returns_are_told_where_line_counts_differ(good, write):
    write("parallel/talks/fr.txt", "oui\rnon\nsi\nsi\n")
    with pytest.raises(XlingError, match=r"unequal line counts: .*; fr.txt has 1 carriage return "):
        DataFolder(good).parallel("talks", "en", "fr")
