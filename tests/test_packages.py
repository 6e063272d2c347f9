"""Packages import what comes before them in the flow of data, never what comes after."""

import re
from pathlib import Path

import pytest

import xling

ROOT = Path(xling.__file__).parent
ORDER = (
    *("conlang", "data", "vocabulary", "tokens", "measures", "model", "pretraining"),
    *("encoders", "similarity", "alignment", "transfer", "report", "audit", "study", "cli"),
)
IMPORT = re.compile(r"^\s*(?:from|import) xling\.(\w+)", re.MULTILINE)


CONTRIBUTING = ROOT.parents[1] / "CONTRIBUTING.md"


def imported(package: str) -> set[str]:
    files = (ROOT / package).rglob("*.py")
    return {name for path in files for name in IMPORT.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.skipif(not CONTRIBUTING.is_file(), reason="not in a checkout")
def test_the_map_for_contributors_is_true():
    """Its picture and its table have all packages in this order, and its arrows are imports."""
    section = CONTRIBUTING.read_text(encoding="utf-8").partition("## The packages")[2]
    section = section.partition("\n## ")[0]
    picture = section.split("```")[1]
    assert [word for word in re.findall(r"[a-z]+", picture) if word in ORDER] == list(ORDER)
    table = "".join(re.findall(r"^\| (`[^|]*)\|", section, re.MULTILINE))
    assert sorted({*re.findall(r"`(\w+)`", table)} & {*ORDER}) == sorted(ORDER)
    arrows = re.findall(r"(?=\b([a-z]+) ─+▶ ([a-z]+)\b)", picture)
    assert len(arrows) >= 5
    for of, to in arrows:
        assert {of, to} - {*ORDER} or of in imported(to), (of, to)


def test_every_package_has_its_place():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ORDER)


@pytest.mark.parametrize("package", ORDER)
def test_no_import_goes_back(package):
    later = set(ORDER[ORDER.index(package) + 1 :])
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / package).rglob("*.py")
        for name in IMPORT.findall(path.read_text(encoding="utf-8"))
        if name in later
    }
    assert not found


def test_measures_know_arrays_only():
    """No files, no models and no settings: only arrays, devices, errors and random draws."""
    for path in (ROOT / "measures").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        known = {"measures", "device", "errors", "randomness", "bootstrap", "stored"}
        assert set(IMPORT.findall(text)) <= known, path.name
        assert not re.search(r"\bopen\(|pathlib|pydantic|transformers", text), path.name
