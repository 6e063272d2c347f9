"""Small data folders of sentences that nobody wrote."""

import numpy as np
import pytest

EN = (
    "the old house stands near a green river where many people walk on sunday and talk about "
    "weather music books travel money work family friends dinner history"
)
FR = (
    "la vieille maison se trouve près de cette rivière verte où beaucoup de gens marchent dimanche "
    "et parlent du temps des livres de musique et de leurs voyages"
)
WORDS = {"en": EN.split(), "fr": FR.split()}


@pytest.fixture
def made():
    """Return distinct sentences of a language: ``made("en", 100)``, the same for a seed."""

    def sentences(language: str, count: int, seed: int = 0, words: int = 14) -> list[str]:
        random = np.random.default_rng([seed, *map(ord, language)])
        lines = [
            " ".join(str(word) for word in random.choice(WORDS[language], words))
            + f" {seed}{number}."
            for number in range(count)
        ]
        return [line[0].upper() + line[1:] for line in lines]

    return sentences


@pytest.fixture
def folder(tmp_path):
    """Write a data folder from contents by place: ``folder({"text/wiki/en.txt": [...]})``."""

    def write(contents: dict[str, list[str]], name: str = "data"):
        for place, lines in contents.items():
            path = tmp_path / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return tmp_path / name

    return write
