"""The state of one setting's fine-tuning on disk, so that a stopped run resumes.

::

    FOLDER/
      progress.json          epochs done, scores, the hashes of both others and its own
      running.safetensors    weights and optimizer after the last epoch; gone once finished
      best.safetensors       weights with the best dev score; gone once its scores are written

A file is used only if its hash is the one recorded: what was truncated or altered is made again.
"""

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from safetensors.torch import load_file
from torch import Tensor

from xling.errors import XlingError
from xling.files import JsonObject, content_hash, read_json, write_json
from xling.pretraining.checkpoint import save_tensors
from xling.pretraining.distributed import World

if TYPE_CHECKING:
    from xling.transfer.finetune import Learner, Optimizer

logger = logging.getLogger(__name__)

_HASH = "hash"


def write_record(path: Path, found: Mapping[str, object]) -> None:
    """Write a JSON file that tells if it has been altered."""
    write_json(path, {**found, _HASH: _hash(found)})


def read_record(path: Path) -> JsonObject | None:
    """Return what :func:`write_record` wrote; None if there is no such file or it is damaged."""
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        if found.pop(_HASH) == _hash(found):
            return dict(found)
    except (XlingError, OSError, AttributeError, KeyError, TypeError):
        pass
    logger.warning("%s: truncated or altered; its work is done again", path)
    return None


def is_unchanged(path: Path, expected: str | None) -> bool:
    """Tell whether a file is there and has the hash that was recorded."""
    return expected is not None and path.is_file() and content_hash(path) == expected


def _hash(found: Mapping[str, object]) -> str:
    text = json.dumps(found, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass
class FineTuningProgress:
    """How far the fine-tuning of one setting and seed has come.

    Attributes:
        epoch: Epochs done.
        best_epoch: The one with the best dev score, from 1.
        best: That score.
        history: Dev score after each epoch.
        finished: Whether it is over.
        diverged: Whether it is over because the loss, the weights or the scores were no numbers.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float = -math.inf
    history: list[float] = field(default_factory=list)
    finished: bool = False
    diverged: bool = False

    @property
    def dev(self) -> float:
        """The best score; NaN if the setting diverged."""
        return math.nan if self.diverged else self.best

    def as_json(self) -> dict[str, object]:
        """Return what is stored in a file."""
        return asdict(self) | {"best": None if math.isinf(self.best) else self.best}

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        """Make it from what :meth:`as_json` returned."""
        return cls(**{**found, "best": -math.inf if found["best"] is None else found["best"]})


class FineTuningState:
    """Where one setting and seed keep their state.

    Args:
        folder: Its own folder.
        process: This process; the main one writes, and the others wait.
    """

    def __init__(self, folder: Path, process: World) -> None:
        self.folder = folder
        self._process = process
        self._record = folder / "progress.json"
        self._running = folder / "running.safetensors"
        self._best = folder / "best.safetensors"
        self._hashes: dict[str, str] = {}

    def save_best(self, learner: "Learner") -> None:
        """Keep the weights as the best so far."""
        if self._process.is_main:
            self._keep(self._best, {k: p.detach() for k, p in learner.parameters().items()})
        self._process.barrier()

    def has_best(self) -> bool:
        """Tell whether the best weights are there, as they were written."""
        found = read_record(self._record) or {}
        return is_unchanged(self._best, found.get("hashes", {}).get(self._best.name))

    def load_best(self, learner: "Learner") -> None:
        """Take over the best weights; see :meth:`has_best`."""
        learner.load(load_file(self._best))

    def save(
        self, progress: FineTuningProgress, learner: "Learner", optimizer: "Optimizer"
    ) -> None:
        """Keep the state after an epoch, the record last."""
        if self._process.is_main:
            if not progress.finished:
                weights = {f"weights/{k}": p.detach() for k, p in learner.parameters().items()}
                state = {f"optimizer/{k}": v for k, v in optimizer.state_tensors().items()}
                self._keep(self._running, {**weights, **state})
            write_record(
                self._record, {"progress": progress.as_json(), "hashes": dict(self._hashes)}
            )
            if progress.finished:
                self._running.unlink(missing_ok=True)
        self._process.barrier()

    def resume(self, learner: "Learner", optimizer: "Optimizer") -> FineTuningProgress:
        """Load the state after the last epoch, if there is any that is sound."""
        found = read_record(self._record)
        if found is None:
            return FineTuningProgress()
        progress, self._hashes = FineTuningProgress.from_json(found["progress"]), found["hashes"]
        if progress.finished:
            return progress
        if not is_unchanged(self._running, self._hashes.get(self._running.name)):
            logger.warning("%s: missing or altered; this setting starts again", self._running)
            self._hashes = {}
            return FineTuningProgress()
        tensors = load_file(self._running)
        learner.load({k[8:]: v for k, v in tensors.items() if k.startswith("weights/")})
        optimizer.load_state_tensors(
            {k[10:]: v for k, v in tensors.items() if k.startswith("optimizer/")}
        )
        return progress

    def forget(self) -> None:
        """Delete the record, so that the setting starts again."""
        self._process.barrier()  # all have read it
        if self._process.is_main:
            self._record.unlink(missing_ok=True)
        self._hashes = {}
        self._process.barrier()

    def drop_weights(self) -> None:
        """Delete the weights of a setting that was not selected, or whose scores are written."""
        if self._process.is_main:
            self._best.unlink(missing_ok=True)
            self._running.unlink(missing_ok=True)
        self._process.barrier()

    def _keep(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        save_tensors(path, tensors)
        self._hashes[path.name] = content_hash(path)
