"""Two made-up languages as text, vocabulary and token streams, and runs of a tiny model."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml

from xling.data.layout import DataFolder
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.pretraining import preflight
from xling.pretraining.batches import BatchMaker, LanguageText
from xling.pretraining.code_switching import make_switchers
from xling.pretraining.config import CodeSwitching, PretrainingConfig, RunConfig
from xling.pretraining.run import pretrain
from xling.tokens.build import TokensConfig, build_tokens
from xling.tokens.streams import TokenStream
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

SHAPE = ModelShape(layers=2, heads=2, hidden=16, feed_forward=24, dropout=0.0, max_length=16)
OTHERS = {
    "bert-rotary": {"positions": "rotary"},
    **{name: {"architecture": name} for name in ("xlm-roberta", "modernbert", "llama")},
}


class Corpus(NamedTuple):
    """Folders of the stages before pretraining."""

    data: Path
    tokens: Path
    vocabulary: Path

    def tokenise(self, out: Path) -> None:
        text = {language: ["wiki"] for language in ("aa", "bb")}
        words = Vocabulary.load(self.vocabulary)
        build_tokens(DataFolder(self.data), text, words, out, TokensConfig(dev_share=0.1), 1)

    def text(self, language: str, switching: CodeSwitching | None = None) -> LanguageText:
        vocabulary = Vocabulary.load(self.vocabulary)
        switchers = {}
        if switching:
            data = DataFolder(self.data)
            switchers = make_switchers(data, vocabulary, ["aa", "bb"], switching)
        return LanguageText(
            TokenStream.open(self.tokens, language, "train"),
            vocabulary.own_ids(language),
            switchers.get(language),
        )


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Results are compared bit for bit with those of processes that have one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def no_burst_of_products():
    """Measuring the peak takes longer than a tiny run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "matmul_peak", lambda *_: 1e11)
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    text, lexicon = {}, []
    for language, letters, lines in (("aa", "abcde", 400), ("bb", "abxyz", 150)):
        words = ["".join(random.choice([*letters], random.integers(2, 6))) for _ in range(80)]
        lexicon.append(dict.fromkeys(words))
        drawn = [" ".join(random.choice(words, random.integers(3, 9))) for _ in range(lines)]
        path = root / "data" / "text" / "wiki" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(drawn) + "\n", encoding="utf-8")
        path = root / "data" / "parallel" / "made" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(drawn[:40]) + "\n", encoding="utf-8")
        text[language] = ["wiki"]
    pairs = [f"{word}\t{other}" for word, other in zip(*lexicon, strict=False)]
    path = root / "data" / "dictionaries" / "aa-bb.train.tsv"
    path.parent.mkdir()
    path.write_text("\n".join(pairs) + "\n", encoding="utf-8")
    data = DataFolder(root / "data")
    config = VocabularyConfig(kind="disjoint", size=120)
    build_vocabulary(data, text, config, root / "vocabulary")
    made = Corpus(root / "data", root / "tokens", root / "vocabulary")
    made.tokenise(made.tokens)
    return made


def shape_of(kind: str) -> ModelShape:
    """The tiny shape of an architecture."""
    return ModelShape.model_validate({**SHAPE.model_dump(), **OTHERS.get(kind, {})})


@pytest.fixture(scope="session", params=OTHERS)
def kind(request) -> str:
    """Each architecture but the default in turn."""
    return request.param


def pretraining_config(**changes) -> PretrainingConfig:
    settings = {
        "seed": 3,
        "steps": 12,
        "rows": 8,
        "length": 16,
        "dev_rows": 4,
        "evaluate_every": 6,
        "checkpoint_every": 4,
        "log_every": 1,
        "precision": "fp32",  # on every machine
        "optimizer": {"name": "adamw", "learning_rate": 1e-2, "warmup_steps": 2},
    }
    return PretrainingConfig(**{**settings, **changes})


