"""Codes with hyphens in studies, names that look like something else, and jobs without a shell."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xling.errors import XlingError
from xling.report.coverage import cut_lines
from xling.report.load import comparisons, load_study
from xling.report.scores import split_scores
from xling.report.tasks import task_tables, transfer_scores
from xling.study.config import StudyConfig
from xling.study.job import verb_of
from xling.study.plan import Planner, plan_as_json
from xling.study.plan_text import Outline
from xling.study.results import collect_results


@pytest.fixture
def hyphens(tmp_path, make_data):
    """Return data whose second language has a hyphen in its code."""
    data = make_data(tmp_path / "data", {"en": 1, "fr": 2})
    for path in [*data.rglob("fr.txt")]:
        path.rename(path.with_name("zh-Hans.txt"))
    return data


@pytest.mark.parametrize(
    "pairs",
    [["en-zh-Hans"], [["en", "zh-Hans"]], ["en+zh-Hans"], [["en", "zh-Hans"], "zh-Hans-en"]],
)
def test_pairs_are_cut_at_the_languages_there_are(study_file, hyphens, pairs):
    study = StudyConfig.load(study_file(pairs=pairs), hyphens)
    assert study.pairs == ("en+zh-Hans", "zh-Hans+en")[: len(pairs)]
    plan = Planner(study, hyphens).plan()
    assert plan.runs[0].pair == ("en", "zh-Hans")
    assert {job.folder.split("/")[1] for job in plan.jobs} == set(study.pairs)


def test_codes_without_hyphens_keep_their_jobs_names(study_file, data):
    plans = [
        Planner(StudyConfig.load(study_file(pairs=pairs), data), data).plan()
        for pairs in (["en-fr"], [["en", "fr"]])
    ]
    assert plans[0] == plans[1]
    assert all(job.name.startswith("en-fr/") for job in plans[0].jobs)


def test_without_data_scripts_and_regions_belong_to_their_codes(study_file):
    study = StudyConfig.load(study_file(pairs=["en-pt-BR", "en-fr-ru"]))
    assert study.pairs == ("en+pt-BR", "en-fr-ru")
    assert [run.pair for run in Outline(study).plan().runs[:1]] == [("en", "pt-BR")]
    named = StudyConfig.load(study_file(pairs=["en-x-y"], text={"en": ["wiki"], "x-y": ["wiki"]}))
    assert named.pairs == ("en+x-y",)


def test_pairs_that_can_be_read_in_two_ways(study_file, hyphens):
    for path in [*hyphens.rglob("zh-Hans.txt")]:
        shutil.copy(path, path.with_name("zh.txt"))
        shutil.copy(path, path.with_name("Hans.txt"))
    path = study_file(pairs=["en-zh-Hans"])
    with pytest.raises(XlingError, match=r"'en-zh-Hans' is \[en, zh.*write the one .* as a list"):
        StudyConfig.load(path, hyphens)
    assert StudyConfig.load(study_file(pairs=[["en", "zh-Hans"]]), hyphens).pairs == ("en+zh-Hans",)


def test_like_names_pairs_as_pairs_do(study_file, hyphens):
    path = study_file(pairs=[["en", "zh-Hans"]], like={"en-zh-Hans": "zh"})
    assert StudyConfig.load(path, hyphens).like == {"en+zh-Hans": "zh"}


@pytest.mark.parametrize(
    ("pair", "fault"),
    [
        (["en", False], r'pairs: found False, which is not text \(quote it: "no"\)'),
        (["en", 7], "pairs: found 7, which is not text but a number"),
        (["en"], "expected two or more different languages"),
        ("en-en", "expected two or more different languages"),
        ("en-b$(touch PWNED)", r"pairs: 'b\$\(touch PWNED\)' is not a name of a language"),
        (["en", "../fr"], r"pairs: '\.\./fr' is not a name of a language"),
        ({"en": "fr"}, "pairs: found"),
        (False, "pairs: found False, which is not text"),
    ],
)
def test_what_is_no_pair(study_file, pair, fault):
    with pytest.raises(XlingError, match=fault) as caught:
        StudyConfig.load(study_file(pairs=[pair]))
    assert str(caught.value).startswith(str(study_file()))


@pytest.mark.parametrize("name", [False, 7, None, "a b", "../x", "$(x)"])
def test_names_of_variants_and_studies(study_file, name):
    for changes in ({"name": name}, {"variants": [name]}, {"variants": {name: {}}}):
        if changes == {"name": None}:
            continue  # an empty setting is one that is not there
        with pytest.raises(XlingError, match=r"is not a name|which is not text|name: "):
            StudyConfig.load(study_file(**changes))


def test_a_job_knows_its_verb(study_file, hyphens):
    changes = {"geometry": {"variants": ["default"], "words": {}, "train": "held-out"}}
    (hyphens / "dictionaries").mkdir()
    for split in ("train", "test"):
        (hyphens / "dictionaries" / f"en-zh-Hans.{split}.tsv").write_text("a\tb\n")
    study = StudyConfig.load(study_file(pairs=["en-zh-Hans"], **changes), hyphens)
    plan = Planner(study, hyphens).plan()
    written = {**plan_as_json(plan), "data": plan.data, "given": plan.given}
    verbs = {job.stage: (job, verb_of(job.folder, written, 3)) for job in plan.jobs}
    job, verb = verbs["tokens"]
    assert verb[:4] == ["tokens", str(hyphens), "--vocabulary", job.parents["vocabulary"]]
    assert verb[4:8] == ["--workers", "3", "--out", job.folder]
    assert verb[8:] == ["--config", f"settings/{job.folder}.yaml"]
    job, verb = verbs["align-words"]
    model = f"{job.parents['pretrain']}/model"
    assert verb[:4] == ["align", "words", f"{model}/en", f"{model}/zh-Hans"]
    assert verb[4:8] == ["--out", job.folder, "--data", str(hyphens)]


@pytest.mark.slow
def test_a_study_in_folders_of_any_name(tmp_path, study_file, hyphens):
    """Only the first stage is run; no folder's name is read as a command or a pattern."""
    data = tmp_path / "d{a}'t\"a $(touch PWNED)"
    hyphens.rename(data)
    out = tmp_path / "o{u}t 'x' `touch PWNED`"
    study = study_file(pairs=["en-zh-Hans"], variants={"copy": {"derive": "inverted"}})
    command = ["study", "run", str(study), "--data", str(data), "--out", str(out), "--jobs", "1"]
    only = ["--", "--until", "derive"]
    done = subprocess.run(
        [sys.executable, "-m", "xling", *command, *only],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    (job,) = [job for job in json.loads((out / "plan.json").read_text())["jobs"] if "derive" in job]
    assert (out / job / ".done").is_file(), done.stderr
    assert "en_inverted" in (out / job / "data.yaml").read_text()
    assert not [*tmp_path.rglob("PWNED")]


NAMES = ["nan", "NA", "007", "1e5", "true", "null"]


def study_with(folder: Path, scores: str, pair: str, languages: list[str]) -> Path:
    """Write a study's folder with one job's scores."""
    job = folder / "probe" / "x"
    job.mkdir(parents=True)
    (job / "scores.csv").write_text(f"probe,dataset,language,layer,metric,value\n{scores}")
    run = {"variant": "007", "pair": pair, "seed": 1, "scores": ["probe/x"]}
    collect_results(folder, {"study": "null", "runs": [run]})
    described = {"variant": "007", "pair": pair, "languages": languages, "seed": 1, "folder": "x"}
    (folder / "study.json").write_text(json.dumps({"name": "null", "runs": [described]}))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_something_else_survive(tmp_path, name):
    scores = f"transfer-ner,{name},{name},,f1,0.1\ncka,{name},en-{name},0,cka,0.30000000000000004\n"
    folder = study_with(tmp_path, scores, f"en-{name}", ["en", name])
    rows = [*csv.DictReader((folder / "results.csv").open())]
    assert [row["dataset"] for row in rows] == [name, name]
    assert [row["value"] for row in rows] == ["0.1", "0.30000000000000004"]
    study = load_study(folder)
    assert study.variants == ("007",)
    assert split_scores(study.results)["dataset"].tolist() == [name]
    found = transfer_scores(study.results)
    table = task_tables(study, found, "ner", cut_lines(study.results))[0]
    assert table.columns == ("variant", name)


def test_scores_of_a_pair_with_hyphens_are_told_apart(tmp_path):
    pair, languages = "en+fr+zh-Hans", ["en", "fr", "zh-Hans"]
    rows = [
        f"retrieval,pud,{way},1,p@1,0.5\n"
        for way in ("en>zh-Hans", "zh-Hans>en", "en+zh-Hans", "en-fr", "fr>en")
    ]
    rows += [f"transfer-ner,ner,{code},,f1,0.{place}\n" for place, code in enumerate(languages, 1)]
    study = load_study(study_with(tmp_path, "".join(rows), pair, languages))
    both = ["en-fr of en+fr+zh-Hans", "en+zh-Hans of en+fr+zh-Hans"]
    assert list(comparisons(pair)) == list(study.comparisons) == both
    split = split_scores(study.results)
    assert split["pair"].tolist() == [both[1], both[1], both[1], both[0], both[0]]
    found = transfer_scores(study.results)
    table = task_tables(study, found, "ner", cut_lines(study.results))[0]
    assert table.columns == ("variant", "en (source)", "fr", "zh-Hans", "all pairs")


def test_a_study_without_a_name_is_told_to_quote_one(study_file):
    with pytest.raises(XlingError, match=r'name: found nothing, .* quote it: "null"'):
        StudyConfig.load(study_file(name=None))
