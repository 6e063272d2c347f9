"""A small data folder in two made-up languages, a vocabulary of it, and its token streams."""

from pathlib import Path

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.tokens.build import TokensConfig, build_tokens
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

TEXT = {"aa": ["wiki", "web:second-half"], "bb": ["wiki"]}
CONFIG = TokensConfig(dev_share=0.1, shard_tokens=1000)


def write_text(path: Path, syllables: str, lines: int) -> None:
    random = np.random.default_rng(lines)
    words = ["".join(random.choice([*syllables], random.integers(2, 6))) for _ in range(200)]
    words += ["taxi", "12", ",", "(", "[SEP]", "\u00a0", "办公软件"]
    chosen = [" ".join(random.choice(words, random.integers(1, 12))) for _ in range(lines)]
    path.parent.mkdir(parents=True, exist_ok=True)
    # Blank lines are no text; repeated ones must stay on one side of the split.
    path.write_text("\n".join([*chosen, "", *chosen[:20]]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    root = tmp_path_factory.mktemp("data")
    write_text(root / "text" / "wiki" / "aa.txt", "abcdé", 400)
    write_text(root / "text" / "web" / "aa.txt", "abcdw", 301)
    write_text(root / "text" / "wiki" / "bb.txt", "abyzé", 350)
    return DataFolder(root)


@pytest.fixture(scope="session")
def vocabulary(data: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    out = tmp_path_factory.mktemp("built") / "vocabulary"
    # Languages and text on purpose fewer than is tokenised: w is unknown.
    config = VocabularyConfig(size=150, coverage=1.0)
    build_vocabulary(data, {"aa": ["wiki"], "bb": ["wiki"]}, config, out)
    return Vocabulary.load(out)


@pytest.fixture(scope="session")
def tokens(
    data: DataFolder, vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("built") / "tokens"
    build_tokens(data, TEXT, vocabulary, out, CONFIG, workers=1)
    return out
