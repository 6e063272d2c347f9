"""Two made-up languages whose tasks follow trivial rules, and a tiny family that can learn them."""

from pathlib import Path

import pytest
import torch

from xling.data.layout import DataFolder
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.model.storage import save_family
from xling.randomness import generator
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

SHAPE = ModelShape(layers=2, heads=2, hidden=32, feed_forward=64, dropout=0.0, max_length=24)
LANGUAGES = ("aa", "bb")
# What a word is decides its tag, its relation and a sentence's topic and label.
WORDS = {"PER": ["mira", "toma"], "LOC": ["dorf", "kalt"], "O": ["the", "goes", "and", "big"]}


def sentences(language: str, split: str, count: int) -> list[list[str]]:
    random = generator(1, f"{language} {split}")
    words = [word for group in WORDS.values() for word in group]
    return [
        [words[i] for i in random.integers(len(words), size=random.integers(2, 9))]
        for _ in range(count)
    ]


def kind(word: str) -> str:
    return next(name for name, group in WORDS.items() if word in group)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_tasks(root: Path, language: str, split: str, count: int) -> None:
    made = sentences(language, split, count)
    tags = ["".join(f"{w}\t{'O' if kind(w) == 'O' else 'B-' + kind(w)}\n" for w in s) for s in made]
    write(root / "ner" / language / f"{split}.iob2", "\n".join(tags) + "\n")
    trees = []
    for words in made:
        rows = [
            f"{n}\t{w}\t_\tX\t_\t_\t{n - 1}\t{'root' if n == 1 else kind(w).lower() + ':x'}\t_\t_\n"
            for n, w in enumerate(words, 1)
        ]
        trees.append("".join(rows))
    write(root / "ud" / language / f"{split}.conllu", "\n".join(trees) + "\n")
    labels = {"PER": "entailment", "LOC": "neutral", "O": "contradiction"}
    pairs = [f"{' '.join(s)}\t{s[0]} {s[-1]}\t{labels[kind(s[0])]}\n" for s in made]
    write(root / "nli" / language / f"{split}.tsv", "".join(pairs))
    topics = [f"{n}\t{kind(s[0])}\t{s[0]} {s[0]}\n" for n, s in enumerate(made)]
    write(root / "topics" / language / f"{split}.tsv", "".join(topics))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: aa has train, dev and test of every task, bb has them too."""
    root = tmp_path_factory.mktemp("data")
    for language in LANGUAGES:
        for split, count in (("train", 96), ("dev", 24), ("test", 24)):
            write_tasks(root, language, split, count)
        lines = [" ".join(s) for s in sentences(language, "text", 100)]
        write(root / "text" / "wiki" / f"{language}.txt", "\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def vocabulary(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    out = tmp_path_factory.mktemp("vocabulary") / "out"
    text = {language: ["wiki"] for language in LANGUAGES}
    build_vocabulary(DataFolder(data), text, VocabularyConfig(size=50), out)
    return Vocabulary.load(out)


@pytest.fixture(scope="session")
def make_model(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory):
    """The function that saves a tiny family: (separate parts, other settings) to its folder."""

    def make(*separate: str, **settings) -> Path:
        family = Family.build(
            ModelShape.model_validate({**SHAPE.model_dump(), **settings}),
            dict.fromkeys(LANGUAGES, vocabulary.size),
            SharingPlan.parse(separate, SHAPE.layers),
            seed=1,
        )
        folder = tmp_path_factory.mktemp("model") / "model"
        save_family(family, vocabulary, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def model(make_model) -> Path:
    return make_model()


@pytest.fixture(scope="session")
def dropout_model(make_model) -> Path:
    """One whose dropout would show in every score that is computed with it."""
    return make_model(dropout=0.3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
