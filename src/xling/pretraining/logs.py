"""The run's log: JSON lines for programs, TensorBoard for people."""

import json
from pathlib import Path
from typing import Any

from xling.files import atomic_file

LOG = "log.jsonl"


class RunLog:
    """Appends entries to ``log.jsonl`` and to a TensorBoard event file beside it.

    Args:
        folder: The run's folder.
        step: The step the run goes on from; later entries of an interrupted run are dropped,
            since they will be made again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / LOG
        self._keep_until(step)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, kind: str, step: int, language: str, **values: float) -> None:
        """Log values of one language at one step."""
        entry: dict[str, Any] = {"step": step, "kind": kind, "language": language, **values}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}/{language}", value, step)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()

    def _keep_until(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                break  # the line that was being written when the run was killed
            if entry["step"] <= step:
                kept.append(line + "\n")
        with atomic_file(self._path) as file:
            file.writelines(kept)
