"""Progress bars on a terminal, and messages of one line each."""

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def track(
    items: Iterable[Item], description: str, total: int | None = None, unit: str = "items"
) -> Iterator[Item]:
    """Iterate over ``items`` with a bar on stderr if it is a terminal.

    Args:
        items: What to iterate over.
        description: What is being done, e.g. ``"Tokenising en"``.
        total: Number of items if known (``len(items)`` is tried).
        unit: What one item is, for the rate, e.g. ``"lines"``.
    """
    with bar(description, total if total is not None else _length(items), unit) as advance:
        for item in items:
            yield item
            advance(1)


def _length(items: Iterable[object]) -> int | None:
    try:
        return len(items)  # type: ignore[arg-type]
    except TypeError:
        return None


class bar:  # noqa: N801 - used as a function: ``with bar(...) as advance``
    """A progress bar as a context manager; yields a function that advances it."""

    def __init__(
        self, description: str, total: int | None, unit: str = "items", done: int = 0
    ) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                if not speed:
                    return Text("")
                rate = f"{speed / 1e6:,.1f} MB/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"
                return Text(rate, style="dim")

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(description, total=total, completed=done)

    def __enter__(self) -> "bar":
        self._progress.start()
        return self

    def __call__(self, steps: int, description: str | None = None) -> None:
        """Advance by ``steps``, optionally with a new description."""
        self._progress.update(self._task, advance=steps, description=description)

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()


class _OneLine(logging.Formatter):
    """Each message on one line; warnings and errors begin with their level."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        message = " ".join(record.getMessage().split())
        serious = record.levelno >= logging.WARNING
        return f"{record.levelname.lower()}: {message}" if serious else message


def show_messages() -> None:
    """Write the stages' log and warnings to stderr, one line each: ``warning: ...``."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        logging.getLogger("xling").warning("%s", message)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])  # of libraries
    logging.getLogger("xling").setLevel(logging.INFO)
    warnings.showwarning = show


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the bars of transformers and all its messages except errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
