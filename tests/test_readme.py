"""What README says works: its Python runs, its commands parse, its files exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from xling.cli import app
from xling.study.config import StudyConfig

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(blocks("sh")).splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def check_arguments(words: list[str]) -> None:
    """Follow a command to its verb and parse its options as the command line does."""
    command = typer.main.get_command(app)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words))


def test_there_is_something_to_check():
    assert len(commands()) >= 6
    assert blocks("python")
    assert blocks("yaml")


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_exist_with_their_options(words):
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE)
    else:
        assert words[0] == "xling"
        check_arguments(words[1:])


def test_the_check_of_commands_can_fail():
    with pytest.raises(KeyError):
        check_arguments(["study", "walk"])
    with pytest.raises(Exception, match="--backwards"):
        check_arguments(["study", "run", "mystudy.yaml", "--backwards"])


@pytest.mark.parametrize("verb", re.findall(r"^\| `xling ([a-z ]+)` \|", README, re.MULTILINE))
def test_verbs_of_the_table_exist(verb):
    command = typer.main.get_command(app)
    for word in verb.split():
        command = command.commands[word]


def test_every_verb_is_in_the_table():
    def verbs(group: click.Group, above: str = "xling"):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from verbs(command, f"{above} {name}")
            else:
                yield f"{above} {name}"

    for verb in verbs(typer.main.get_command(app)):
        assert f"| `{verb}` |" in README


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_and_prints_what_it_says(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    printed = [f"{float(line):.2g}" for line in capsys.readouterr().out.splitlines()]
    said = [f"{float(number):.2g}" for number in re.findall(r"# ([\d.]+):", code)]
    assert printed == said


@pytest.mark.parametrize("text", blocks("yaml"))
def test_study_files_are_valid(text, tmp_path):
    path = tmp_path / "mystudy.yaml"
    path.write_text(text)
    study = StudyConfig.load(path)
    assert set(study.variants) == {"default", "no-anchors", "separate-lower-layers"}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_links_lead_somewhere(page):
    source = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)\)", source.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (source.parent / link).exists(), link


def test_every_page_of_the_docs_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page
