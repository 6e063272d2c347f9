"""The pages that take a reader by the hand, followed to the letter on tiny data.

Settings are those of the page with only the numbers below made smaller.
"""

import gzip
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from xling.cli import app

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = {"size": 120}
MODEL = {"layers": 2, "heads": 2, "hidden": 16, "feed_forward": 32}
PRETRAINING = {
    "steps": 4,
    "precision": "fp32",  # quicker for so small a model
    "rows": 4,
    "evaluate_every": 2,
    "checkpoint_every": 2,
    "optimizer": {"warmup_steps": 1},
}
SMALLER: dict[str, dict[str, Any]] = {
    "prepare.yaml": {},
    "tokens.yaml": {"tokens": {"dev_share": 0.1}},
    "pretrain.yaml": {"model": MODEL, "pretraining": PRETRAINING},
    "probe.yaml": {"probe": {"random_seeds": [1], "resamples": 20}},
    "e5.yaml": {"probe": {"random_seeds": [1], "resamples": 20}},
    "mystudy.yaml": {
        "vocabulary": VOCABULARY,
        "tokens": {"dev_share": 0.1},
        "model": MODEL,
        "pretraining": PRETRAINING,
        "probe": {"random_seeds": [1], "resamples": 20},
        "seeds": [1],
        "variants": {"default": None},
    },
    "similarity.yaml": {"random_seeds": [1], "resamples": 20},
    "sentences.yaml": {"resamples": 20},
    "words.yaml": {"resamples": 20, "static_width": 8},
    "transfer.yaml": {"epochs": 1, "encoder_rates": [0.001], "resamples": 20},
    "demo.yaml": {
        "vocabulary": {"size": 300},
        "model": {"layers": 2, "heads": 2, "hidden": 16, "feed_forward": 32},
        "pretraining": {**PRETRAINING, "snapshots": 0},
        "probe": {"random_seeds": [1], "resamples": 20},
        "variants": {"no-anchors": None},
    },
}
# The demo's world with everything that it makes cut to a handful.
WORLD = {
    "domains": {"wiki": {"sentences": 400}, "web": {"sentences": 20}},
    "parallel": {"heldout": 30, "paraphrase": 10},
    **{task: {"train": 4, "dev": 4, "test": 4} for task in ("ner", "ud", "nli", "topics")},
}


