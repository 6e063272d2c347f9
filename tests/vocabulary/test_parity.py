"""The vocabulary that cuts every language alike, beside the joint one."""

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import content_hash
from xling.tokens.build import TokensConfig, build_tokens
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

LETTERS = {"aa": "abcdefg", "bb": "hijklmn", "cc": "opqrstu"}
TEXT = {language: ["wiki"] for language in LETTERS}


def lexicon(language: str) -> list[str]:
    """Words for the same 300 meanings; those of cc are twice as long."""
    random = np.random.default_rng(ord(language[0]))
    letters = [*LETTERS[language]]
    size = 2 if language == "cc" else 1
    return ["".join(random.choice(letters, size * random.integers(3, 7))) for _ in range(300)]


@pytest.fixture(scope="module")
def unequal(tmp_path_factory) -> DataFolder:
    """Three languages, with 800, 100 and 50 lines of text and 60 parallel lines."""
    root = tmp_path_factory.mktemp("unequal")
    weights = 1 / np.arange(1, 301)
    for place, lines in (("text/wiki", {"aa": 800, "bb": 100, "cc": 50}), ("parallel/talks", None)):
        (root / place).mkdir(parents=True)
        for language in LETTERS:
            count = lines[language] if lines else 60
            random = np.random.default_rng([count, ord(language[0]) if lines else 0])
            words = lexicon(language)
            drawn = random.choice(300, (count, 8), p=weights / weights.sum())
            text = "".join(" ".join(words[m] for m in line) + "\n" for line in drawn)
            (root / place / f"{language}.txt").write_text(text)
    return DataFolder(root)


def learn(data: DataFolder, kind: str, out) -> Vocabulary:
    config = VocabularyConfig(kind=kind, size=260, coverage=1.0)
    build_vocabulary(data, TEXT, config, out)
    return Vocabulary.load(out)


def premiums(data: DataFolder, vocabulary: Vocabulary) -> dict[str, float]:
    lines = data.parallel("talks")
    tokens = {
        language: sum(
            len(vocabulary.tokenizer(language).encode(line, add_special_tokens=False).ids)
            for line in lines[language]
        )
        for language in LETTERS
    }
    return {language: count / tokens["aa"] for language, count in tokens.items()}


def test_languages_are_compressed_more_alike_than_by_a_joint_vocabulary(unequal, tmp_path):
    joint, parity = (learn(unequal, kind, tmp_path / kind) for kind in ("joint", "parity"))
    assert joint.size == parity.size == 260
    spread = {
        vocabulary.kind: max(found.values()) / min(found.values())
        for vocabulary in (joint, parity)
        for found in [premiums(unequal, vocabulary)]
    }
    assert spread["parity"] < 1.1 < 1.5 < spread["joint"]


def test_every_language_has_the_same_ids_and_its_text_comes_back(unequal, tmp_path):
    vocabulary = learn(unequal, "parity", tmp_path / "v")
    hashes = {content_hash(path) for path in vocabulary.files.values()}
    assert len(hashes) == 1
    assert vocabulary.has_one_space
    for language, lines in unequal.parallel("talks").items():
        tokenizer = vocabulary.tokenizer(language)
        assert [tokenizer.decode(tokenizer.encode(line).ids) for line in lines] == lines
    again = learn(unequal, "parity", tmp_path / "again")
    assert {content_hash(path) for path in again.files.values()} == hashes


def test_the_report_has_the_premium_of_each_language(unequal, tmp_path):
    import json

    vocabulary = learn(unequal, "joint", tmp_path / "v")
    build_tokens(unequal, TEXT, vocabulary, tmp_path / "t", TokensConfig(dev_share=0.1), 1)
    (row,) = json.loads((tmp_path / "t/report.json").read_text())["premium"]
    assert (row["set"], row["lines"]) == ("talks", 60)
    assert row["premium"] == pytest.approx(premiums(unequal, vocabulary))
    page = (tmp_path / "t/report.md").read_text()
    assert "| talks | " + " | ".join(f"{p:.2f}" for p in row["premium"].values()) + " |" in page


def test_without_a_parallel_set_there_is_no_parity(data, tmp_path):
    text = {"aa": ["wiki"], "bb": ["wiki"]}
    with pytest.raises(XlingError, match=r"no parallel set has aa, bb; .* add parallel/NAME"):
        build_vocabulary(data, text, VocabularyConfig(kind="parity", size=120), tmp_path / "v")
    assert not (tmp_path / "v").exists()
