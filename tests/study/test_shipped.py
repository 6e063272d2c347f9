"""What comes with xling: found by name from any folder, and complete in what pip installs."""

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from xling.conlang.spec import ConlangSpec
from xling.data.preparing.settings import PrepareSettings
from xling.errors import XlingError
from xling.settings import load_settings
from xling.study.config import StudyConfig
from xling.study.plan import Planner
from xling.study.plan_text import Outline
from xling.study.shipped import (
    find_study,
    list_studies,
    shipped_file,
    shipped_folder,
    shipped_name,
    shipped_names,
    show_study,
)

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(
    str(path.relative_to(ROOT / "studies").with_suffix(""))
    for path in (ROOT / "studies").rglob("*.yaml")
)
WORLDS = [name for name in NAMES if name.startswith("worlds/")]
STUDIES = [name for name in NAMES if name not in (*WORLDS, "paper/data", "paper/prepare")]


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(path: Path) -> list[str]:
    study = StudyConfig.load(path)
    plan = (Planner(study, None) if study.world else Outline(study)).plan()
    return [job.folder for job in plan.jobs]


def test_every_file_of_the_folder_has_a_name():
    assert shipped_names() == NAMES
    assert [shipped_name(shipped_file(name)) for name in NAMES] == NAMES


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_shown_is_the_study_anywhere(name, empty):
    Path("mine.yaml").write_text(show_study(Path(name)), encoding="utf-8")
    assert StudyConfig.load(Path("mine.yaml")) == StudyConfig.load(
        ROOT / "studies" / f"{name}.yaml"
    )
    assert jobs(Path("mine.yaml")) == jobs(find_study(Path(name)))


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_found_and_shown(name, empty):
    Path("mine.yaml").write_text(show_study(Path(name)), encoding="utf-8")
    assert ConlangSpec.load(Path("mine.yaml")) == ConlangSpec.load(find_study(Path(name)))


def test_what_is_shown_keeps_its_comments():
    shown = show_study(Path("laptop"))
    assert "\nextends: transfer-conlang\n" in shown
    source = (ROOT / "studies/laptop.yaml").read_text(encoding="utf-8")
    assert shown.replace("extends: transfer-conlang", "extends: transfer-conlang.yaml") == source
    assert "\nextends: paper/default\n" in show_study(Path("paper/factors"))


def test_a_file_of_ones_own_goes_before_a_name(empty):
    assert find_study(Path("demo")) == shipped_file("demo") == shipped_file("demo.yaml")
    Path("demo").mkdir()
    assert find_study(Path("demo")) == shipped_file("demo")
    Path("laptop").write_text("name: mine\n")
    assert find_study(Path("laptop")) == Path("laptop")


def test_a_neighbour_goes_before_a_shipped_file(empty):
    Path("mine.yaml").write_text("extends: demo.yaml\nname: mine\n")
    assert StudyConfig.load(Path("mine.yaml")).title == StudyConfig.load(shipped_file("demo")).title
    own = yaml.safe_load(shipped_file("demo").read_text("utf-8")) | {"title": "Own"}
    Path("demo.yaml").write_text(yaml.safe_dump(own))
    assert StudyConfig.load(Path("mine.yaml")).title == "Own"


@pytest.mark.parametrize("name", ["nowhere", "../studies/demo", "worlds", ""])
def test_names_that_are_none_are_refused(name, empty):
    with pytest.raises(XlingError, match="xling study list"):
        show_study(Path(name))
    if not Path(name).exists():
        with pytest.raises(XlingError, match="not found"):
            find_study(Path(name))


def test_the_list_says_of_each_what_it_is():
    groups = {part.split("`")[1]: part for part in list_studies().split("\n\n")}
    for name in STUDIES:
        title = yaml.safe_load(shipped_file(name).read_text("utf-8"))["title"]
        assert any(
            line.split() == [name, *title.split()]
            for line in groups["xling study run"].splitlines()
        )
    assert all(f"  {name}  " in groups["xling data conlang"] for name in WORLDS)
    assert "  paper/data  " in groups["xling data hub"]
    assert "  paper/prepare  " in groups["xling data prepare"]


def test_the_steps_of_the_paper_are_valid_and_those_of_its_studies():
    steps = load_settings(shipped_file("paper/prepare"), PrepareSettings)
    assert (steps.moses, steps.segment, steps.lower, steps.decontaminate) == (
        True,
        True,
        *[False] * 2,
    )
    for name in STUDIES:
        if name.startswith("paper/"):
            assert StudyConfig.load(shipped_file(name)).prepare == steps


def test_a_study_written_names_its_world_alike_on_every_machine(empty):
    study = StudyConfig.load(shipped_file("demo"))
    assert study.model_dump(mode="json")["world"] == "worlds/demo"
    Path("own.yaml").write_text("a world")
    own = study.model_copy(update={"world": Path("own.yaml")})
    assert own.model_dump(mode="json")["world"] == "own.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package laid out as the wheel has it (`make wheel` tries the wheel itself)."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(
        Path(str(files("xling"))), site / "xling", ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copytree(ROOT / "studies", site / "xling" / "studies", dirs_exist_ok=True)
    return site


@pytest.mark.slow
def test_an_installed_package_runs_its_demo_from_an_empty_folder(installed, empty):
    def xling(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "xling", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"},
        ).stdout

    assert "  laptop  " in xling("study", "list")
    assert not list(empty.iterdir())
    Path("mine.yaml").write_text(xling("study", "show", "demo"))
    assert "world: worlds/demo\n" in Path("mine.yaml").read_text()
    planned = xling("study", "run", "demo", "--dry-run").splitlines()
    assert sorted(planned) == sorted([*jobs(ROOT / "studies/demo.yaml"), "report.html"])
    assert (empty / "runs" / "demo" / "plan.json").is_file()


def test_the_folder_is_the_checkouts_where_the_package_has_none():
    assert shipped_folder().resolve() == ROOT / "studies"
