"""Entities from data sets as others publish them: prefixes, times of day, other schemes."""

import pytest
import yaml
from datasets import Dataset

from xling.data.hub.fill import fill
from xling.data.layout import DataFolder
from xling.errors import XlingError


@pytest.fixture
def filled(tmp_path):
    """Fill a folder with rows of (tokens, tags) as the test split of a language."""

    def _fill(rows, language="en", config="en"):
        path = tmp_path / f"set/{config}/test/0000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        tokens, tags = zip(*rows, strict=True)
        Dataset.from_dict({"tokens": tokens, "tags": tags}).to_parquet(path)
        spec = {
            "languages": [language],
            "ner": {
                "data": str(tmp_path / "set"),
                "files": "{config}/{split}/*.parquet",
                "configs": {language: config},
                "splits": {"test": "test"},
                "fields": {"tokens": "tokens", "tags": "tags"},
                "licence": "CC0-1.0",
            },
        }
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
        fill(tmp_path / "spec.yaml", tmp_path / "out")
        return list(DataFolder(tmp_path / "out").ner(language, "test"))

    return _fill


@pytest.mark.parametrize("token", ["10:30", "en:Paris", "a:b", "re:Paris", "http://x"])
def test_a_sentence_alone_does_not_make_a_prefix(filled, token):
    assert filled([([token], ["O"]), (["Rome"], ["B-LOC"])])[0] == ([token], ["O"])


def test_every_token_of_the_file_makes_one_if_it_is_the_languages_own(filled):
    rows = [(["en:Paris", "en::"], ["B-LOC", "O"]), (["en:10:30"], ["O"])]
    assert filled(rows) == [(["Paris", ":"], ["B-LOC", "O"]), (["10:30"], ["O"])]
    assert filled(rows, "english")[1] == (["10:30"], ["O"])


def test_another_languages_prefix_stays(filled, caplog):
    with pytest.warns(UserWarning, match="no code of fr"):
        assert filled([(["en:Paris"], ["B-LOC"])], "fr", "fr") == [(["en:Paris"], ["B-LOC"])]
    assert "ner/fr/test.iob2: every token begins with 'en:'" in caplog.text


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [("IOB1", ["I-PER", "I-LOC", "I-LOC", "O"]), ("BIOES", ["S-PER", "B-LOC", "E-LOC", "O"])],
)
def test_other_schemes_are_brought_to_iob2(filled, caplog, scheme, tags):
    found = filled([(["Mira", "Nova", "Brek", "."], tags)])
    assert found == [(["Mira", "Nova", "Brek", "."], ["B-PER", "B-LOC", "I-LOC", "O"])]
    assert f"ner/en/test.iob2, line 1: found tag {tags[0]} after" in caplog.text
    assert scheme in caplog.text


def test_sentences_that_break_the_scheme_are_left_out_and_counted(filled, caplog, tmp_path):
    found = filled([(["a", "b"], ["B-X", "I-X"]), (["c"], ["I-X"]), (["d"], ["O"])])
    assert [tokens for tokens, _ in found] == [["a", "b"], ["d"]]
    assert "left out 1 sentence, the first because of found tag I-X" in caplog.text
    left_out = yaml.safe_load((tmp_path / "out/data.yaml").read_text())["parts"]["ner"]
    assert left_out["steps"][0]["counts"]["ner/en/test"]["unusable"] == 1
    with pytest.raises(XlingError, match="none of the 1 rows of test in en has what ner needs"):
        filled([(["a"], ["PER"])])
