import gzip
import io

import pytest
from rich.console import Console

from xling.data.check import check, print_check
from xling.data.layout import DataFolder
from xling.errors import XlingError


def problems(root):
    return [str(problem) for problem in check(root).problems]


def warnings(root):
    return [str(warning) for warning in check(root).warnings]


def test_good_folder_has_a_row_a_file_and_nothing_to_say(good):
    found = check(DataFolder(good))
    assert (found.problems, found.warnings) == ([], [])
    assert len(found.rows) == sum(path.is_file() for path in good.rglob("*")) - 1
    rows = {(row.part, row.name, row.language): row for row in found.rows}
    assert rows["text", "wiki", "fr"].lines == 3
    assert rows["dictionaries", "train", "en-fr"].lines == 2
    assert rows["ner", "dev", "fr"].words == 3
    assert rows["ud", "test", "en"].words == 2
    assert rows["nli", "train", "en"].scripts == {"Latn": 1.0}
    assert [row.part for row in found.rows[:4]] == ["text", "text", "parallel", "parallel"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text/wiki/en.txt", "", "text/wiki/en.txt: empty; fill it or delete it"),
        ("text/wiki/en.txt", "\n \n", "text/wiki/en.txt: empty"),
        ("text/wiki/en.txt", b"ok\n\xe9t\xe9\n", "en.txt, line 2: not valid UTF-8 (byte 0xe9"),
        ("parallel/talks/fr.txt", "oui\nnon\nsi\n", "talks: unequal line counts: en.txt has 2"),
        ("parallel/solo/en.txt", "yes\n", "solo: only en.txt is here, expected at least two"),
        ("dictionaries/en-fr.test.tsv", "house maison\n", "test.tsv, line 1: found 1 column"),
        ("nli/en/train.tsv", "A.\tB.\tmaybe\n", "train.tsv, line 1: found label 'maybe'"),
        ("topics/en/dev.tsv", "1\tA match.\n", "dev.tsv, line 1: found 2 columns"),
        ("ner/fr/test.iob2", "in\tO\nNew\tLOC\n", "test.iob2, line 2: found tag 'LOC'"),
        ("ner/fr/test.iob2", "x\tO\n\nin\tO\nY\tI-LOC\n", "line 4: found tag I-LOC after O, expec"),
        ("ner/fr/test.iob2", "Y\tI-LOC\n", "line 1: found tag I-LOC after the sentence's start"),
        ("ner/fr/test.iob2", "a\tB-PER\nY\tI-LOC\n", "line 2: found tag I-LOC after B-PER"),
        ("ud/en/test.conllu", "1\tx\t_\tX\t_\t_\t1\tdep\t_\t_\n", "cycle of heads (words 1 -> 1)"),
        ("data.yaml", "languages: [en, fr, sw]", "data.yaml: language sw is listed but has no"),
    ],
)
def test_problem(good, write, name, content, message):
    write(name, content)
    assert [message in problem for problem in problems(good)] == [True], problems(good)


def test_broken_gzip_is_a_problem_and_the_rest_is_still_checked(good, write):
    path = good / "text/wiki/fr.txt.gz"
    path.write_bytes(gzip.compress("\n".join(map(str, range(9999))).encode())[:3000])
    write("nli/fr/test.tsv", "A.\tB.\tmaybe\n")
    write("ud/fr/test.conllu", "1\n")
    found = problems(good)
    assert [path.split("/")[-1] for path in (text.split(": ")[0] for text in found)] == [
        "test.tsv, line 1",
        "test.conllu, line 1",
        "fr.txt.gz",
    ]
    assert "the gzip data break off" in found[2]


