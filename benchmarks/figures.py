"""What a benchmark finds, as one table and as JSON that two commits can be compared by.

Every benchmark has the options ``--small`` (tiny sizes: a check that it runs, no measurement) and
``--json FILE``, and ends with :func:`show`.
"""

import argparse
import json
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from xling.device import bf16_features

PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


class Figure(NamedTuple):
    """One thing measured.

    Attributes:
        work: What was done.
        value: How fast, how long or how large it was.
        unit: Of the value, e.g. ``tokens/s``.
        peer: What it is compared with: other software, or the least work the machine must do.
        other: The peer's value, in the same unit; None if there is none.
        least: The least ratio of value to other that is wanted.
        most: The greatest ratio that is wanted.
    """

    work: str
    value: float
    unit: str
    peer: str = ""
    other: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """Value over the peer's."""
        return self.value / self.other if self.other else None

    @property
    def goal(self) -> str:
        """What ratio is wanted."""
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"

    @property
    def verdict(self) -> str:
        """Whether the goal is reached; empty without a goal."""
        if self.ratio is None or not self.goal:
            return ""
        low = self.least is not None and self.ratio < self.least
        high = self.most is not None and self.ratio > self.most
        return "missed" if low or high else "reached"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all benchmarks have."""
    parser.add_argument("--small", action="store_true", help="tiny sizes: only check that it runs")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")


def show(benchmark: str, figures: Sequence[Figure], arguments: argparse.Namespace) -> None:
    """Print figures as a table, and write them if asked to."""
    found = [(benchmark, figure) for figure in figures]
    print(as_text(found))
    if arguments.json:
        write(found, arguments.json, arguments.small)


def write(found: Sequence[tuple[str, Figure]], path: Path, small: bool) -> None:
    """Write the figures of some benchmarks as JSON."""
    entries = [{"benchmark": benchmark, **figure._asdict()} for benchmark, figure in found]
    content = {"machine": machine(), "small": small, "figures": entries}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> tuple[dict[str, str], list[tuple[str, Figure]]]:
    """Read what :func:`show` or ``run.py`` wrote: the machine, and each benchmark's figures."""
    content = json.loads(path.read_text(encoding="utf-8"))
    found = [(entry.pop("benchmark"), Figure(**entry)) for entry in content["figures"]]
    return content["machine"], found


def machine() -> dict[str, str]:
    """Say what was measured, and on what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
        "features": ", ".join(
            [torch.backends.cpu.get_cpu_capability(), *bf16_features(torch.device("cpu"))]
        ),
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def processor() -> str:
    """Return the processor's name and family, as Linux gives them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    of = {name.strip(): value.strip() for name, value in pairs}
    family = f"family {of.get('cpu family', '?')} model {of.get('model', '?')}"
    return f"{of.get('model name', platform.machine())} ({family})"


def as_text(figures: Sequence[tuple[str, Figure]]) -> str:
    """Return a table of figures."""
    head = ("benchmark", "work", "value", "unit", "peer", "its value", "ratio", "goal", "")
    rows = [
        (
            benchmark,
            one.work,
            number(one.value),
            one.unit,
            one.peer,
            number(one.other),
            number(one.ratio),
            one.goal,
            one.verdict,
        )
        for benchmark, one in figures
    ]
    return aligned([head, *rows], right={2, 5, 6})


def number(value: float | None) -> str:
    """Write a number with three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def aligned(rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Return rows of text in columns; those in ``right`` end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
