"""The lower bounds of pyproject.toml are those that `make test-lowest` installs."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Tools of developers; their versions are those of constraints.txt.
TOOLS = ("dev", "docs", "slurm")


def bounds() -> dict[str, str]:
    """Every package that an installation of xling names, with its lower bound."""
    extras = PROJECT["optional-dependencies"]
    named = [*PROJECT["dependencies"], *(r for e in extras if e not in TOOLS for r in extras[e])]
    found = {}
    for requirement in map(Requirement, named):
        if requirement.name != "xling":
            (lower,) = (s.version for s in requirement.specifier if s.operator == ">=")
            found[requirement.name] = lower
    return found


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_lowest_versions_are_those_of_the_metadata():
    assert pins("constraints-lowest.txt") == bounds()


@pytest.mark.parametrize("package", bounds())
def test_the_versions_tested_with_are_allowed(package):
    tested = {re.sub("_", "-", k).lower(): v for k, v in pins("constraints.txt").items()}
    assert Version(tested[package]) >= Version(bounds()[package])
