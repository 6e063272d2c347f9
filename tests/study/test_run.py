"""Whole studies through the real command line: run, run again, killed, failed, changed."""

import builtins
import csv
import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from xling.errors import XlingError
from xling.study.job import record_file
from xling.study.lock import exclusive, is_active, is_held
from xling.study.plan import DONE
from xling.study.run import run_study, show_status
from xling.study.workflow import Execution

HEADER = (
    "study,variant,pair,seed,probe,dataset,language,direction,layer,condition,draw,"
    "metric,value,low,high,n"
)


@dataclass
class Study:
    """A study file, its data, and the folder that a run of it left."""

    file: Path
    data: Path
    folder: Path

    def words(self, *more: str) -> list[str]:
        return [
            *("study", "run", str(self.file), "--data", str(self.data)),
            *("--out", str(self.folder), "--jobs", "1", *more),
        ]

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "xling", *self.words(*more)]

    def run(self, *more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(*more), capture_output=True, text=True, check=False)

    def start(self) -> "subprocess.Popen[str]":
        """Start in a process group of its own."""
        return subprocess.Popen(
            self.command(), start_new_session=True, text=True, stderr=subprocess.PIPE
        )

    def status(self) -> str:
        command = [sys.executable, "-m", "xling", "study", "status", str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def results(self) -> bytes:
        return (self.folder / "results.csv").read_bytes()

    def one(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_study, data) -> Study:
    """A finished study, not to be changed; its folder has a space in its name."""
    folder = tmp_path_factory.mktemp("study")
    study = Study(make_study(folder / "tiny.yaml"), data, folder / "its folder")
    result = study.run()
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(study.folder / "report.html")
    assert "[8/8]" in result.stderr
    return study


@pytest.fixture
def copy(finished, tmp_path, make_study) -> Study:
    """A copy of the finished study, free to be changed."""
    shutil.copytree(finished.folder, tmp_path / "out")
    return Study(make_study(tmp_path / "tiny.yaml"), finished.data, tmp_path / "out")


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what every file is and when it was written.

    Snakemake's own are left out, and the lock, which a run that does nothing takes too.
    """
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and ".snakemake" not in path.parts
        and path not in (folder / "logs" / "workflow.log", folder / ".lock")
    }


def test_a_study_leaves_its_table_and_its_report(finished):
    page = (finished.folder / "report.html").read_text()
    assert "no-anchors" in page
    with (finished.folder / "results.csv").open() as file:
        table = csv.DictReader(file)
        rows = list(table)
    assert ",".join(table.fieldnames) == HEADER
    assert {(row["study"], row["pair"], row["seed"]) for row in rows} == {("tiny", "en-fr", "1")}
    assert {row["variant"] for row in rows} == {"default", "no-anchors"}
    assert {row["layer"] for row in rows} == {"", "0", "1", "2"}


def test_run_again_does_nothing(finished, xling_in_child):
    before = state(finished.folder)
    result = xling_in_child(*finished.words())
    assert result.returncode == 0, result.stderr
    assert state(finished.folder) == before
    assert "nothing to do" in xling_in_child(*finished.words("--dry-run")).stdout
    assert state(finished.folder) == before


def test_a_dry_run_names_the_jobs_and_writes_only_the_plan(
    study_file, data, tmp_path, xling_in_child
):
    study = Study(study_file(), data, tmp_path / "out")
    result = xling_in_child(*study.words("--dry-run"))
    assert result.returncode == 0, result.stderr
    jobs = result.stdout.split()
    stages = [job.split("/")[0] for job in jobs]
    assert sorted(stages[:-1]) == sorted(["vocabulary", "tokens", "pretrain", "probe"] * 2)
    assert jobs[-1] == "report.html"
    written = {path.split("/")[0] for path in state(study.folder)}
    assert written == {"plan.json", "study.json", "settings"}


@pytest.mark.slow
def test_a_change_runs_only_what_depends_on_it(copy, make_study, xling_in_child):
    make_study(copy.file, probe={"resamples": 10})
    jobs = xling_in_child(*copy.words("--dry-run")).stdout.split()
    assert [job.split("/")[0] for job in jobs] == ["probe", "probe", "report.html"]
    make_study(copy.file, title="Other words")
    assert xling_in_child(*copy.words("--dry-run")).stdout.split() == ["report.html"]


@pytest.mark.slow
def test_altered_results_are_refused_by_the_report_and_made_again(copy):
    counts = sorted(copy.folder.glob("tokens/*/*/fr/counts.npy"))[0]
    altered = [copy.one("probe/en-fr/default/*/scores.csv"), counts]
    before = [path.read_bytes() for path in altered]
    for path in altered:
        path.write_bytes(path.read_bytes()[:-1] + b"9")
    command = [sys.executable, "-m", "xling", "report", str(copy.folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"error: {altered[0]}: was altered or truncated" in result.stderr
    result = copy.run()
    assert result.returncode == 0, result.stderr
    assert [path.read_bytes() for path in altered] == before


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(finished, copy):
    whole = finished.results()
    shutil.rmtree(copy.one("pretrain/*/default"))
    shutil.rmtree(copy.one("probe/*/default"))
    (copy.folder / "results.csv").unlink()
    (copy.folder / "report.html").unlink()
    # As if killed between a stage's last write and the workflow's note of it.
    for mark in copy.folder.glob(f"vocabulary/*/joint-*/{DONE}"):
        mark.unlink()
    (copy.folder / "tokens" / "en-fr" / ".joint.x.tmp").mkdir()
    vocabularies = state(copy.folder / "vocabulary")

    # The runner alone: its workflow lives on, and the next runner stops it.
    process = copy.start()
    checkpoints = "pretrain/*/default/*/checkpoints/step-*"
    left = caught(process, "pretrain", once=lambda: list(copy.folder.glob(checkpoints)))
    process.kill()
    process.communicate()
    assert is_active(copy.folder)
    with pytest.raises(XlingError, match="is being run already"):
        run_study(copy.file, copy.data, copy.folder, Execution(jobs=1), dry=True)
    assert not list(copy.folder.glob("pretrain/*/default/*/artefact.json"))
    assert not (copy.folder / "tokens" / "en-fr" / ".joint.x.tmp").exists()

    # A worker alone: its job has failed.
    process = copy.start()
    new = caught(process, "pretrain")
    assert not works(left)
    new.kill()
    _, errors = process.communicate()
    assert "stopping it" in errors
    assert process.returncode == 2
    assert "failed: pretrain/en-fr/default" in errors
    assert b"no-anchors" in copy.results()
    assert b",default," not in copy.results()

    # All of them, as when the machine goes down.
    process = copy.start()
    everybody = psutil.Process(process.pid)
    caught(process, "pretrain")
    for child in everybody.children(recursive=True):
        child.kill()
    process.kill()
    process.communicate()

    result = copy.run()
    assert result.returncode == 0, result.stderr
    assert copy.results() == whole
    now = state(copy.folder / "vocabulary")
    assert {name: now[name] for name in vocabularies} == vocabularies


@pytest.mark.slow
def test_a_job_that_outlives_its_workflow_is_waited_for(finished, copy):
    """As on a cluster, whose queue knows nothing of a runner that was killed."""
    shutil.rmtree(copy.one("pretrain/*/default"))
    shutil.rmtree(copy.one("probe/*/default"))
    process = copy.start()
    left = caught(process, "pretrain")
    (workflow,) = psutil.Process(process.pid).children()
    for killed in (process, workflow):
        killed.kill()
    process.communicate()
    psutil.wait_procs([workflow])
    (job,) = copy.folder.glob("settings/pretrain/*/default/*.yaml")
    record = record_file(copy.folder, f"pretrain/en-fr/default/{job.stem}")
    assert is_held(record)
    status = copy.status().splitlines()
    assert status[0] == "6 done, 1 running, 0 failed, 1 pending"

    process = copy.start()
    wait_for(lambda: is_waited_for(record), process)
    left.resume()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert copy.results() == finished.results()
    # Every step was made once, by the first.
    log = copy.one("pretrain/*/default/*/log.jsonl").read_text()
    entries = [json.loads(line) for line in log.splitlines()]
    steps = [(entry["step"], entry["kind"], entry.get("language")) for entry in entries]
    assert (150, "train", "fr") in steps
    assert len(steps) == len(set(steps))


def is_waited_for(path: Path) -> bool:
    """Tell whether Linux has somebody in wait for a lock on a file."""
    inode = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and inode in line for line in lines)


def caught(
    process: "subprocess.Popen[str]", verb: str, once: Callable[[], object] = lambda: True
) -> psutil.Process:
    """Return the process that runs a verb for a study, held where it is so that it cannot end.

    It is held from its start and let go for moments until ``once`` is so: on a busy machine we
    might look away for as long as the work takes.
    """
    while True:
        wait_for(lambda: worker(process, verb), process)
        with suppress(psutil.NoSuchProcess):
            found = worker(process, verb)
            if found:
                found.suspend()
                while not once():
                    found.resume()
                    time.sleep(0.02)
                    found.suspend()
                if works(found):
                    return found


def worker(process: "subprocess.Popen[str]", verb: str) -> psutil.Process | None:
    """Return the process that runs a verb for a study, named by it."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return None
    for child in children:
        try:
            if child.name() == f"xling {verb}"[:15]:
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def read_until(terminal: int, wanted: str) -> str:
    """Return what a terminal shows until ``wanted`` comes; fail if it is closed before."""
    shown = b""
    while wanted.encode() not in shown:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end was closed
            pytest.fail(f"the terminal never showed {wanted!r}: {shown!r}")
    return shown.decode()


def works(process: psutil.Process) -> bool:
    """Tell whether a process has not ended; one that nobody has waited for yet has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_on_a_terminal_it_shows_what_runs_and_stops_cleanly(study_file, data, tmp_path):
    study = Study(study_file(), data, tmp_path / "out")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        study.command(),
        start_new_session=True,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        # Whoever runs the tests in the background has it ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    read_until(ours, "running: ")
    children: list[psutil.Process] = []
    while len(children) < 2:  # the workflow alone, if we look between two jobs
        assert process.poll() is None
        time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
    read_until(ours, "the same command resumes")
    assert process.wait(timeout=600) == 130
    os.close(ours)
    # Ctrl-C reached them too; one that is just ending may be a moment behind its parent
    for _ in range(6000):
        if not any(map(works, children)):
            break
        time.sleep(0.1)
    assert not any(map(works, children))
    assert not is_active(study.folder)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.slow
def test_a_signal_to_the_runner_alone_stops_everybody(study_file, data, tmp_path, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests run under nohup, and what is ignored stays so")
    study = Study(study_file(), data, tmp_path / "out")
    process = study.start()
    caught(process, "pretrain")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.send_signal(number)  # a closed terminal tells twice
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; the same command resumes"
    _, alive = psutil.wait_procs(children, timeout=600)
    assert not alive
    assert not is_active(study.folder)


@pytest.mark.slow
def test_jobs_end_with_a_workflow_that_was_killed(study_file, data, tmp_path):
    study = Study(study_file(), data, tmp_path / "out")
    process = study.start()
    job = caught(process, "pretrain")
    (workflow,) = psutil.Process(process.pid).children()
    workflow.kill()
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "the workflow stopped" in errors
    psutil.wait_procs([job], timeout=600)
    assert not works(job)


@pytest.mark.slow
def test_files_dated_ahead_do_not_cost_the_report(copy, finished, make_study):
    make_study(copy.file, title="Other words")
    copy.run("--dry-run")  # which writes the plan
    ahead = time.time() + 86_400
    for path in [
        copy.folder / "plan.json",
        copy.folder / "study.json",
        *copy.folder.glob("settings/probe/**/*.yaml"),
        *copy.folder.glob(f"tokens/**/{DONE}"),
    ]:
        os.utime(path, (ahead, ahead))
    result = copy.run()
    assert result.returncode == 0, result.stderr
    assert "Other words" in (copy.folder / "report.html").read_text()
    assert copy.results() == finished.results()
    assert "nothing to do" in copy.run("--dry-run").stdout


@pytest.mark.slow
def test_a_report_that_fails_leaves_the_one_before(copy, make_study):
    make_study(copy.file, title="Other words")
    before = (copy.folder / "report.html").read_bytes()
    (copy.folder / "claims.csv").unlink()
    (copy.folder / "claims.csv").mkdir()  # in the place of a file that goes with it
    result = copy.run()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "claims.csv" in line
    assert (copy.folder / "report.html").read_bytes() == before
    (copy.folder / "claims.csv").rmdir()
    (copy.folder / "report.html").unlink()
    assert copy.run("--dry-run").stdout.split() == ["report.html"]
    assert copy.run().returncode == 0
    assert "Other words" in (copy.folder / "report.html").read_text()


@pytest.mark.slow
def test_a_damaged_plan_and_lost_settings_are_written_again(copy):
    text = (copy.folder / "plan.json").read_bytes()
    for damage in (text[: len(text) // 2], b"", b"[]", b"{}", b"\xff"):
        (copy.folder / "plan.json").write_bytes(damage)
        with pytest.raises(XlingError, match=r"plan\.json: .*`xling study run`"):
            show_status(copy.folder)
        result = copy.run("--dry-run")
        assert result.returncode == 0, result.stderr
        assert (copy.folder / "plan.json").read_bytes() == text
    shutil.rmtree(copy.folder / "settings")
    (copy.folder / "plan.json").unlink()
    before = state(copy.folder / "pretrain")
    assert copy.run().returncode == 0
    after = state(copy.folder / "pretrain")
    assert {n: f for n, f in after.items() if DONE not in n} == {
        n: f for n, f in before.items() if DONE not in n
    }


def test_a_plan_of_another_version_is_refused_in_words(copy):
    plan = json.loads((copy.folder / "plan.json").read_text())
    for job in plan["jobs"].values():
        del job["settings"]
    (copy.folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(XlingError, match=r"not a plan as xling .* writes it"):
        show_status(copy.folder)


def test_a_folder_that_says_nothing_of_its_study_is_kept(copy):
    (copy.folder / "plan.json").write_text("{")
    (copy.folder / "study.json").write_text("{")
    refuse(copy, "nothing says which study this folder holds")
    assert (copy.folder / "results.csv").is_file()


def test_what_a_run_killed_at_its_first_file_left_is_no_obstacle(study_file, data, tmp_path):
    study = Study(study_file(), data, tmp_path / "out")
    study.folder.mkdir()
    (study.folder / ".plan.json.here-1.tmp").touch()
    run_study(study.file, study.data, study.folder, Execution(jobs=1), dry=True)


@pytest.mark.parametrize("fault", [errno.EROFS, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("name", [".lock", "plan.json", "logs/workflow.log"])
def test_a_folder_that_cannot_be_written_is_one_line(
    study_file, data, tmp_path, monkeypatch, name, fault
):
    """Whoever runs tests as root may write everywhere, so the system's answer is ours."""
    study = Study(study_file(), data, tmp_path / "out")

    def refusing(path, flags, *more, **named):
        if str(study.folder) in str(path) and name in str(path) and flags & os.O_CREAT:
            raise OSError(fault, os.strerror(fault), str(path))
        return original(path, flags, *more, **named)

    original = os.open
    monkeypatch.setattr(builtins, "open", partial(open, opener=refusing))
    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(XlingError, match=os.strerror(fault)) as caught_error:
        run_study(study.file, study.data, study.folder, Execution(jobs=1), dry=False)
    (line,) = str(caught_error.value).splitlines()
    assert str(study.folder) in line


def test_a_folder_of_jobs_that_cannot_be_written_is_one_line(copy, xling_in_child):
    """The workflow itself writes there too."""
    shutil.rmtree(copy.folder / ".snakemake")
    (copy.folder / ".snakemake").touch()
    next(copy.folder.glob(f"probe/*/*/*/{DONE}")).unlink()
    result = xling_in_child(*copy.words())
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert ".snakemake" in line


@pytest.mark.slow
def test_a_failing_job_stops_only_what_needs_it(finished, copy, make_study):
    vocabulary = {"kind": "joint", "size": 60_000}
    make_study(copy.file, variants={"broken": {"vocabulary": vocabulary}, "default": {}})
    shutil.rmtree(copy.one("probe/*/default"))
    result = copy.run()
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert re.search(
        r"failed: vocabulary/en-fr/joint-60000-\w+ \(.*\.log\)\n  error: ", result.stderr
    )
    assert re.search(r"error: .*report\.html", result.stderr)
    table = copy.results().decode()
    default = [line for line in finished.results().decode().splitlines() if ",default," in line]
    assert table.splitlines()[1:] == default
    page = (copy.folder / "report.html").read_text()
    assert "broken" in page
    assert "failed or has not been run" in page
    status = copy.status()
    assert status.splitlines()[0] == "4 done, 0 running, 1 failed, 3 pending"


def refuse(study: Study, fault: str) -> None:
    with pytest.raises(XlingError, match=fault):
        run_study(study.file, study.data, study.folder, Execution(jobs=1), dry=False)


def test_a_folder_of_something_else_is_refused_and_kept(finished, make_study, tmp_path):
    other = make_study(tmp_path / "other.yaml", name="other")
    before = state(finished.folder)
    refuse(Study(other, finished.data, finished.folder), "holds the study 'tiny', not 'other'")
    assert state(finished.folder) == before
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    refuse(Study(finished.file, finished.data, mine), r"not empty \(it holds thesis.tex\)")
    assert sorted(path.name for path in mine.iterdir()) == [".lock", "thesis.tex"]
    for file in (mine / "thesis.tex", mine / "thesis.tex" / "out"):
        refuse(Study(finished.file, finished.data, file), "is a file")


def test_a_second_runner_is_refused(finished):
    with exclusive(finished.folder):
        assert is_active(finished.folder)
        refuse(finished, "is being run already")
    assert not is_active(finished.folder)


def test_data_comes_from_one_place(study_file, data, tmp_path):
    with pytest.raises(XlingError, match="give it with --data"):
        run_study(study_file(), None, tmp_path / "out", Execution(jobs=1), dry=False)
    with pytest.raises(XlingError, match="leave --data out"):
        run_study(
            study_file(world="world.yaml"), data, tmp_path / "out", Execution(jobs=1), dry=False
        )
    assert not (tmp_path / "out").exists()
