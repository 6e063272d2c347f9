"""Prints the tests of what has changed since main; on main, in the last commit and since.

Those of a source file are its mirror among the tests, or else those that import it, or else those
of its package; those of a page, a study and a benchmark are the tests of their kind.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
# Where it starts, to what tests it; the first that fits.
OTHERS = {
    "docs/pictures/": "tests/docs/test_pictures.py",
    "docs/": "tests/docs",
    "studies/": "tests/study/test_shipped.py",
    "benchmarks/": "tests/benchmarks",
    "Makefile": "tests/docs/test_pages.py",
    "pyproject.toml": "tests/test_bounds.py",
    "constraints": "tests/test_bounds.py",
}


def tests_of(path: PurePosixPath) -> Iterator[Path]:
    """Yield the files and folders of tests of one file; paths are relative to the checkout."""
    if path.parts[0] == "tests":
        if path.name.startswith("test_"):
            yield ROOT / path
        elif path.suffix == ".py" and len(path.parts) > 2:  # what a folder's tests share
            yield ROOT / path.parent
        return
    if path.parts[:2] == ("src", "xling"):
        inner = PurePosixPath(*path.parts[2:])
        folder = ROOT / "tests" / inner.parent
        mirror = folder / f"test_{inner.stem}.py"
        module = ".".join(("xling", *inner.with_suffix("").parts))
        if mirror.is_file():
            yield mirror
        elif importing := list(_importing(module)):
            yield from importing
        elif folder != ROOT / "tests":
            yield folder
        return
    named = [tests for start, tests in OTHERS.items() if str(path).startswith(start)]
    yield from (ROOT / tests for tests in named[:1])
    if path.suffix == ".md" and not named:
        yield ROOT / "tests/docs/test_pages.py"


def _importing(module: str) -> Iterator[Path]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if f"from {module} import" in text or f"import {module}\n" in text:
            yield path


def chosen(paths: Iterable[str]) -> list[str]:
    """Return the tests of all the files that are there, each once and none below another."""
    found = {test for path in paths for test in tests_of(PurePosixPath(path)) if test.exists()}
    return sorted(
        str(test.relative_to(ROOT)) for test in found if not found.intersection(test.parents)
    )


def changed() -> list[str]:
    """Return the files that differ from the branch point, with those that git does not know yet."""
    base = _git("merge-base", "main", "HEAD")
    if base == _git("rev-parse", "HEAD"):
        base = ["HEAD~1"]
    new = _git("ls-files", "--others", "--exclude-standard")
    return [*_git("diff", "--name-only", *base), *new]


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    print("\n".join(chosen(changed())))