def test_problems_of_a_file_are_capped_and_counted(good, write):
    write("dictionaries/en-fr.test.tsv", "no tab\n" * 25)
    write("nli/fr/test.tsv", "A.\tB.\tmaybe\n")
    found = problems(good)
    listed = [problem for problem in found if "found 1 column" in problem]
    assert len(listed) == 20
    assert f"{good}/dictionaries/en-fr.test.tsv: and 5 more problems in this file" in found
    assert any("found label 'maybe'" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text/web/en.txt", "a new line\n", "text/web: no text in fr"),
        ("text/wiki/en.txt", "again and again\n" * 9, "89% of the lines repeat an earlier one"),
        ("text/wiki/en.txt", "cafe\u0301\n", "1 line not in Unicode's NFC"),
        ("text/wiki/en.txt", "caf\ufffd\n", "1 replacement character (U+FFFD)"),
        ("text/wiki/en.txt", "a\0b\n", "1 zero byte;"),
        ("text/wiki/en.txt", "some more text in English\n" * 100, "fr has 2.3% of the characters"),
        ("text/wiki/fr.txt.gz", "это не французский\n", "wiki in fr is mostly Cyrl"),
        ("text/wiki/sw.txt", "maneno\n", "language sw has files but is not listed"),
        ("data.yaml", "languages: [fr]", "language en has files but is not listed"),
        ("parallel/talks/de.txt", "ja\nnein\n", "language de has files but is not listed"),
        ("parallel/talks/en.txt", "yes\n\n", "1 empty line,"),
        ("nli/fr/test.tsv", "A fr0.\tB.\tneutral\n", "1 of 1 distinct rows also in train"),
        ("topics/fr/test.tsv", "2\tnews\tNew.\n", "labels of test that no train has: news"),
        ("dictionaries/en-fr.test.tsv", "cat\tminou\n", "1 source word also in train, such"),
        ("dictionaries/fr-en.train.tsv", "chat\tcat\n", "fr-en has train but no test"),
        ("dictionaries/fr-en.test.tsv", "chat\tcat\n", "fr-en has test but no train"),
        ("text/en.txt", "misplaced\n", "ignored; expected text/DOMAIN/LANG.txt"),
        ("text/wiki/en.text", "misnamed\n", "text/wiki/en.text: not a place of the data layout"),
        ("nli/en/validation.tsv", "A.\tB.\tneutral\n", "nli/en/validation.tsv: not a place"),
        ("dictionaries/en-fr.dev.tsv", "a\tb\n", "en-fr.dev.tsv: not a place"),
        ("en.conllu", "", "expected ud/LANG/train.conllu"),
        ("text/wiki/en.txt.gz", "twice\n", "ignored, because en.txt exists too"),
    ],
)
def test_warning(good, write, name, content, message):
    write(name, content)
    found = check(good)
    assert found.problems == []
    assert any(message in str(warning) for warning in found.warnings), found.warnings


@pytest.mark.parametrize("name", ["README.txt", "text/LICENSE.txt", "notes.md", ".cache/a.tsv"])
def test_files_for_people_are_passed_over_silently(good, write, name):
    write(name, "words\n")
    assert warnings(good) == []


@pytest.mark.parametrize(
    ("test_file", "content"),
    [
        ("parallel/talks/en.txt", "yes\n{}\n"),
        ("nli/en/dev.tsv", "Something.\t{}\tneutral\n"),
        ("topics/en/test.tsv", "2\tsports\t{}\n"),
        ("ud/en/test.conllu", "# text = {}\n1\tx\t_\tX\t_\t_\t0\troot\t_\t_\n"),
    ],
)
def test_text_that_contains_a_test_sentence(good, write, test_file, content):
    write(test_file, content.format("the cat sleeps on the warm mat"))
    (warning,) = check(good).warnings
    assert (warning.path, warning.line) == (good / "text/wiki/en.txt", 1)
    expected = f"1 line also in {test_file}, first 'the cat sleeps on the warm mat'"
    assert expected in warning.message


def test_tokens_of_a_tagged_sentence_are_compared_without_spaces(good, write):
    write("text/wiki/en.txt", "She lives in Rio, not in Lima.\n" + "other words\n" * 2)
    tokens = ["She", "lives", "in", "Rio", ",", "not", "in", "Lima", "."]
    write("ner/en/test.iob2", "".join(f"{token}\tO\n" for token in tokens))
    assert any("1 line also in ner/en/test.iob2" in warning for warning in warnings(good))


def test_sentences_to_train_on_may_be_in_the_text(good, write):
    write("nli/en/train.tsv", "the cat sleeps on the warm mat\tB.\tneutral\n")
    assert warnings(good) == []


