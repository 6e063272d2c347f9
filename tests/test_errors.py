"""What an installation may lack: extras agree with the package's metadata, and are asked for."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from xling.errors import EXTRAS, XlingError, has_extra, need_extra

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
HIDDEN = sorted({module for modules in EXTRAS.values() for module in modules} - {"jinja2"})
# Nothing finds them, as if they had not been installed.
HIDE = f"""
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {HIDDEN} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""


def name(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0].lower()


def packages(extra: str) -> set[str]:
    """The distributions of an extra, those of the extras that it contains included."""
    found = set()
    for requirement in OPTIONAL[extra]:
        if name(requirement) == "xling":
            inner = re.search(r"\[(.+)\]", requirement)[1].split(",")
            found |= set().union(*map(packages, inner))
        else:
            found.add(name(requirement))
    return found


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_modules_of_an_extra_are_those_of_its_packages(extra):
    known = packages_distributions()
    found = {known[module][0].lower() for module in EXTRAS[extra]}
    assert found == packages(extra)
    assert packages(extra) <= packages("all")
    assert not packages(extra) & set(map(name, PROJECT["dependencies"]))


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_module_is_a_missing_extra(extra, monkeypatch):
    assert has_extra(extra)
    need_extra(extra, "xling")
    for module in EXTRAS[extra]:
        with monkeypatch.context() as hidden:
            hidden.setitem(sys.modules, module, None)
            assert not has_extra(extra)
            with pytest.raises(XlingError) as error:
                need_extra(extra, "xling verb")
        expected = f"xling verb needs the extra {extra}: pip install 'xling[{extra}]'"
        assert str(error.value) == expected


def without_extras(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", HIDE + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("verb", "extra", "rest"),
    [
        ("study run", "study", ["demo"]),
        ("report", "report", ["runs/demo"]),
        ("data hub", "hub", ["paper/data", "--out", "out"]),
        ("data import", "import", ["a.fr.txt", "--out", "out"]),
    ],
)
def test_a_verb_says_which_extra_it_needs(verb, extra, rest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = without_extras("from xling.cli import main\nmain()", *verb.split(), *rest)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        f"error: xling {verb} needs the extra {extra}: pip install 'xling[{extra}]'\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_all_but_the_run_of_a_study_is_imported_without_extras(tmp_path):
    code = (
        "import pkgutil, importlib, xling, pandas\n"
        "from pathlib import Path\n"
        "from xling.csv_tables import read_table, write_table\n"
        "from xling.pretraining.loop import RunLog\n"
        "for found in pkgutil.walk_packages(xling.__path__, 'xling.'):\n"
        "    if found.name != 'xling.__main__':\n"
        "        importlib.import_module(found.name)\n"
        "log = RunLog(Path(sys.argv[1]), 0)\n"
        "log.write('train', 1, 'en', loss=2.0)\n"
        "log.close()\n"
        "with open(log._path.with_name('table.csv'), 'w') as file:\n"
        "    write_table(pandas.DataFrame({'a': ['=x'], 'b': [0.1 + 0.2]}), file)\n"
        "print(read_table(log._path.with_name('table.csv'), {'b': 'float64'}).to_dict('list'))\n"
    )
    run = without_extras(code, str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert run.stdout == "{'a': ['=x'], 'b': [0.30000000000000004]}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "table.csv"]
