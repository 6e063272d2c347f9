"""Which tests `make check` takes for a changed file, and which files of tests start first."""

import importlib.util
import subprocess
from types import ModuleType, SimpleNamespace

import pytest

from .conftest import LONGEST, TESTS, pytest_collection_modifyitems


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("changed", TESTS / "changed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("src/xling/measures/cka.py", ["tests/measures/test_cka.py"]),
        ("src/xling/files.py", ["tests/test_files.py"]),
        ("src/xling/data/check_folder.py", ["tests/data/test_check.py"]),
        (
            "src/xling/report/html.py",
            ["tests/report/test_data_card.py", "tests/report/test_page.py"],
        ),
        ("src/xling/report/data_card.html.j2", ["tests/report/test_data_card.py"]),
        ("src/xling/report/__init__.py", ["tests/report"]),
        ("tests/measures/test_cka.py", ["tests/measures/test_cka.py"]),
        ("tests/docs/conftest.py", ["tests/docs"]),
        ("docs/pictures/demo.svg", ["tests/docs/test_pictures.py"]),
        ("docs/probes.md", ["tests/docs"]),
        ("README.md", ["tests/docs/test_pages.py"]),
        ("studies/demo.yaml", ["tests/study/test_shipped.py"]),
        ("tests/gone/test_gone.py", []),
        ("LICENSE", []),
    ],
)
def test_a_file_has_its_tests(script, path, tests):
    assert script.chosen([path]) == tests


@pytest.mark.parametrize(
    ("module", "below"),
    [("study.plan_text", "tests/study/"), ("transfer.config", "tests/transfer/")],
)
def test_what_has_no_mirror_has_the_tests_of_its_package_that_import_it(script, module, below):
    found = script.chosen([f"src/xling/{module.replace('.', '/')}.py"])
    assert found
    for test in found:
        assert test.startswith(below)
        assert f"xling.{module}" in (TESTS.parent / test).read_text(encoding="utf-8")


def test_no_test_is_named_twice(script):
    both = ["tests/docs/conftest.py", "docs/pictures/demo.svg", "docs/probes.md"]
    assert script.chosen(both) == ["tests/docs"]


def test_committed_changed_and_new_files_are_seen(script, tmp_path, monkeypatch):
    def git(*words):
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    def write(*names):
        for name in names:
            (tmp_path / name).write_text(name + str(len(list(tmp_path.iterdir()))))

    monkeypatch.setattr(script, "ROOT", tmp_path)
    git("init", "-b", "main")
    for names in ("old", "kept"), ("last",):
        write(*names)
        git("add", ".")
        git("commit", "-m", "x")
    write("kept", "new")
    assert sorted(script.changed()) == ["kept", "last", "new"]
    git("checkout", "-b", "mine")
    write("mine")
    git("add", "mine")
    git("commit", "-m", "x")
    assert sorted(script.changed()) == ["kept", "mine", "new"]


def test_what_starts_first_is_there():
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []


def test_the_longest_are_collected_first():
    """In their order, whatever the order of their names."""
    paths = [TESTS / name for name in ("test_changed.py", LONGEST[1], LONGEST[0])]
    items = [SimpleNamespace(path=path) for path in paths]
    pytest_collection_modifyitems(items)
    assert [item.path for item in items] == [paths[2], paths[1], paths[0]]