def smaller(settings: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over settings; None takes a key out."""
    result = dict(settings)
    for key, value in changes.items():
        if value is None:
            del result[key]
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = smaller(result[key], value)
        else:
            result[key] = value
    return result


def write_smaller(text: str, path: Path) -> None:
    content = smaller(yaml.safe_load(text), SMALLER[path.name])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def run(command: str, *more: str) -> str:
    """Run a command of the page as the shell would, and return what it prints."""
    words = [*shlex.split(command, comments=True), *more]
    assert words[0] == "xling"
    result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, (command, result.output)
    return result.output


def follow(page: list, also: Mapping[str, tuple[str, ...]] | None = None) -> dict[str, Any]:
    """Do what a page says, in its order: write its files, run its commands and its code.

    Args:
        page: Its blocks.
        also: Beginnings of commands, to arguments that make them small.

    Returns:
        The names that its code has defined.
    """
    names: dict[str, Any] = {}
    for language, text in page:
        name = re.match(r"# ([\w.-]+\.yaml)\n", text)
        if language == "yaml" and name:
            write_smaller(text, Path(name[1]))
        elif language == "sh":
            for line in text.splitlines():
                more = [a for start, a in (also or {}).items() if line.startswith(start)]
                run(line, *(more[0] if more else ()))
        elif language == "python":
            exec(compile(text, "page", "exec"), names)
    return names


@pytest.mark.slow
def test_bring_your_own_language(workplace, blocks, capsys):
    for name in ("tokens.yaml", "probe.yaml"):
        write_smaller("{}", workplace / name)
    smaller = {f"xling {verb}": ("--config", f"{verb}.yaml") for verb in ("tokens", "probe")}
    smaller |= {"xling vocabulary": ("--size", "120"), "xling study run": ("--jobs", "1")}
    follow(blocks("docs/bring-your-own-language.md"), smaller)
    assert (workplace / "own/tokens/report.md").is_file()
    assert (workplace / "own/run/model/sw/model.safetensors").is_file()
    scores = (workplace / "own/scores/scores.csv").read_text()
    for words in ("retrieval-anchor-free", "untrained,,p@1-centred", "en-sw"):
        assert words in scores
    report = workplace / "runs/mystudy/report.html"
    assert report.is_file()
    # The page about reports writes that of a study anew.
    (workplace / "out").mkdir()
    (workplace / "out/my-study").symlink_to(report.parent)
    report.unlink()
    (code,) = [text for language, text in blocks("docs/report.md") if language == "python"]
    exec(compile(code, "report.md", "exec"), {})
    assert report.is_file()


@pytest.mark.slow
def test_your_language(workplace, blocks, capsys):
    """The raw files are those that every page has, as a reader might have found them."""
    raw, wiki = workplace / "raw", workplace / "swwiki/text/AA"
    for folder in (raw, wiki):
        folder.mkdir(parents=True)
    for code in ("en", "sw"):
        text = (workplace / f"mydata/text/wiki/{code}.txt").read_text()
        packed = gzip.compress(text.replace("\n", "\r\n\r\n", 1).encode())
        (raw / f"news.{code}.txt.gz").write_bytes(packed)
        (workplace / f"mydata/parallel/talks/{code}.txt").rename(raw / f"talks.{code}")
    (raw / "news.en.txt").write_bytes(gzip.decompress((raw / "news.en.txt.gz").read_bytes()))
    (raw / "news.en.txt.gz").unlink()
    articles = (workplace / "mydata/text/web/sw.txt").read_text().splitlines()
    rows = [{"id": "1", "revid": "2", "url": "u", "title": "T", "text": "\n\n".join(articles)}]
    (wiki / "wiki_00").write_text("".join(json.dumps(row) + "\n" for row in rows))
    follow(blocks("docs/your-language.md"))
    assert (workplace / "first/text/wiki/sw.txt").read_text().splitlines() == articles
    steps = yaml.safe_load((workplace / "mylanguage/data.yaml").read_text())["parts"]
    done = [step["step"] for step in steps["text/news/sw"]["steps"]]
    assert done[0] == "import"
    assert {"duplicates", "moses"} <= set(done)
    assert steps["text/news/sw"]["licence"] == "CC-BY-4.0"
    card = (workplace / "card.html").read_text()
    assert "news.sw.txt.gz" in card
    assert "moses" in card


@pytest.fixture
def models(workplace) -> None:
    """Write the encoders of the page, made by the page before it."""
    from xling.data.layout import DataFolder
    from xling.model.architecture import ModelShape
    from xling.model.family import Family
    from xling.model.sharing import SharingPlan
    from xling.model.storage import save_family
    from xling.vocabulary.build import VocabularyConfig, build_vocabulary
    from xling.vocabulary.vocabulary import Vocabulary

    text = {language: ["wiki"] for language in ("en", "sw")}
    folder = workplace / "vocabulary"
    build_vocabulary(
        DataFolder(workplace / "mydata"), text, VocabularyConfig(kind="joint", size=120), folder
    )
    vocabulary = Vocabulary.load(folder)
    shape = ModelShape(**MODEL, dropout=0.0, max_length=64)
    family = Family.build(shape, vocabulary.sizes, SharingPlan(), seed=1)
    (workplace / "models").mkdir()
    save_family(family, vocabulary, workplace / "family")
    for name, language in (("multi", "en"), ("en", "en"), ("sw", "sw")):
        (workplace / "models" / name).symlink_to(workplace / "family" / language)


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_bring_your_own_model(workplace, blocks, capsys):
    verbs = ("similarity", "align sentences", "align words", "transfer")
    smaller = {}
    for verb in verbs:
        path = workplace / f"{verb.split()[-1]}.yaml"
        write_smaller("{}", path)
        smaller[f"xling {verb}"] = ("--config", path.name)
    names = follow(blocks("docs/bring-your-own-model.md"), smaller)
    assert names["scores"].condition.eq("untrained").any()

    for folder, metric in (
        ("multi", "untrained,,cka"),
        ("probe", "retrieval-anchor-free"),
        ("e5", "retrieval-anchor-free"),
        ("compared", "aligned-retrieval"),
        ("sentences", "p@1-csls"),
        ("words", "p@1"),
        ("transfer", "f1"),
    ):
        assert metric in (workplace / "own" / folder / "scores.csv").read_text(), folder
    assert (workplace / "en-sw" / "README.md").is_file()


@pytest.mark.slow
def test_quick_start(workplace, blocks, monkeypatch):
    """Its ``make demo`` is the recipe of the Makefile, on a demo made small."""
    for name in ("demo.yaml", "worlds/demo.yaml"):
        text = (ROOT / "studies" / name).read_text(encoding="utf-8")
        if name == "demo.yaml":
            write_smaller(text, workplace / "studies" / name)
        else:
            world = yaml.safe_dump(smaller(yaml.safe_load(text), WORLD))
            (workplace / "studies/worlds").mkdir()
            (workplace / "studies/worlds/demo.yaml").write_text(world, encoding="utf-8")
    monkeypatch.setattr("xling.study.shipped.shipped_folder", lambda: workplace / "studies")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^demo:.*\n\t\$\(BIN\)/(.*)$", makefile, re.MULTILINE)[1]
    for language, text in blocks("docs/quickstart.md"):
        if language != "sh":
            continue
        for line in text.splitlines():
            if line == "make demo":
                run(recipe, "--jobs", "1")
            elif line.startswith("xling"):
                run(line)
            else:
                assert "make setup" in line or line.startswith(("source", "pip install"))
    assert (workplace / "runs/demo/report.html").is_file()
