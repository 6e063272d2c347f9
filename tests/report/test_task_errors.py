"""Tables of errors come from the files of predictions, and what is missing is said."""

from pathlib import Path

import pytest

from xling.report.task_errors import TaskJob, error_tables

GOLD = "Mira\tB-PER\nsleeps\tO\n\nDorf\tB-LOC\nToma\tB-PER\n"
GUESS = "Mira\tB-PER\nsleeps\tO\n\nDorf\tB-PER\nToma\tO\n"


@pytest.fixture
def job(tmp_path: Path) -> TaskJob:
    """A job of entities whose source language has predictions and gold, as its target has."""
    for language in ("en", "fr"):
        gold = tmp_path / "data" / "ner" / language / "test.iob2"
        guess = tmp_path / "job" / "predictions" / "ner" / f"{language}.iob2"
        for path, text in ((gold, GOLD), (guess, GUESS)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (tmp_path / "job" / "scores.csv").write_text("")
    return TaskJob("ner", "default", "en-fr", 1, tmp_path / "job", tmp_path / "data")


def test_every_entity_that_went_wrong_is_in_a_table(job: TaskJob) -> None:
    tables, missing = error_tables([job], ["default"])
    assert missing == []
    assert [table.caption.partition(":")[0] for table in tables] == ["What became of entities"] * 2
    cells = [[cell.text for cell in row] for row in tables[0].rows]
    assert sorted(cells) == [
        ["missed", "PER", "none", "1"],
        ["right", "PER", "PER", "1"],
        ["type", "LOC", "PER", "1"],
    ]


def test_missing_and_damaged_predictions_are_said(job: TaskJob) -> None:
    folder = job.folder / "predictions" / "ner"
    (folder / "fr.iob2").unlink()
    (folder / "en.iob2").write_text("no tag\n")
    tables, missing = error_tables([job], ["default"])
    assert tables == []
    assert len(missing) == 2
    assert "en, seed 1" in missing[0]
    assert "en.iob2" in missing[0]
    assert missing[1].endswith("ner/fr.* is not among its predictions.")


def test_of_a_job_that_has_not_run_nothing_is_said(job: TaskJob) -> None:
    (job.folder / "scores.csv").unlink()
    assert error_tables([job], ["default"]) == ([], [])
