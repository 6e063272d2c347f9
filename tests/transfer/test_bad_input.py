"""Items that a model cannot get right are counted as wrong; unusable files are clear errors."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from xling.data.conllu import read_conllu
from xling.data.iob2 import read_iob2
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.transfer.config import TransferConfig
from xling.transfer.stage import transfer

METRIC = {"ner": "f1", "parsing": "las", "nli": "accuracy", "topics": "accuracy"}
LONG = "mira" * 30  # many times the window of 24 tokens


def config(task: str) -> TransferConfig:
    settings = {"source": "aa", "targets": ["bb"], "batch_sizes": [8], "encoder_rates": [5e-3]}
    return TransferConfig.model_validate({**settings, "task": task, "epochs": 15, "resamples": 0})


def scores(out: Path) -> dict[tuple[str, str], float]:
    frame = pd.read_csv(out / "scores.csv")
    frame = frame[frame["condition"] == "trained"]
    keys = zip(frame["language"], frame["metric"], strict=True)
    return dict(zip(keys, frame["value"], strict=True))


@pytest.fixture
def edit(data: Path, tmp_path: Path):
    """The function that copies the data with one file changed: (name, change)."""

    def make(name: str, change) -> Path:
        copy = tmp_path / "data"
        shutil.copytree(data, copy)
        path = copy / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        return copy

    return make


@pytest.mark.parametrize(
    ("task", "name", "old", "new"),
    [
        ("topics", "topics/bb/test.tsv", "\tPER\t", "\tNEW\t"),
        ("ner", "ner/bb/test.iob2", "\tB-PER\n", "\tB-NEW\n"),
        pytest.param(
            *("parsing", "ud/bb/test.conllu", "\tper:x\t", "\tnew\t"), marks=pytest.mark.slow
        ),
    ],
)
def test_labels_unseen_in_training_count_as_wrong(model, edit, tmp_path, task, name, old, new):
    copy = edit(name, lambda text: text.replace(old, new))
    assert new in (copy / name).read_text(encoding="utf-8")
    transfer(str(model), copy, tmp_path / "out", config(task))
    found = scores(tmp_path / "out")
    share = found["bb", "unseen-labels"]
    assert 0 < share < 1
    assert found["aa", "unseen-labels"] == 0
    assert found["aa", METRIC[task]] > 0.95
    if task == "ner":
        # All others are found, and what was said in place of NEW counts against precision too.
        tags = [tag for _, tags in DataFolder(copy).ner("bb", "test") for tag in tags]
        others = sum(tag == "B-LOC" for tag in tags) / sum(tag != "O" for tag in tags)
        assert found["bb", "f1"] == pytest.approx(others, abs=0.05)
    else:
        assert 0.95 - share < found["bb", METRIC[task]] <= 1 - share


@pytest.mark.parametrize("task", ["ner", pytest.param("parsing", marks=pytest.mark.slow)])
def test_a_word_longer_than_the_window_is_scored_like_any_other(model, data, edit, tmp_path, task):
    item = {
        "ner": f"{LONG}\tB-PER\nthe\tO\n\n",
        "parsing": f"1\t{LONG}\t_\tX\t_\t_\t0\troot\t_\t_\n2\tthe\t_\tX\t_\t_\t1\to:x\t_\t_\n\n",
    }[task]
    name = {"ner": "ner/bb/test.iob2", "parsing": "ud/bb/test.conllu"}[task]
    copy = edit(name, lambda text: item + text)
    transfer(str(model), copy, tmp_path / "out", config(task))
    found = scores(tmp_path / "out")
    assert (found["bb", "truncated"], found["bb", "sentences"]) == (1, 25)
    written = tmp_path / "out" / "predictions" / task / Path(name).with_stem("bb").name
    if task == "ner":
        forms = [one.tokens for one in read_iob2(written)]
        assert forms == [tokens for tokens, _ in DataFolder(copy).ner("bb", "test")]
    else:
        guesses, gold = list(read_conllu(written)), list(DataFolder(copy).treebank("bb", "test"))
        assert [tree.forms for tree in guesses] == [tree.forms for tree in gold]
        right = sum(
            (head, label.partition(":")[0]) == (other, name.partition(":")[0])
            for tree, guess in zip(gold, guesses, strict=True)
            for head, label, other, name in zip(
                tree.heads, tree.relations, guess.heads, guess.relations, strict=True
            )
        )
        words = sum(len(tree.forms) for tree in gold)
        assert found["bb", "las"] == pytest.approx(right / words)


NO_HEADS = "1\tthe\t_\tX\t_\t_\t_\t_\t_\t_\n\n"


@pytest.mark.parametrize(
    ("task", "name", "change", "message"),
    [
        ("parsing", "ud/aa/train.conllu", lambda t: t + NO_HEADS, r"train.conllu.*found head '_'"),
        ("parsing", "ud/aa/dev.conllu", lambda _: NO_HEADS, r"dev.conllu, line 1: found head '_'"),
        ("parsing", "ud/bb/test.conllu", lambda _: NO_HEADS, r"bb/test.conllu.*found head '_'"),
        ("parsing", "ud/bb/test.conllu", lambda _: "# text = \n\n", "line"),
        ("parsing", "ud/bb/test.conllu", lambda _: "", "holds no sentence"),
        ("ner", "ner/aa/train.iob2", lambda _: "\n\n", "holds no sentence"),
        ("ner", "ner/aa/train.iob2", lambda _: "a\tO\nb\tO\n", r"train.iob2: every tag is O"),
        ("ner", "ner/bb/test.iob2", lambda _: "a\tO\nb\tO\n", r"bb/test.iob2: every tag is O"),
        ("ner", "ner/aa/train.iob2", lambda _: "\tO\n", r"train.iob2, line 1"),
        ("topics", "topics/aa/dev.tsv", lambda _: "1\tPER\t\n", "line 1: the text is empty"),
        ("topics", "topics/aa/dev.tsv", lambda _: "1\tPER\t \n", "line 1: the text is empty"),
        ("nli", "nli/aa/train.tsv", lambda _: "\tB.\tneutral\n", "line 1: the premise is empty"),
        ("nli", "nli/bb/test.tsv", lambda _: "A.\t \tneutral\n", "line 1: the hypothesis is empty"),
    ],
)
def test_unusable_data_is_a_clear_error(model, edit, tmp_path, task, name, change, message):
    copy = edit(name, change)
    with pytest.raises(XlingError, match=message):
        transfer(str(model), copy, tmp_path / "out", config(task))
    assert not (tmp_path / "out").exists()
