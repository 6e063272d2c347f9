"""Every benchmark runs to its end at tiny sizes, so that none rots; what it measures is no test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NOT_MEASURING = {"figures", "run", "compare"}
NEED_A_MODEL = {"zero_shot", "pretrained_heads"}
NAMES = sorted({path.stem for path in FOLDER.glob("*.py")} - NOT_MEASURING - NEED_A_MODEL)


def run(name, *options):
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_at_tiny_sizes(name, tmp_path):
    out = run(name, "--small", "--json", tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["small"]
    assert written["figures"]
    assert all(figure["work"] in out for figure in written["figures"])
    assert all(figure["value"] >= 0 for figure in written["figures"])


def file_of(path, value, other):
    figure = {
        "benchmark": "one", "work": "what was done", "value": value, "unit": "s", "peer": "bare",
        "other": other, "least": None, "most": 1.3,
    }  # fmt: skip
    content = {"machine": {"processor": path.stem}, "small": False, "figures": [figure]}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.slow
def test_two_runs_side_by_side(tmp_path):
    a = file_of(tmp_path / "a.json", 2.0, 1.0)
    b = file_of(tmp_path / "b.json", 1.0, 0.8)
    machine, _, row = run("compare", a, b).splitlines()
    assert machine == "processor: a -> b"
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == [
        *("one", "what was done", "s", "2", "1", "0.5", "2", "1.25", "<= 1.3", "reached")
    ]


def test_the_runner_knows_every_benchmark():
    listed = (FOLDER / "run.py").read_text()
    assert all(f'"{name}"' in listed for name in NAMES)