@pytest.fixture(scope="session")
def with_own_tokens(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same text, cut alike, with ids of each language's own."""
    root = tmp_path_factory.mktemp("own")
    text = {language: ["wiki"] for language in ("aa", "bb")}
    config = VocabularyConfig(kind="separate", size=120)
    build_vocabulary(DataFolder(corpus.data), text, config, root / "vocabulary")
    made = Corpus(corpus.data, root / "tokens", root / "vocabulary")
    made.tokenise(made.tokens)
    return made


@pytest.fixture(scope="session")
def configure():
    """The function that makes pretraining settings: changes from a tiny default."""
    return pretraining_config


@pytest.fixture(scope="session")
def run_config():
    """The function that makes a run: (separate parts, changes of the pretraining settings)."""

    def make(*separate: str, dropout: float = 0.0, kind: str = "bert", **changes) -> RunConfig:
        return RunConfig(
            languages=("aa", "bb"),
            model=shape_of(kind).model_copy(update={"dropout": dropout}),
            separate=separate,
            pretraining=pretraining_config(**changes),
        )

    return make


@pytest.fixture(scope="session")
def maker(corpus: Corpus):
    """The function that makes a BatchMaker: (languages, objective, settings)."""

    def make(languages: str = "aa bb", objective: str = "mlm", **changes) -> BatchMaker:
        config = pretraining_config(**changes)
        texts = {k: corpus.text(k, config.code_switching) for k in languages.split()}
        texts = {key: replace(text, objective=objective) for key, text in texts.items()}
        return BatchMaker(texts, config, Vocabulary.special_ids)

    return make


@pytest.fixture(scope="session")
def family(corpus: Corpus):
    """The function that builds a family of the corpus' vocabulary: (separate parts, kind)."""

    def build(*separate: str, kind: str = "bert") -> Family:
        size = Vocabulary.load(corpus.vocabulary).size
        plan = SharingPlan.parse(separate, SHAPE.layers)
        return Family.build(shape_of(kind), {"aa": size, "bb": size}, plan, seed=1)

    return build


@pytest.fixture(scope="session")
def run_here(corpus: Corpus):
    """The function that pretrains in this process: (out, run, corpus)."""

    def run(out: Path, config: RunConfig, of: Corpus = corpus) -> Path:
        pretrain(of.tokens, of.vocabulary, out, config, of.data)
        return out

    return run


@pytest.fixture
def write_run(corpus: Corpus, tmp_path: Path):
    """The function that writes the settings of a run and returns its verb: (out, run, corpus)."""

    def write(out: Path, config: RunConfig, of: Corpus = corpus) -> tuple[str, ...]:
        settings = tmp_path / f"{out.name}.yaml"
        settings.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
        return (
            *("pretrain", str(of.tokens), "--vocabulary", str(of.vocabulary)),
            *("--out", str(out), "--config", str(settings), "--data", str(of.data)),
        )

    return write


@pytest.fixture
def launch(write_run, corpus: Corpus):
    """The function that starts ``xling pretrain``: (out, run, processes under torchrun, corpus)."""
    started = []

    def start(
        out: Path, config: RunConfig, processes: int = 1, of: Corpus = corpus
    ) -> subprocess.Popen:
        # A port of its own: other tests may be under torchrun at the same time.
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        torchrun.append("-m")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", *(torchrun if processes > 1 else ()), "xling"),
                *write_run(out, config, of),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def log_entries(out: Path) -> list[dict]:
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def entries():
    """The function that reads a run's log."""
    return log_entries


@pytest.fixture(scope="session")
def curve():
    """The function that reads (step, kind, language) -> loss, or cosine, from a run's log."""

    def read(out: Path) -> dict[tuple, float]:
        figure = {"gradients": "cosine"}
        return {
            (e["step"], e["kind"], e["language"]): e[figure.get(e["kind"], "loss")]
            for e in log_entries(out)
        }

    return read
