"""What a run saves during training: checkpoints to resume from, and snapshots to measure later.

``checkpoints/step-00000500.safetensors`` holds weights and optimizer state by name;
``step-00000500.json`` beside it, written last, holds the step, the best dev loss so far, the
precision and the hash of the tensors. Learning rate and random draws are functions of the step.

``snapshots/step-00000085.safetensors`` holds the family's weights by name in half precision
(float16), which is exact enough to measure *when* a run learns something. Snapshots stay until you
delete them: measuring again with other settings needs them.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import atomic_file, content_hash, read_json, write_json
from xling.pretraining.distributed import like, whole
from xling.pretraining.optimizer import FamilyOptimizer

BEST = "best.safetensors"
SNAPSHOTS = "snapshots"
_KEPT = 2
_HASH = "blake2b"
_NAME = re.compile(r"step-(\d{8})\.json")
_SNAPSHOT = re.compile(r"step-(\d{8})\.safetensors")


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Optimizer steps done.
        best_step: The step of the lowest dev loss so far: the base language's, or the mean of the
            others' once only they learn (``base_first``).
        best_loss: That loss.
        precision: Precision of training; empty in checkpoints from before it was recorded.
    """

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    precision: str = ""


def named_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return every distinct parameter by name, whole (all processes must call this)."""
    return {name: whole(parameter.detach()) for name, parameter in module.named_parameters()}


@torch.no_grad()
def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights by name into a module of the same structure."""
    for name, parameter in module.named_parameters():
        parameter.copy_(like(weights[name], parameter))


def save_tensors(path: Path, tensors: Mapping[str, Tensor], hashed: bool = False) -> None:
    """Write tensors as one safetensors file, whole or not at all.

    Args:
        path: The file.
        tensors: Tensors by name.
        hashed: Keep a hash of them in the file, for :func:`load_tensors` to compare.
    """
    found = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {_HASH: _tensors_hash(found)} if hashed else None
    with atomic_file(path, "wb") as file:
        save_file(found, Path(file.name), metadata)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file and check that they are those that were written.

    Raises:
        XlingError: they cannot be read, or differ from the hash in the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            expected = (file.metadata() or {}).get(_HASH)
    except (SafetensorError, OSError) as error:
        raise XlingError(f"{path}: not readable ({error})") from None
    if expected not in (None, _tensors_hash(found)):
        raise XlingError(f"{path}: was altered since it was written")
    return found


def _tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        # A copy: storage that numpy has viewed cannot be resized, and FSDP resizes its own.
        flat = tensor.detach().cpu().clone().flatten().view(torch.uint8)
        digest.update(flat.numpy().data)
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they lie; made when the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self, progress: Progress, family: nn.Module, optimizer: FamilyOptimizer, is_main: bool
    ) -> None:
        """Save the state after ``progress.step`` steps and drop all but the last two.

        Every process must call this; the main one writes.
        """
        weights = named_weights(family)
        state = optimizer.state_tensors()
        if not is_main:
            return
        tensors = {f"weights/{name}": tensor for name, tensor in weights.items()}
        tensors |= {f"optimizer/{name}": tensor for name, tensor in state.items()}
        path = self.folder / f"step-{progress.step:08d}.safetensors"
        save_tensors(path, tensors)
        write_json(path.with_suffix(".json"), {**asdict(progress), "hash": content_hash(path)})
        self.drop_old()

    def resume(self, family: nn.Module, optimizer: FamilyOptimizer) -> tuple[Progress, list[str]]:
        """Load the newest sound checkpoint, if there is any.

        Returns:
            How far it had come, and a warning for each damaged checkpoint that was skipped
            (resuming from an older one gives the same result, only later).

        Raises:
            XlingError: there are checkpoints, and all are damaged.
        """
        damaged = []
        for record in reversed(self._records()):
            path = record.with_suffix(".safetensors")
            fault = self._fault(record)
            if fault:
                damaged.append(f"{path}: {fault}")
                continue
            tensors = load_file(path)
            load_weights(family, _under(tensors, "weights/"))
            optimizer.load_state_tensors(_under(tensors, "optimizer/"))
            found = read_json(record)
            found.pop("hash")
            return Progress(**found), damaged
        if damaged:
            raise XlingError(
                f"no sound checkpoint is left ({'; '.join(damaged)}); delete {self.folder} to "
                "train from the start"
            )
        return Progress(), []

    def check_best(self, progress: Progress) -> None:
        """Check that the best weights so far can be read, if there should be any.

        Raises:
            XlingError: they are damaged; only training from the start can recreate them.
        """
        if not progress.best_step:
            return
        try:
            load_tensors(self.folder / BEST)
        except XlingError as error:
            raise XlingError(f"{error}; delete {self.folder} to train from the start") from None

    def drop_old(self) -> None:
        """Delete all but the last two checkpoints, and what a killed process left half-written."""
        records = self._records()
        for record in records[:-_KEPT]:
            record.unlink()
        kept = {record.stem for record in records[-_KEPT:]}
        for path in self.folder.glob("step-*.safetensors"):
            if path.stem not in kept:
                path.unlink()
        for path in self.folder.glob(".*.tmp"):
            path.unlink()

    def _records(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("step-*.json") if _NAME.fullmatch(p.name))

    @staticmethod
    def _fault(record: Path) -> str | None:
        path = record.with_suffix(".safetensors")
        try:
            expected = read_json(record)["hash"]
        except (XlingError, KeyError, TypeError):
            return f"its record {record.name} is damaged"
        if not path.is_file():
            return "is missing"
        if content_hash(path) != expected:
            return f"truncated or altered ({path.stat().st_size:,} bytes, hash differs)"
        return None


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


class Snapshots:
    """The snapshots of one run.

    Args:
        folder: Where they lie; made when the first is saved.
        steps: After which steps to save.
    """

    def __init__(self, folder: Path, steps: tuple[int, ...]) -> None:
        self._folder = folder
        self._steps = frozenset(steps)

    def due(self, step: int) -> bool:
        """Tell whether weights are kept after ``step`` steps."""
        return step in self._steps

    def save(self, step: int, family: nn.Module, is_main: bool) -> None:
        """Save the weights; every process must call this, and the main one writes."""
        weights = named_weights(family)
        if is_main:
            half = {name: weight.half() for name, weight in weights.items()}
            save_tensors(self._folder / f"step-{step:08d}.safetensors", half, hashed=True)


def saved_snapshots(run: Path) -> dict[int, Path]:
    """Return the snapshots in the folder of a run by step, ascending; none if it kept none."""
    folder = run / SNAPSHOTS
    if not folder.is_dir():
        return {}
    found = ((_SNAPSHOT.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in found if match}


def load_snapshot(family: nn.Module, path: Path) -> None:
    """Put the weights of a snapshot into a family of the same run.

    Raises:
        XlingError: It is damaged, or of another model.
    """
    check_file(path)
    try:
        load_weights(family, load_tensors(path))
    except (XlingError, KeyError, RuntimeError) as error:
        raise XlingError(
            f"{path}: not a snapshot of the model beside it ({error}); delete it, or train again"
        ) from None
