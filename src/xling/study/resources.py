"""What the jobs of a study request of the machine they run on, and which go first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from xling.conlang.generate import jobs as parts_of
from xling.conlang.spec import ConlangSpec
from xling.files import JsonObject
from xling.model.architecture import ModelShape
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.cost import matrix_parameters, training_cost, training_memory

if TYPE_CHECKING:
    from xling.study.plan import Job

# Several processes can make languages, and nothing else can run before they have ended. A process
# takes seconds to start, in which a running one writes this many sentences.
_DATA_THREADS = 4
_DATA_SENTENCES = 25_000
_MIB = 2**20
# Python with torch and transformers; with CUDA's libraries and pinned memory.
_PROCESS_MB, _GPU_PROCESS_MB = 1_000, 5_000
_WORKER_MB = 500
_BPE_BYTES = 45  # of memory for each byte of text, at most (`VocabularyConfig.sample_bytes`)
_MARGIN = 1.5  # a cluster kills what takes more than it asked for
_LINES = 10_000  # about how many lines' vectors a measurement holds
# Hours would be better, but nobody knows them before the first run.
_RANKS = {"transfer": 0.1, "align-context": 0.1, "pretrain": 1.0}
_OTHER_RANK = 0.01


Stage = Literal[
    "data",
    "prepare",
    "derive",
    "vocabulary",
    "tokens",
    "pretrain",
    "probe",
    "transfer",
    "align-words",
    "align-sentences",
    "align-context",
    "similarity",
]


class ResourceRequest(BaseModel):
    """What every job of one stage requests, instead of the estimate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int | None = Field(None, ge=1, description="cores")
    gpus: int | None = Field(
        None, ge=0, description="GPUs; training and transfer divide their rows among several"
    )
    memory_gb: float | None = Field(None, gt=0, description="main memory, GB")
    hours: float | None = Field(
        None,
        gt=0,
        description="time limit on a cluster; without it the cluster's own limit applies",
    )


@dataclass(frozen=True)
class Resources:
    """What one job requests.

    Attributes:
        threads: Cores.
        gpus: GPUs.
        memory_mb: Main memory in MiB.
        minutes: Time limit; None if unknown.
        priority: The larger, the earlier it starts when there is a choice.
    """

    threads: int
    gpus: int
    memory_mb: int
    minutes: int | None
    priority: int

    @classmethod
    def from_json(cls, written: JsonObject) -> "Resources":
        """Read them from a job as the plan has it."""
        more = written["resources"]
        return cls(
            written["threads"],
            more["gpu"],
            more["mem_mb"],
            more.get("runtime"),
            written["priority"],
        )

    def as_json(self) -> dict[str, object]:
        """Return them by Snakemake's names."""
        limit = {} if self.minutes is None else {"runtime": self.minutes}
        return {
            "threads": self.threads,
            "priority": self.priority,
            "resources": {"mem_mb": self.memory_mb, "gpu": self.gpus, **limit},
        }


def job_resources(
    jobs: "Iterable[Job]",
    requests: Mapping[Stage, ResourceRequest],
    node_cores: int | None = None,
) -> dict[str, Resources]:
    """Return what each job requests, by its folder.

    Args:
        jobs: The jobs of a plan, parents before children.
        requests: What the study file asks for, by stage.
        node_cores: Cores of the largest machine that a job may run on, if that is known; a job
            gets no more unless the study file asks for more.
    """
    by_folder = {job.folder: job for job in jobs}
    priorities = _priorities(by_folder)
    by_stage = {str(stage): request for stage, request in requests.items()}
    nothing = ResourceRequest.model_validate({})
    found = {}
    for folder, job in by_folder.items():
        request = by_stage.get(job.stage, nothing)
        default = _data_threads(job) if job.stage == "data" else job.threads
        threads, gpus = request.threads or min(default, node_cores or default), request.gpus or 0
        memory = (
            round(request.memory_gb * 1e9 / _MIB)
            if request.memory_gb
            else _memory_mb(job, by_folder, threads, gpus)
        )
        minutes = max(1, round(60 * request.hours)) if request.hours else None
        found[folder] = Resources(threads, gpus, memory, minutes, priorities[folder])
    return found


