"""The tidy table of scores and the study's own description."""

import csv
import json

from xling.results import COLUMNS, EMERGENCE_COLUMNS, RESULT_COLUMNS, SCORES
from xling.study.config import StudyConfig
from xling.study.plan import Planner
from xling.study.results import collect_results, describe_study, jobs_of_other_versions

HEADER = ",".join(RESULT_COLUMNS)


def plan_with(*probes):
    return {
        "study": "tiny",
        "runs": [
            {"variant": variant, "pair": "en-fr", "seed": 1, "scores": [f"probe/{variant}"]}
            for variant in probes
        ],
    }


def write_scores(folder, variant, rows):
    path = folder / "probe" / variant / SCORES
    path.parent.mkdir(parents=True)
    path.write_text(",".join(COLUMNS) + "\n" + "".join(rows))


def test_columns_are_exact_and_values_are_kept(tmp_path):
    write_scores(
        tmp_path,
        "default",
        [
            "cka,pud,en-fr,,0,trained,,cka,0.12345678901234567,0.1,,7\n",
            "coverage,pud,en-fr,,,trained,,sentences,100,,,\n",
        ],
    )
    write_scores(tmp_path, "other", ["cka,pud,en-fr,,2,untrained,3,cka,0.5,,,\n"])
    collect_results(tmp_path, plan_with("default", "other"))
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == HEADER
    rows = list(csv.DictReader(lines))
    assert [row["variant"] for row in rows] == ["default", "default", "other"]
    assert [row["layer"] for row in rows] == ["0", "", "2"]
    assert float(rows[0]["value"]) == 0.12345678901234567
    assert [(row["low"], row["high"], row["n"]) for row in rows[:2]] == [
        *(("0.1", "", "7"), ("", "", "")),
    ]
    assert (rows[2]["condition"], rows[2]["draw"]) == ("untrained", "3")
    assert {row["study"] for row in rows} == {"tiny"}


def test_runs_without_scores_are_left_out(tmp_path):
    write_scores(tmp_path, "default", ["cka,pud,en-fr,,0,trained,,cka,0.25,,,\n"])
    collect_results(tmp_path, plan_with("default", "failed"))
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["variant"] for row in rows] == ["default"]


def test_no_scores_at_all_give_the_header(tmp_path):
    collect_results(tmp_path, plan_with("failed"))
    assert (tmp_path / "results.csv").read_text().splitlines() == [HEADER]


def test_the_description_says_where_runs_lie_and_keeps_its_time(study_file, data, tmp_path):
    study = StudyConfig.load(study_file(title="A title"))
    plan = Planner(study, data).plan()
    out = tmp_path / "out"
    out.mkdir()
    describe_study(out, study, plan, study.model_dump(mode="json"))
    content = json.loads((out / "study.json").read_text())
    assert content["title"] == "A title"
    assert content["config"]["variants"] == study.model_dump(mode="json")["variants"]
    assert "torch" in content["versions"]
    assert [run["variant"] for run in content["runs"]] == ["default", "no-anchors"]
    assert [run["folder"] for run in content["runs"]] == [run.pretrain.folder for run in plan.runs]
    before = (out / "study.json").stat()
    describe_study(out, study, plan, study.model_dump(mode="json"))
    assert (out / "study.json").stat().st_ino == before.st_ino


def test_probes_of_snapshots_have_a_table_of_their_own(tmp_path):
    plan = plan_with("default", "other")
    write_scores(tmp_path, "default", ["cka,pud,en-fr,,0,trained,,cka,0.25,,,\n"])
    write_scores(tmp_path, "other", ["cka,pud,en-fr,,0,trained,,cka,0.5,,,\n"])
    collect_results(tmp_path, plan)
    assert not (tmp_path / "emergence.csv").exists()
    snapshots = tmp_path / "probe" / "other" / "emergence.csv"
    snapshots.write_text(
        ",".join(["step", *COLUMNS]) + "\n"
        "3,cka,pud,en-fr,,0,trained,,cka,0.125,,,\n12,cka,pud,en-fr,,0,trained,,cka,0.5,,,\n"
    )
    collect_results(tmp_path, plan)
    assert (tmp_path / "emergence.csv").read_text().splitlines() == [
        ",".join(EMERGENCE_COLUMNS),
        "tiny,other,en-fr,1,3,cka,pud,en-fr,,0,trained,,cka,0.125,,,",
        "tiny,other,en-fr,1,12,cka,pud,en-fr,,0,trained,,cka,0.5,,,",
    ]
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 3
    snapshots.unlink()
    collect_results(tmp_path, plan)
    assert not (tmp_path / "emergence.csv").exists()


def test_the_versions_are_those_that_computed_the_scores(tmp_path):
    plan = plan_with("default", "other", "failed")
    (tmp_path / "study.json").write_text('{"name": "tiny", "versions": {"torch": "9"}}')
    for variant, torch in (("default", "2.12.0"), ("other", "2.11.0")):
        write_scores(tmp_path, variant, ["cka,pud,en-fr,,0,trained,,cka,0.25,,,\n"])
        record = {"versions": {"xling": "0.0.1", "torch": torch, "python": "3.11.0"}}
        (tmp_path / "probe" / variant / "artefact.json").write_text(json.dumps(record))
    collect_results(tmp_path, plan)
    content = json.loads((tmp_path / "study.json").read_text())
    assert content["name"] == "tiny"
    assert content["versions"] == {
        "xling": "0.0.1",
        "torch": "2.11.0, 2.12.0",
        "python": "3.11.0",
    }
    said = jobs_of_other_versions(tmp_path, [f"probe/{name}" for name in ("default", "failed")])
    assert len(said) == 1
    assert said[0].startswith("1 finished job computed with xling 0.0.1 (now ")
    assert "torch 2.12.0 (now " in said[0]


def test_jobs_of_an_earlier_version_are_joined_with_those_of_this_one(tmp_path):
    write_scores(tmp_path, "default", ["cka,pud,en-fr,,0,trained,,cka,0.25,,,\n"])
    old = tmp_path / "probe" / "other" / SCORES
    old.parent.mkdir()
    old.write_text("probe,dataset,language,layer,metric,value\ncka,pud,en-fr,0,random-2:cka,0.5\n")
    collect_results(tmp_path, plan_with("default", "other"))
    assert (tmp_path / "results.csv").read_text().splitlines() == [
        HEADER,
        "tiny,default,en-fr,1,cka,pud,en-fr,,0,trained,,cka,0.25,,,",
        "tiny,other,en-fr,1,cka,pud,en-fr,,0,untrained,2,cka,0.5,,,",
    ]
