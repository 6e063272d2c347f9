"""Evaluation sentences are found in text however they are written, and nothing else is."""

import pytest

from xling.data.layout import DataFolder
from xling.data.preparing.contamination import Contamination, evaluation_sentences
from xling.data.preparing.tokens import LineWords

CHINESE = "虽然美国的许多数字化转型都是史无前例的，但权力的和平转移却存在先例，奥巴马在博客中写道。"


@pytest.fixture
def found(made):
    """Tell which lines hold one of 200 English sentences or a Chinese one."""
    known = Contamination.of([*made("en", 200, seed=1), CHINESE])
    return lambda lines: known.find(LineWords.of(lines)).tolist()


PLANTED = {
    "as it is": lambda line: line,
    "upper case": str.upper,
    "other spacing": lambda line: line.replace(" ", " \t\u00a0 "),
    "no spaces at all": lambda line: line.replace(" ", ""),
    "other punctuation": lambda line: "«" + line.replace(" ", ", ").rstrip(".") + "…»",
    "full width": lambda line: "".join(
        chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in line
    ),
    "inside a paragraph": lambda line: f"Before it stands this. {line} And after it that.",
    "its last twelve words": lambda line: " ".join(line.split()[-12:]),
    "tokenised": lambda line: line.replace(".", " ."),
}


@pytest.mark.parametrize("how", PLANTED)
def test_every_planted_line_is_found(how, found, made):
    planted = [PLANTED[how](line) for line in made("en", 200, seed=1)]
    assert all(found(planted))


def test_other_lines_stay(found, made):
    ours = made("en", 2000, seed=2)
    assert not any(found(ours))
    cut = [" ".join(line.split()[:11]) for line in made("en", 200, seed=1)]
    assert not any(found(cut))


def test_scripts_without_spaces_are_found_by_characters(found):
    spaced = " ".join(CHINESE)
    inside = f"这是前面。{CHINESE.replace('，', ' ')}后面还有。"
    assert found([CHINESE, spaced, inside]) == [True, True, True]
    assert found([CHINESE[:20], "权力的和平转移却存在先例", "完全不同的一句话"]) == [False] * 3


def test_short_sentences_are_no_evidence():
    known = Contamination.of(["Yes.", "See also"])
    assert known.find(LineWords.of(["yes", "See also"])).tolist() == [False, False]


def test_what_is_saved_finds_the_same(found, made, tmp_path):
    lines = [*made("en", 50, seed=1), *made("en", 50, seed=2)]
    known = Contamination.of(made("en", 200, seed=1))
    known.save(tmp_path / "known.npz")
    again = Contamination.load(tmp_path / "known.npz").find(LineWords.of(lines))
    assert again.tolist() == known.find(LineWords.of(lines)).tolist() == found(lines)


def test_sentences_are_those_of_every_evaluation_part(folder):
    tree = ["1\tBe\t_\tVERB\t_\t_\t0\troot\t_\t_", ""]
    data = folder(
        {
            "parallel/pud/en.txt": ["parallel en"],
            "parallel/pud/fr.txt": ["parallel fr"],
            "nli/fr/test.tsv": ["premise\thypothesis\tneutral"],
            "nli/en/train.tsv": ["learnt\tfrom\tneutral"],
            "ner/fr/dev.iob2": ["Rome\tB-LOC", "burns\tO", ""],
            "ud/en/test.conllu": tree,
            "topics/en/test.tsv": ["1\thealth\ttopic"],
        }
    )
    assert {*evaluation_sentences(DataFolder(data))} == {
        *("parallel en", "parallel fr", "premise", "hypothesis", "Rome burns", "Be", "topic")
    }