def test_two_text_files_are_enough(write, tmp_path):
    write("text/wiki/en.txt", "one line\n")
    write("text/wiki/fr.txt", "une ligne\n")
    found = check(tmp_path)
    assert found.problems == []
    (warning,) = found.warnings
    assert "parallel (similarity by layer" in warning.message
    assert "text" not in warning.message.split(": ")[1].split(" ")


def test_parts_without_training_data_or_tests(good):
    for name in ("nli/en/train.tsv", "nli/fr/train.tsv", "ud/fr/test.conllu", "ud/fr/dev.conllu"):
        (good / name).unlink()
    found = " ".join(warnings(good))
    assert f"{good}/nli: no language has train" in found
    assert "train is here but not dev (to choose a checkpoint by) nor test (to score on)" in found


def test_language_with_tests_but_no_text(good):
    (good / "text/wiki/fr.txt.gz").unlink()
    assert any("fr has no text: it can be measured but not" in text for text in warnings(good))


def test_unreadable_folder_is_an_error(tmp_path):
    with pytest.raises(XlingError, match="not found"):
        check(tmp_path / "none")


@pytest.mark.slow
def test_real_data_has_no_problem(real_data):
    found = check(real_data)
    assert found.problems == []
    rows = {(row.part, row.name, row.language): row for row in found.rows}
    assert rows["parallel", "pud", "zh"].lines == 1000
    assert rows["ud", "test", "en"].lines == 2077
    assert next(iter(rows["text", "help", "ru"].scripts)) == "Cyrl"


def test_printed_lines_are_whole_where_there_is_no_terminal(good, write):
    write("text/wiki/en.txt", b"\xff\n")
    write("text/a-domain-with-a-very-long-name-indeed-so-long-that-tables-wrap/en.txt", "[bold]\n")
    out = io.StringIO()
    found = check(good)
    print_check(found, Console(file=out, width=40))
    text = out.getvalue()
    assert "…" not in text
    printed = {tuple(line.split()[:3]) for line in text.split("\n")}
    assert {(row.part, row.name, row.language) for row in found.rows} <= printed
    assert "- text/wiki/en.txt, line 1: not valid UTF-8" in text
    assert f"\n{good}: 31 files, 1 problem, {len(found.warnings)} warnings\n" in text


def test_printed_table_fits_a_terminal(good):
    out = io.StringIO()
    print_check(check(good), Console(file=out, width=90, force_terminal=True, color_system=None))
    table, _ = out.getvalue().split(str(good))
    assert max(map(len, table.split("\n"))) <= 90
    assert "en-fr" in table


@pytest.mark.parametrize(
    ("tags", "scheme"), [("I-LOC I-LOC B-LOC", "IOB1"), ("B-LOC E-LOC S-LOC", "BIOES")]
)
def test_another_scheme_of_entities_is_named(good, write, tags, scheme):
    write("ner/en/test.iob2", "in\tO\n" + "".join(f"w\t{tag}\n" for tag in tags.split()))
    assert check(good).problems
    (warning,) = [w for w in warnings(good) if "scheme" in w or scheme in w]
    assert f"the whole file is in {scheme}" in warning
    write("ner/en/test.iob2", "a\tB-LOC\n\nb\tI-LOC\n")
    assert not [w for w in warnings(good) if "the whole file" in w]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("de:in de:Paris", "every token begins with 'de:', which is no code of en"),
        ("en:in en:Paris et", "2 of 3 tokens begin with 'en:', not all"),
        ("en:in en:Paris", None),
        ("10:30 11:45", None),
    ],
)
def test_prefixes_of_tokens_that_stay_are_named(good, write, tokens, message):
    rows = "".join(f"{token}\tB-LOC\n" for token in tokens.split())
    write("ner/en/test.iob2", rows)
    found = [w for w in warnings(good) if "begin" in w]
    assert [message in w for w in found] == [True] if message else found == []


def test_gold_without_an_entity_is_told(good, write):
    assert not [w for w in warnings(good) if "every tag" in w]
    write("ner/fr/test.iob2", "a\tO\n\nb\tO\n")
    (found,) = [w for w in warnings(good) if "every tag" in w]
    assert "ner/fr/test.iob2: every tag is O" in found
