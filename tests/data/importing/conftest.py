"""A way to import files, and what a folder then holds."""

from pathlib import Path

import pytest

from xling.data.importing.stage import import_sources
from xling.data.lines import read_lines


class Imported:
    """A data folder after an import, and what was said."""

    def __init__(self, out: Path, caplog) -> None:
        self.out = out
        self._caplog = caplog

    @property
    def said(self) -> str:
        return self._caplog.text

    def files(self) -> set[str]:
        paths = [path for path in self.out.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.out)) for path in paths} - {"data.yaml"}

    def lines(self, place: str) -> list[str]:
        return list(read_lines(self.out / place))


@pytest.fixture
def imported(tmp_path, caplog):
    """Import sources into a folder: (sources, part, languages, licence)."""
    caplog.set_level("INFO")

    def run(*sources: Path, part=None, languages=None, licence=None, out="data") -> Imported:
        import_sources(list(sources), tmp_path / out, part, languages, licence)
        return Imported(tmp_path / out, caplog)

    return run
