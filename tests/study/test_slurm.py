"""What a cluster says of its nodes and its queue, by commands that answer as Slurm's do."""

import json
import os
from pathlib import Path

import pytest

from xling.study import slurm
from xling.study.lock import exclusive
from xling.study.plan import Job
from xling.study.resources import Resources, job_resources
from xling.study.run import run_study, show_status
from xling.study.slurm import (
    Node,
    Queued,
    QueueWatch,
    hindrances,
    lacks_accounting,
    largest_node,
    queue,
    queue_text,
    unfit,
)
from xling.study.workflow import Execution

RUN = "1c68e066-47d0-48e7-9b02-420e7192288d"
JOBS = [
    Job("data", "world-1", {}),
    Job("pretrain", "aa-bb/default/seed-1-2", {}),
    Job("align-words", "aa-bb/default/seed-1-3", {}),
]
ASKED = {job.folder: Resources(4, 0, 3000, None, 1) for job in JOBS}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Return a function that gives a command of Slurm's an answer, or a shell script.

    Without one it is not there, whatever this machine has.
    """
    commands = tmp_path / "commands"
    commands.mkdir()
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for name in ("squeue", "sinfo", "scontrol"):
        (commands / name).write_text("#!/bin/sh\nexit 1\n")
        (commands / name).chmod(0o755)

    def answer(name: str, text: str = "", script: str = "") -> None:
        (commands / f"{name}.txt").write_text(text)
        said = script or f"cat {commands / name}.txt"
        (commands / name).write_text(f'#!/bin/sh\necho "$@" >> {commands / name}.asked\n{said}\n')

    return answer


@pytest.fixture
def study(tmp_path) -> Path:
    """A study's folder with the log of a workflow that has been started twice."""
    log = tmp_path / "out" / "logs" / "workflow.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"SLURM run ID: of-before\nDone\nSLURM run ID: {RUN}\nUsing shell: bash\n")
    return tmp_path / "out"


def test_the_largest_node(cluster):
    assert largest_node() is None
    cluster("sinfo", "2|21694\n64+|500000+\n128|250000\n")
    assert largest_node() == Node(128, 500_000)
    cluster(
        "sinfo", script='case "$*" in *"--partition gpu"*) echo "8|4000";; *) echo "1|1";; esac'
    )
    options = ("--default-resources", "slurm_partition=gpu", "slurm_account=me")
    assert largest_node(options) == Node(8, 4000)
    assert largest_node() == Node(1, 1)


@pytest.mark.parametrize(("kept", "lacks"), [("none", True), ("slurmdbd", False)])
def test_a_cluster_without_accounts_is_asked_by_its_queue(cluster, kept, lacks):
    assert not lacks_accounting()
    cluster(
        "scontrol",
        f"AccountingStoreFlags    = (null)\nAccountingStorageType   = accounting_storage/{kept}\n",
    )
    assert lacks_accounting() == lacks
    found = Execution(executor="slurm").arguments({})
    assert ("--slurm-no-account" in found) == lacks
    assert ("--slurm-status-command" in found) == lacks
    mine = Execution(executor="slurm", options=("--slurm-status-command", "sacct"))
    assert mine.arguments({}).count("--slurm-status-command") == 1
    assert "--slurm-no-account" not in Execution(executor="kubernetes").arguments({})


def test_jobs_in_the_queue_by_the_name_of_the_run(cluster, study, tmp_path):
    assert queue(tmp_path / "none", JOBS) == []
    assert queue(study, JOBS) == []
    cluster(
        "squeue",
        "PENDING|rule_data_wildcards_world-1|ReqNodeNotAvail, UnavailableNodes:n[1-2]\n"
        "RUNNING|rule_pretrain_wildcards_aa-bb_default_seed-1-2|None\n"
        "PENDING|rule_align-words_wildcards_aa-bb_default_seed-1-3|Priority\n"
        "PENDING|group_of_some|Resources\n",
    )
    assert queue(study, JOBS) == [
        Queued("data/world-1", "PENDING", "ReqNodeNotAvail, UnavailableNodes:n[1-2]"),
        Queued("pretrain/aa-bb/default/seed-1-2", "RUNNING", "None"),
        Queued("align-words/aa-bb/default/seed-1-3", "PENDING", "Priority"),
        Queued("group_of_some", "PENDING", "Resources"),
    ]
    assert f"--name {RUN}" in (tmp_path / "commands" / "squeue.asked").read_text()
    assert queue_text(queue(study, JOBS)) == [
        "in the queue: 3 waiting (1 ReqNodeNotAvail, UnavailableNodes:n[1-2], 1 Priority, "
        "1 Resources), 1 running"
    ]
    assert queue_text([]) == []


