"""A small data folder in two made-up languages that share some words, and Chinese."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

Build = Callable[..., Vocabulary]

SYLLABLES = {
    "aa": "ba be bi bo ka ke ki ko ma me mi mo",
    "bb": "ra re ri ro ka ke ki ko za ze zi zo",
}
SHARED = ["taxi", "12", "3", ",", ".", "(", ")", "café"]
CHINESE = "我们在这个国家的语言里学习语言，语言是国家的LibreOffice语言。"


def sentences(language: str, number: int, seed: int = 0) -> list[str]:
    """Zipf-distributed words of two or three syllables, with shared words and punctuation."""
    random = np.random.default_rng(seed + len(SYLLABLES[language]) + ord(language[0]))
    syllables = SYLLABLES[language].split()
    words = ["".join(random.choice(syllables, random.integers(2, 4))) for _ in range(80)]
    lexicon = [*words, *SHARED]
    weights = 1 / np.arange(1, len(lexicon) + 1)
    order = random.permutation(len(lexicon))
    return [
        " ".join(
            lexicon[order[index]]
            for index in random.choice(len(lexicon), 9, p=weights / weights.sum())
        )
        for _ in range(number)
    ]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    root = tmp_path_factory.mktemp("data")
    for domain, number in (("wiki", 300), ("web", 100)):
        (root / "text" / domain).mkdir(parents=True)
        for language in SYLLABLES:
            lines = sentences(language, number, seed=number)
            path = root / "text" / domain / f"{language}.txt"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "text" / "wiki" / "zh.txt").write_text((CHINESE + "\n") * 20, encoding="utf-8")
    return DataFolder(root)


@pytest.fixture(scope="session")
def build(data: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a vocabulary once for each set of settings."""
    built: dict[str, Vocabulary] = {}

    def _build(kind: str = "joint", size: int = 120, languages: str = "aa bb") -> Vocabulary:
        key = f"{kind} {size} {languages}"
        if key not in built:
            out = tmp_path_factory.mktemp("vocabulary") / "v"
            config = VocabularyConfig(kind=kind, size=size, coverage=1.0)
            text = {language: ["wiki"] for language in languages.split()}
            build_vocabulary(data, text, config, out)
            built[key] = Vocabulary.load(out)
        return built[key]

    return _build


@pytest.fixture
def lines(data: DataFolder) -> Callable[[str], list[str]]:
    def _lines(language: str) -> list[str]:
        path: Path = data.text("wiki", language)
        return path.read_text(encoding="utf-8").splitlines()

    return _lines
