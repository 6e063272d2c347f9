"""A study folder is read whole, or what is wrong or missing is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xling.errors import XlingError
from xling.report.load import load_study
from xling.results import RESULT_COLUMNS

HEADER = ",".join(RESULT_COLUMNS) + "\n"


def test_a_whole_study_misses_nothing(make_study: Callable[..., Path]) -> None:
    study = load_study(make_study(title="A title", seeds=(1, 2)))
    assert study.title == "A title"
    assert study.variants == ("default", "no-anchors")
    assert [run.name for run in study.runs][:2] == [
        "default, en-fr, seed 1",
        "default, en-fr, seed 2",
    ]
    assert not any(run.missing for run in study.runs)
    assert study.runs[0].preflight["tokens_total"] == 32_768_000
    assert set(study.runs[0].log["kind"]) == {"train", "dev"}


def test_title_falls_back_to_the_name(make_study: Callable[..., Path]) -> None:
    assert load_study(make_study()).title == "demo"


def test_missing_results_are_an_error(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    (folder / "results.csv").unlink()
    with pytest.raises(XlingError, match=r"results\.csv: not found.*run the study first"):
        load_study(folder)


def test_missing_description_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(XlingError, match=r"study\.json: not found"):
        load_study(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "no study name"),
        ({"name": "x", "runs": {}}, "'runs' is dict, expected a list"),
        ({"name": "x", "runs": [{"variant": "a"}]}, "expected variant, pair, seed and folder"),
    ],
)
def test_malformed_description(tmp_path: Path, record: object, message: str) -> None:
    (tmp_path / "study.json").write_text(json.dumps(record))
    (tmp_path / "results.csv").write_text(HEADER)
    with pytest.raises(XlingError, match=message):
        load_study(tmp_path)


def test_a_failed_run_and_broken_files_are_named(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=(1, 2))
    first, second = (folder / f"runs/en-fr/default/seed-{seed}" for seed in (1, 2))
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    (second / "preflight.json").write_text("{broken")
    (second / "artefact.json").unlink()
    study = load_study(folder)
    assert "the run's folder" in study.runs[0].missing[0]
    assert study.runs[0].log.empty
    assert study.runs[1].missing == (
        "record of a finished training (artefact.json)",
        "estimate made before training (preflight.json is not a JSON object)",
    )


def test_log_keeps_the_later_of_two_records_and_counts_broken_lines(
    make_study: Callable[..., Path],
) -> None:
    folder = make_study()
    record = {"kind": "train", "language": "en", "step": 5}
    lines = [json.dumps(record | {"loss": loss}) for loss in (4.0, 3.0)]
    log = folder / "runs/en-fr/default/seed-1/log.jsonl"
    log.write_text("\n".join([lines[0], "[1]", '{"step": 6, "ki', lines[1]]))
    run = load_study(folder).runs[0]
    assert run.log["loss"].tolist() == [3.0]
    assert run.missing == ("2 unreadable lines of the training log (log.jsonl)",)
