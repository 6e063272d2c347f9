"""Costs are sums over the runs' logs and the times of jobs, each job once."""

import json
import shutil
from pathlib import Path

from xling.report.cost_table import cost_table

from xling.report.load import load_study


def rows(folder: Path) -> dict[tuple[str, str], list[str]]:
    table = cost_table(load_study(folder))
    assert table is not None
    return {(r[0].text, r[1].text): [cell.text for cell in r[2:]] for r in table.rows}


def test_training_costs_what_its_logs_say(whole: Path) -> None:
    found = rows(whole)["pretrain", "default"]
    # Six runs of 80 records of 12 seconds at 34,000 tokens a second.
    seconds, tokens = 6 * 80 * 12, 6 * 80 * 12 * 34_000
    assert found[0] == "6"
    assert found[2] == f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    assert found[3] == f"{tokens / 1e6:.3g} million"
    assert found[4:] == ["34,000", "41%", "1.86 million"]


def test_the_total_counts_every_job_once(whole: Path) -> None:
    found = rows(whole)
    plan = json.loads((whole / "plan.json").read_text())
    jobs = len(plan["jobs"])
    total = found["total", ""]
    assert int(total[0]) == jobs
    seconds = sum(10 + number for number in range(jobs))
    assert total[1] == f"{round(seconds / 60)} min"
    assert found["data", "several"][0] == "1"


def test_jobs_without_a_record_are_said(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "study"))
    path = folder / "study.json"
    study = json.loads(path.read_text())
    records = list(study["seconds"])
    study["seconds"] = {records[0]: study["seconds"][records[0]]}
    path.write_text(json.dumps(study))
    table = cost_table(load_study(folder))
    assert table is not None
    (note,) = table.rows[-1][3].notes
    assert note == f"{len(records) - 1} of {len(records)} without a record"


def test_a_study_without_logs_or_records_has_no_costs(tmp_path: Path, study_writer) -> None:
    study_writer(tmp_path)
    for path in tmp_path.rglob("log.jsonl"):
        path.unlink()
    assert cost_table(load_study(tmp_path)) is None
