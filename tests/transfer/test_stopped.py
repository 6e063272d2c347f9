"""Killed, or out of disk space, at every file operation: the same command ends as if it had not.

An audit hook sees each operation that changes files before it is done. Kills are real ones, of a
forked process.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xling.transfer.config import ContextSettings, TransferConfig
from xling.transfer.context import align_context
from xling.transfer.stage import transfer

TAKES_SPACE = {"open", "os.mkdir", "os.rename"}
CHANGES = TAKES_SPACE | {"os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link"}
QUICK = {
    "task": "ner",
    "batch_sizes": [8],
    "encoder_rates": [1e-3, 5e-3],
    "epochs": 2,
    "train_sentences": 8,
    "dev_sentences": 4,
    "averaged": 1,
    "resamples": 0,
}
FEATURE = {"layers": [1], "new_layers": 1, "encoder_rates": [5e-3], "epochs": 1}


class _Watch:
    """Calls a function before each operation below a folder that changes files."""

    def __init__(self) -> None:
        self.folder = ""
        self.act: Callable[[str], None] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.act is None or event not in CHANGES:
            return
        path = arguments[0]
        if isinstance(path, int) or not os.fsdecode(path).startswith(self.folder):
            return
        if event == "open" and not _writes(*arguments[1:3]):
            return
        self.act(event)

    @contextmanager
    def over(self, folder: Path, act: Callable[[str], None]) -> Iterator[None]:
        self.folder, self.act = str(folder), act
        try:
            yield
        finally:
            self.act = None


def _writes(mode: str | None, flags: int) -> bool:
    if mode is not None:
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


WATCH = _Watch()  # an audit hook stays for good


def operations(folder: Path, work: Callable[[], None]) -> list[str]:
    """Return the operations that work takes."""
    seen: list[str] = []
    with WATCH.over(folder, seen.append):
        work()
    return seen


def killed_at(number: int, folder: Path, work: Callable[[], None]) -> None:
    """Work in another process, killed before its operation of that number (from 1)."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        left = number

        def act(event: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        with WATCH.over(folder, act):
            work()
    finally:
        os._exit(0)


def full_at(number: int, folder: Path, work: Callable[[], None]) -> None:
    """Work while the disk is full from the operation of that number on."""
    left = number

    def act(event: str) -> None:
        nonlocal left
        left -= 1
        if left <= 0 and event in TAKES_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with WATCH.over(folder, act), pytest.raises(Exception, match="No space left"):
        work()


def results(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def parallel(data, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("parallel") / "data"
    root.mkdir()
    for part in data.iterdir():
        (root / part.name).symlink_to(part)
    lines = [line for line in (data / "text/wiki/aa.txt").read_text().splitlines() if line]
    for language in ("aa", "bb"):
        path = root / "parallel" / "same" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
    return root


@pytest.fixture
def make(request, model, parallel) -> Callable[[Path], None]:
    """What makes OUT: full fine-tuning, or new layers tested through a map (two models)."""
    task = QUICK if request.param == "full" else QUICK | FEATURE

    def work(out: Path) -> None:
        if request.param == "full":
            config = TransferConfig.model_validate({"source": "aa", "targets": ["bb"], **task})
            transfer(str(model), parallel, out, config)
        else:
            given = {"languages": ["aa", "bb"], "train": "same", "transfer": task}
            settings = ContextSettings.model_validate(given)
            align_context(model / "aa", model / "bb", parallel, out, settings)

    return work


@pytest.mark.slow
@pytest.mark.parametrize("make", ["full", "context"], indirect=True)
@pytest.mark.parametrize("stopped_at", [killed_at, full_at])
def test_a_run_stopped_at_any_operation_ends_as_if_it_had_not_been(make, tmp_path, stopped_at):
    folder = tmp_path / "trial"
    folder.mkdir()
    out = folder / "out"
    seen = operations(folder, lambda: make(out))
    expected = results(out)
    assert {"scores.csv", "settings.csv"} < set(expected)
    assert len(seen) > 30
    assert [path.name for path in folder.iterdir()] == ["out"]
    for number, event in enumerate(seen, 1):
        if stopped_at is full_at and event not in TAKES_SPACE:
            continue
        folder = tmp_path / f"trial-{number}"
        folder.mkdir()
        out = folder / "out"
        stopped_at(number, folder, lambda out=out: make(out))
        make(out)
        assert results(out) == expected, number
        assert [path.name for path in folder.iterdir()] == ["out"], number
