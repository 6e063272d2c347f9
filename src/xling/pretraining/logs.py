"""The run's log: JSON lines, and TensorBoard where it is installed."""

import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

from xling.errors import has_extra
from xling.files import atomic_file, naming_errors

LOG = "log.jsonl"
_log = logging.getLogger(__name__)


class RunLog:
    """Appends entries to ``log.jsonl`` and, with the extra tensorboard, to an event file beside it.

    Args:
        folder: The run's folder.
        step: The step the run resumes from; later entries of an interrupted run are dropped,
            since they will be made again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / LOG
        self._keep_until(step)
        with naming_errors(self._path):
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - close() does it
        self._board = _Board(folder / "tensorboard", step) if has_extra("tensorboard") else None
        if self._board is None:
            _log.info(
                "curves for TensorBoard need the extra tensorboard: pip install "
                "'xling[tensorboard]'; %s has the same numbers",
                self._path,
            )

    def write(self, kind: str, step: int, language: str, **values: float) -> None:
        """Log values of one language at one step."""
        entry: dict[str, Any] = {"step": step, "kind": kind, "language": language, **values}
        with naming_errors(self._path):
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        if self._board is not None:
            named = {f"{kind}/{name}/{language}": value for name, value in values.items()}
            self._board.write(step, named)

    def close(self) -> None:
        """Flush and close what is written to."""
        self._file.close()
        if self._board is not None:
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


class _Board:
    """A TensorBoard event file that is written at once.

    The writers that come with it use a thread of their own, in which errors are lost.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._path = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with naming_errors(self._path):
            self._writer = RecordWriter(open(self._path, "wb"))  # noqa: SIM115 - close() does it
        self._add(Event(file_version="brain.Event:2"))
        # What an interrupted run wrote of later steps is not shown.
        self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, values: dict[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(Event(step=step, summary=Summary(value=found)))

    def close(self) -> None:
        self._writer.close()

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        with naming_errors(self._path):
            self._writer.write(event.SerializeToString())
            self._writer.flush()