def _data_threads(job: "Job") -> int:
    """Return how many processes shorten the making of languages."""
    spec = ConlangSpec.parse(job.settings, job.folder)
    sentences = sum(
        part.count if part.language else part.count * len(spec.languages) for part in parts_of(spec)
    )
    return max(1, min(_DATA_THREADS, round(sentences / _DATA_SENTENCES)))


def _memory_mb(job: "Job", jobs: "Mapping[str, Job]", threads: int, gpus: int) -> int:
    """Estimate a job's main memory in MiB, too high rather than too low."""
    if job.stage in ("data", "prepare", "derive", "tokens"):
        return _PROCESS_MB + _WORKER_MB * threads
    if job.stage == "vocabulary":
        sample: int = job.settings["vocabulary"]["sample_bytes"]
        return _PROCESS_MB + _BPE_BYTES * sample // _MIB
    model = job if job.stage == "pretrain" else jobs[job.parents["pretrain"]]
    shape = ModelShape.model_validate(model.settings["model"])
    vocabulary = jobs[model.parents["vocabulary"]].settings["vocabulary"]["size"]
    encoders = len(model.settings["languages"]) if model.settings["separate"] else 1
    parameters = encoders * matrix_parameters(shape, vocabulary)
    process = (_GPU_PROCESS_MB if gpus else _PROCESS_MB) * max(1, gpus)
    if job.stage == "pretrain":
        training = PretrainingConfig.model_validate(model.settings["pretraining"])
        need = training_cost(shape, vocabulary, parameters, training).memory.total
    elif job.stage in ("transfer", "align-context"):
        settings = job.settings.get("transfer", job.settings)
        rows = max(settings.get("batch_sizes", (32,)))
        need = training_memory(parameters, shape, 0, rows, shape.max_length, 0.0).total
    else:
        # The vectors of two languages at every layer, twice while they are compared.
        need = 4 * (parameters + 4 * _LINES * shape.hidden * (shape.layers + 1))
    if gpus:
        need = 16 * parameters  # weights and moments pass through main memory to the disk
    return process + round(_MARGIN * need / _MIB)


def _priorities(jobs: "Mapping[str, Job]") -> dict[str, int]:
    """Rank jobs by the longest chain of work that waits for them, themselves included.

    Long chains first is the classic rule (Graham 1969; Hu 1961): what is short fills the gaps at
    the end. The unit is a thousandth of the largest training run; a task's fine-tuning counts as
    a tenth of that, anything else as a hundredth.
    """
    work = {folder: _training_work(job, jobs) for folder, job in jobs.items()}
    largest = max(work.values(), default=0) or 1
    chains: dict[str, float] = dict.fromkeys(jobs, 0.0)
    for folder, job in reversed(list(jobs.items())):
        own = _RANKS.get(job.stage, _OTHER_RANK)
        if job.stage == "pretrain":
            own *= work[folder] / largest
        chains[folder] += own
        for parent in job.parents.values():
            chains[parent] = max(chains[parent], chains[folder])
    # Data that everything reads is not listed as a parent.
    everything = max(chains.values(), default=0)
    chains |= {
        folder: everything for folder, j in jobs.items() if j.stage in ("data", "prepare", "derive")
    }
    return {folder: round(1000 * chain) for folder, chain in chains.items()}


def _training_work(job: "Job", jobs: "Mapping[str, Job]") -> float:
    """Return how many FLOPs a training run is; 0 for other jobs."""
    if job.stage != "pretrain":
        return 0.0
    shape = ModelShape.model_validate(job.settings["model"])
    vocabulary = jobs[job.parents["vocabulary"]].settings["vocabulary"]["size"]
    training = PretrainingConfig.model_validate(job.settings["pretraining"])
    return training_cost(shape, vocabulary, 0, training).flops
