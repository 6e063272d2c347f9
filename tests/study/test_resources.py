"""What jobs ask for: chains by another library, memory by its parts, and as Snakemake has it."""

import subprocess

import networkx as nx
import psutil
import pytest

from xling.errors import XlingError
from xling.study.config import StudyConfig
from xling.study.lock import exclusive
from xling.study.plan import Planner
from xling.study.resources import ResourceRequest, job_resources
from xling.study.run import run_study
from xling.study.workflow import Execution, _command, _snakefile


@pytest.fixture
def planned(study_file, data):
    """Return a function that plans the study with changes: its jobs, and what they ask for."""

    def plan(**changes):
        study = StudyConfig.load(study_file(**changes))
        jobs = Planner(study, data).plan().jobs
        return {job.folder: job for job in jobs}, job_resources(jobs, study.resources)

    return plan


def of_stage(found, stage):
    return [asked for folder, asked in found.items() if folder.startswith(f"{stage}/")]


def test_the_longest_chain_goes_first(planned):
    variants = {"default": {}, "long": {"pretraining": {"steps": 300}}}
    jobs, found = planned(variants=variants, transfer=[])
    work = {"pretrain": lambda job: job.settings["pretraining"]["steps"] / 300}
    graph = nx.DiGraph()
    for folder, job in jobs.items():
        own = work.get(job.stage, lambda job: 0.01)(job)
        graph.add_edge(folder, f"end of {folder}", weight=own)
        for parent in job.parents.values():
            graph.add_edge(f"end of {parent}", folder, weight=0.0)
    for folder, asked in found.items():
        chain = graph.subgraph(nx.descendants(graph, folder) | {folder})
        longest = nx.dag_longest_path_length(chain, weight="weight")
        assert asked.priority == pytest.approx(1000 * longest, abs=1)
    long, short = (
        next(a.priority for f, a in found.items() if f"pretrain/en-fr/{name}/" in f)
        for name in ("long", "default")
    )
    assert long > short > max(asked.priority for asked in of_stage(found, "probe"))


def test_memory_grows_with_what_is_held(planned):
    def pretrain(**changes):
        return of_stage(planned(variants={"default": {}}, **changes)[1], "pretrain")[0].memory_mb

    shape = {"hidden": 768, "feed_forward": 3072, "heads": 12, "layers": 12, "max_length": 128}
    small = pretrain()
    large = pretrain(model=shape, vocabulary={"size": 30_000})
    # Weights, gradients and two moments of BERT-base are 16 bytes times 110 million.
    assert small < 1_200
    assert large > 1_000 + 16 * 110e6 / 2**20
    assert large < 1_000 + 4 * 16 * 110e6 / 2**20
    rows = pretrain(model=shape, vocabulary={"size": 30_000}, pretraining={"rows": 64})
    assert rows > 1.2 * large
    # On a GPU activations are elsewhere.
    gpu = {"pretrain": {"gpus": 1}}
    assert pretrain(resources=gpu) == pretrain(resources=gpu, pretraining={"rows": 64})


def test_the_study_file_says_what_a_stage_asks_for(planned):
    request = {"threads": 3, "gpus": 2, "memory_gb": 16, "hours": 0.5}
    _, found = planned(threads=2, resources={"pretrain": request})
    for asked in of_stage(found, "pretrain"):
        assert (asked.threads, asked.gpus, asked.minutes) == (3, 2, 30)
        assert asked.memory_mb * 2**20 == pytest.approx(16e9, rel=1e-3)
    assert {asked.threads for asked in of_stage(found, "probe")} == {2}
    assert {asked.gpus for asked in of_stage(found, "probe")} == {0}
    assert {asked.minutes for asked in of_stage(found, "probe")} == {None}


def test_requests_change_no_folder(planned):
    assert set(planned()[0]) == set(planned(resources={"pretrain": {"threads": 2, "gpus": 1}})[0])


@pytest.mark.parametrize(
    ("resources", "fault"),
    [
        ({"pretain": {"gpus": 1}}, "resources.pretain"),
        ({"pretrain": {"gpu": 1}}, "resources.pretrain.gpu: unknown setting"),
        ({"pretrain": {"threads": 0}}, "resources.pretrain.threads"),
    ],
)
def test_a_wrong_request_is_named(study_file, resources, fault):
    with pytest.raises(XlingError, match=fault):
        StudyConfig.load(study_file(resources=resources))


@pytest.mark.slow
def test_snakemake_gets_them(study_file, data, tmp_path, capsys):
    file = study_file(
        variants={"default": {}}, resources={"pretrain": {"threads": 2, "gpus": 1, "hours": 2}}
    )
    run_study(file, data, tmp_path / "out", Execution(jobs=1), dry=True)
    with _snakefile() as snakefile:
        command = _command(tmp_path / "out", snakefile, ["--dry-run", "--cores", "4"])
        said = subprocess.run(command, capture_output=True, text=True, check=True)
    rules = (said.stdout + said.stderr).split("rule ")
    pretrain = next(rule for rule in rules if rule.startswith("pretrain:"))
    for expected in ("threads: 2", "priority: 10", "gpu=1", "runtime=120", "mem_mb="):
        assert expected in pretrain, pretrain
    probe = next(rule for rule in rules if rule.startswith("probe:"))
    assert "threads" not in probe
    assert "gpu=0" in probe


def test_arguments_of_snakemake(planned):
    _, found = planned(resources={"pretrain": {"gpus": 2}})
    here = Execution(jobs=3).arguments(found)
    memory = psutil.virtual_memory().total // 2**20
    assert here == ["--jobs", "3", "--resources", f"mem_mb={memory}", "gpu=2"]
    slurm = Execution(executor="slurm", options=("--slurm-qos", "long")).arguments(found)
    assert slurm[:4] == ["--jobs", "100", "--executor", "slurm"]
    assert "--resources" not in slurm
    assert slurm[-2:] == ["--slurm-qos", "long"]
    # What a profile says about the number of jobs holds.
    assert "--jobs" not in Execution(profile="cluster").arguments(found)


def test_an_executor_that_is_not_there_is_refused(study_file, data, tmp_path):
    for execution, fault in (
        (Execution(executor="moon-base"), "pip install snakemake-executor-plugin-moon-base"),
        (Execution(options=("probe",)), "probe: not an option"),
    ):
        with pytest.raises(XlingError, match=fault):
            run_study(study_file(), data, tmp_path / "out", execution, dry=False)
    assert not (tmp_path / "out").exists()


def test_what_snakemake_says_is_shown_if_it_stops(study_file, data, tmp_path):
    execution = Execution(jobs=1, options=("--no-such-option",))
    with pytest.raises(XlingError, match="no-such-option"):
        run_study(study_file(), data, tmp_path / "out", execution, dry=False)
    with exclusive(tmp_path / "out"):
        pass  # and nothing holds the folder


def test_a_request_says_what_each_setting_is():
    assert all(field.description for field in ResourceRequest.model_fields.values())
