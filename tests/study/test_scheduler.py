"""The study's Snakefile takes away Snakemake's default limit on jobs per second, and only that."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

# Counts how often the scheduler plans to check again, which it does only with a limit.
RUNNER = """
import sys
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler

checks = []
JobScheduler._schedule_reevalutation = lambda *_: checks.append(1)
try:
    main(sys.argv[1:])
finally:
    print("checks:", len(checks))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("options", "limited"), [((), False), (("5/1m",), True)])
def test_the_scheduler_checks_when_something_happens_only(tmp_path, options, limited):
    plan = {"data": "given", "jobs": {}, "runs": []}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "study.json").write_text("{}")
    limit = [argument for value in options for argument in ("--max-jobs-per-timespan", value)]
    command = ["--snakefile", str(Path(str(files("xling.study"))) / "Snakefile"), "--jobs", "1"]
    found = subprocess.run(
        [sys.executable, "-c", RUNNER, *command, "--directory", str(tmp_path), "--nolock", *limit],
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("checks:")]
    assert (line != "checks: 0") == limited
