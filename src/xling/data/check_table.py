"""Prints the outcome of a check: a table, then warnings, then problems."""

from typing import TYPE_CHECKING

from xling.data.findings import Check
from xling.data.problem import Problem, counted
from xling.data.scripts import named_shares

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDTH_OF_A_FILE = 1000  # an upper bound: the table takes what it needs


def print_check(check: Check, console: "Console | None" = None) -> None:
    """Print a check as a table, its warnings, its problems and one line that sums up.

    Args:
        check: What `check.check` returned.
        console: Where to print; standard output by default. Where that is no terminal, lines
            are as long as they need to be, so that they can be searched.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=_WIDTH_OF_A_FILE, color_system=None)
    console.print(_table(check))
    for title, style, findings in (
        ("Warnings", "yellow", check.warnings),
        ("Problems", "red", check.problems),
    ):
        if findings:
            console.print(Text(f"\n{title}", style=f"bold {style}"))
        for finding in findings:
            console.print(Text(f"- {_relative(check, finding)}"), soft_wrap=True)
    console.print(Text(f"\n{check.root}: {_verdict(check)}", style="bold"), soft_wrap=True)


def _table(check: Check) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("part", "name", "language"):
        table.add_column(title, no_wrap=True)
    for title in ("lines", "words", "characters", "duplicates"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("scripts")
    part = None
    for row in check.rows:
        if part not in (None, row.part):
            table.add_section()
        part = row.part
        numbers = [f"{number:,}" for number in (row.lines, row.words, row.characters)]
        duplicates = f"{'' if row.exact else '~'}{row.duplicates:,}"
        scripts = named_shares(row.scripts)
        table.add_row(row.part, row.name, row.language, *numbers, duplicates, scripts)
    return table


def _relative(check: Check, finding: Problem) -> str:
    """Write a finding with its path as seen from the data folder."""
    if finding.path != check.root and finding.path.is_relative_to(check.root):
        finding = finding._replace(path=finding.path.relative_to(check.root))
    return str(finding)


def _verdict(check: Check) -> str:
    files = counted(len(check.rows), "file")
    problems = counted(len(check.problems), "problem")
    return f"{files}, {problems}, {counted(len(check.warnings), 'warning')}"
