"""The state of one setting's fine-tuning on disk, so that a stopped run goes on.

::

    FOLDER/
      progress.json          epochs done, scores, the hash of running.safetensors
      running.safetensors    weights and optimizer after the last epoch; gone once finished
      best.safetensors       weights with the best dev score
"""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from xling.errors import XlingError
from xling.files import content_hash, read_json, write_json
from xling.pretraining.checkpoint import save_tensors
from xling.pretraining.distributed import World

if TYPE_CHECKING:
    from xling.transfer.finetune import Learner, Optimizer, Progress

logger = logging.getLogger(__name__)


class Place:
    """Where one setting and seed keep their state.

    Args:
        folder: Its own folder.
        here: This process; the one that leads writes, and the others wait.
    """

    def __init__(self, folder: Path, here: World) -> None:
        self.folder = folder
        self._here = here
        self._record = folder / "progress.json"
        self._running = folder / "running.safetensors"
        self._best = folder / "best.safetensors"

    def save_best(self, learner: "Learner") -> None:
        """Keep the weights as the best so far."""
        if self._here.leads:
            save_tensors(self._best, {k: p.detach() for k, p in learner.parameters().items()})
        self._here.barrier()

    def load_best(self, learner: "Learner") -> None:
        """Take over the best weights."""
        learner.load(load_file(self._best))

    def save(self, progress: "Progress", learner: "Learner", optimizer: "Optimizer") -> None:
        """Keep the state after an epoch, the record last."""
        if self._here.leads:
            found = progress.as_json()
            if not progress.finished:
                weights = {f"weights/{k}": p.detach() for k, p in learner.parameters().items()}
                state = {f"optimizer/{k}": v for k, v in optimizer.state_tensors().items()}
                save_tensors(self._running, {**weights, **state})
                found["hash"] = content_hash(self._running)
            write_json(self._record, found)
            if progress.finished:
                self._running.unlink(missing_ok=True)
        self._here.barrier()

    def resume(self, learner: "Learner", optimizer: "Optimizer") -> "Progress":
        """Load the state after the last epoch, if there is any that is sound."""
        from xling.transfer.finetune import Progress

        if not self._record.is_file():
            return Progress()
        try:
            found = read_json(self._record)
            expected = found.pop("hash", None)
            progress = Progress(**found)
            if progress.best is None:
                progress.best = -math.inf
            if progress.finished:
                return progress
            if content_hash(self._running) != expected:
                raise XlingError(f"{self._running}: truncated or altered")
            tensors = load_file(self._running)
        except (XlingError, OSError, TypeError) as error:
            logger.warning("%s; this setting starts anew", error)
            return Progress()
        learner.load({k[8:]: v for k, v in tensors.items() if k.startswith("weights/")})
        optimizer.load_state_tensors(
            {k[10:]: v for k, v in tensors.items() if k.startswith("optimizer/")}
        )
        return progress

    def drop_weights(self) -> None:
        """Delete the best weights of a setting that was not selected."""
        if self._here.leads:
            self._best.unlink(missing_ok=True)
        self._here.barrier()
