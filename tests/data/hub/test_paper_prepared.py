"""The paper's data from local copies of the hub's sets, prepared as its studies do, to tokens."""

import os
from pathlib import Path

import pytest
import rjieba
from sacremoses import MosesPunctNormalizer

from xling.data.layout import DataFolder
from xling.data.preparing.prepare import prepare
from xling.study.config import StudyConfig
from xling.study.plan import Planner
from xling.study.shipped import find_study
from xling.tokens.build import TokensConfig, build_tokens
from xling.tokens.streams import TokenStream
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

STUDIES = ("paper/default", "paper/factors", "paper/geometry")
WORDS = {"fr": "maison", "de": "Haus", "ru": "дом", "zh": "房子"}


@pytest.fixture(scope="module")
def whole(paper_data, tmp_path_factory) -> Path:
    """The paper's data with a dictionary of every pair."""
    root = tmp_path_factory.mktemp("whole") / "data"
    for path in paper_data.rglob("*"):
        if path.is_file():
            target = root / path.relative_to(paper_data)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    for language, word in WORDS.items():
        for split in ("train", "test"):
            path = root / f"dictionaries/en-{language}.{split}.tsv"
            path.unlink(missing_ok=True)
            path.write_text(f"house\t{word}\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == "paper/factors" else pytest.mark.slow) for n in STUDIES],
)
def test_the_paper_s_studies_can_be_planned_as_they_are(name, whole):
    study = StudyConfig.load(find_study(Path(name)), whole)
    plan = Planner(study, whole).plan()
    prepared = {job.name.split("/")[1].rpartition("-")[0] for job in plan.jobs[:6]}
    assert {"en", "fr", "all"} <= prepared
    if name != "paper/default":
        assert {"zh", "ru"} <= prepared
        assert any(run.pair == ("en", "zh") for run in plan.runs)


def test_chinese_and_english_go_to_tokens(whole, tmp_path):
    steps = StudyConfig.load(find_study(Path("paper/default"))).prepare
    for language in ("en", "zh"):
        prepare([DataFolder(whole)], steps, tmp_path / language, 1, [language])
    nothing = steps.model_copy(update={"moses": False, "segment": False})
    parts = [DataFolder(tmp_path / language) for language in ("en", "zh")]
    prepare(parts, nothing, tmp_path / "all", 1)
    data = DataFolder(tmp_path / "all")
    normal = MosesPunctNormalizer(
        "zh", pre_replace_unicode_punct=True, post_remove_control_chars=True
    )
    raw = DataFolder(whole).text("wiki", "zh").read_text("utf-8").splitlines()
    lines = data.text("wiki", "zh").read_text("utf-8").splitlines()
    cut = [" ".join(" ".join(rjieba.cut(normal.normalize(line))).split()) for line in raw]
    assert lines == cut
    assert len(lines) > 50
    text = {language: ["wiki"] for language in ("en", "zh")}
    build_vocabulary(data, text, VocabularyConfig(size=200), tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    build_tokens(data, text, vocabulary, tmp_path / "t", TokensConfig(dev_share=0.1), 1)
    own = vocabulary.tokens("zh")
    ids = TokenStream.open(tmp_path / "t", "zh", "train").rows([0], 40)[0]
    # No token crosses the bounds of a word.
    words = {word for line in lines for word in line.split()}
    assert all(any(own[i].strip("▁") in word for word in words) for i in ids if i > 4)
    # Words of a dictionary are words of the text now, as extra anchors and maps need them.
    assert sum("房子" in line.split() for line in lines) > 5
    assert not any("房子" in line.split() for line in raw)
    for name in data.parallel_sets("en", "zh"):
        sizes = {len(found) for found in data.parallel(name, "en", "zh").values()}
        assert len(sizes) == 1
