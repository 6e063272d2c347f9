"""Prints the tests of what has changed since main; on main, in the last commit and since.

Those of a source file are its mirror among the tests, or else those that import it, in its own
package if there are any; or else the mirrors of what uses it there, or else the whole package's.
Those of a page, a study and a benchmark are the tests of their kind.
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
        yield from _tests_of_source(PurePosixPath(*path.parts[2:]))
        return
    named = [tests for start, tests in OTHERS.items() if str(path).startswith(start)]
    yield from (ROOT / tests for tests in named[:1])
    if path.suffix == ".md" and not named:
        yield ROOT / "tests/docs/test_pages.py"


def _tests_of_source(inner: PurePosixPath) -> Iterator[Path]:
    """Yield the tests of a file of the package, named relative to it."""
    folder = ROOT / "tests" / inner.parent
    if own := list(_mirror_or_importing(inner)):
        yield from own
    elif users := [test for user in _users(inner) for test in _mirror_or_importing(user)]:
        yield from users
    elif folder != ROOT / "tests":
        yield folder


def _mirror_or_importing(inner: PurePosixPath) -> Iterator[Path]:
    folder = ROOT / "tests" / inner.parent
    mirror = folder / f"test_{inner.name.partition('.')[0]}.py"
    if mirror.is_file():
        yield mirror
        return
    importing = list(_importing(inner, ROOT / "tests", "test_*.py"))
    yield from [path for path in importing if path.parent == folder] or importing


def _users(inner: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the modules of the same package that import a module, or name a file."""
    package = ROOT / "src/xling"
    if inner.stem != "__init__":
        for path in _importing(inner, package / inner.parent, "*.py"):
            yield PurePosixPath(path.relative_to(package).as_posix())


def _importing(inner: PurePosixPath, folder: Path, names: str) -> Iterator[Path]:
    module = ".".join(("xling", *inner.with_suffix("").parts))
    words = (f"from {module} import", f"import {module}\n")
    for path in sorted(folder.rglob(names)):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in (words if inner.suffix == ".py" else [inner.name])):
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