def test_a_controller_that_does_not_answer_hinders_nobody(cluster, study, monkeypatch):
    monkeypatch.setattr(slurm, "_SECONDS", 0.2)
    cluster("squeue", script="exec sleep 60")
    assert queue(study, JOBS) == []


@pytest.mark.parametrize(
    ("reason", "node", "said"),
    [
        ("Priority", Node(8, 9000), None),
        ("Resources", Node(8, 9000), None),
        ("Resources", None, None),
        ("Resources", Node(2, 9000), "no node has more than 2 cores and 9,000 MiB"),
        ("Resources", Node(8, 2999), r"`resources: {data: ...}`"),
        (
            "PartitionConfig",
            None,
            "Slurm's reason is PartitionConfig; it asks for 4 cores, 3,000 MiB",
        ),
        ("ReqNodeNotAvail", Node(8, 9000), "Slurm's reason is ReqNodeNotAvail"),
    ],
)
def test_what_waits_for_more_than_its_turn_is_said(reason, node, said):
    queued = [Queued("data/world-1", "PENDING", reason), Queued("other", "RUNNING", "None")]
    found = hindrances(queued, ASKED, node)
    if said is None:
        assert found == {}
    else:
        (line,) = found.values()
        assert line.startswith("waiting: data/world-1: ")
        assert said in line


def test_a_request_that_no_node_can_meet_is_said_at_once():
    assert unfit(ASKED, None) == unfit(ASKED, Node(4, 3000)) == []
    lines = unfit(ASKED, Node(3, 3000))
    assert len(lines) == 3
    assert lines[0].startswith("data/world-1 asks for 4 cores, 3,000 MiB: no node has more than 3")


def test_news_are_said_once(cluster, study, monkeypatch):
    monkeypatch.setattr(slurm, "_LOOK_SECONDS", 0)
    watch = QueueWatch(study, JOBS, ASKED, Node(2, 9000))
    assert watch.news() == []
    line = "PENDING|rule_data_wildcards_world-1|"
    cluster("squeue", f"{line}None\n")
    (hindered,) = watch.news()  # known from the nodes before Slurm says why
    assert "no node has more than 2 cores" in hindered
    cluster("squeue", f"{line}PartitionConfig\n")
    count, hindered = watch.news()
    assert count == "in the queue: 1 waiting (1 PartitionConfig), 0 running"
    assert "Slurm's reason is PartitionConfig" in hindered
    assert watch.news() == []
    assert watch.text == [count, hindered]
    monkeypatch.setattr(slurm, "_LOOK_SECONDS", 3600)
    watch.news()
    cluster("squeue", f"{line}BadConstraints\n")
    assert watch.news() == []  # not asked so soon


def world(sentences):
    return Job(
        "data",
        "w",
        {
            "seed": 1,
            "domains": {"wiki": {"sentences": sentences}},
            "languages": {"bb": {"preset": "near"}},
        },
    )


def test_making_languages_asks_for_no_more_than_it_gains():
    def threads(sentences, *node, **request):
        job = world(sentences)
        return job_resources([job], request, *node)[job.folder].threads

    assert threads(100) == 1
    assert 1 < threads(25_000) < 4
    assert threads(10**6) == 4
    assert threads(10**6, 2) == 2
    assert threads(10**6, 64) == 4


def test_resources_are_read_as_they_are_written():
    asked = Resources(2, 1, 5000, 60, 7)
    assert Resources.from_json(json.loads(json.dumps(asked.as_json()))) == asked


def test_status_says_what_waits_in_the_queue(study_file, data, tmp_path, cluster, capsys):
    out = tmp_path / "study"
    run_study(study_file(), data, out, Execution(jobs=1), dry=True)
    (out / "logs").mkdir()
    (out / "logs" / "workflow.log").write_text(f"SLURM run ID: {RUN}\n")
    jobs = json.loads((out / "plan.json").read_text())["jobs"]
    name = next(folder for folder in jobs if folder.startswith("tokens/")).split("/", 1)[1]
    comment = f"rule_tokens_wildcards_{name.replace('/', '_')}"
    cluster("squeue", f"PENDING|{comment}|AssocGrpCpuLimit\n")
    capsys.readouterr()
    show_status(out)  # nobody runs it
    assert "queue" not in capsys.readouterr().out
    with exclusive(out) as lock:
        lock.note(remote=True, slots=5)
        show_status(out)
    said = capsys.readouterr().out
    assert "in the queue: 1 waiting (1 AssocGrpCpuLimit), 0 running" in said
    assert f"waiting: tokens/{name}: Slurm's reason is AssocGrpCpuLimit" in said
