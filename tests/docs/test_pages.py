"""What README and the documentation say works: commands parse, links lead somewhere, code runs."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from xling.cli import app
from xling.study.config import StudyConfig

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
}
# Programs of others, whose options are theirs to check.
OTHERS = {"cmp", "hf", "pip", "source", "sudo", "torchrun"}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every line of every shell block, in words."""
    text = "".join("".join(blocks(page, "sh")) for page in sorted(PAGES))
    lines = text.replace("\\\n", " ").splitlines()
    found = [words for line in lines if (words := shlex.split(line, comments=True))]
    return list(map(list, dict.fromkeys(map(tuple, found))))


def mentioned() -> list[str]:
    """Every command of xling that the text names, such as `xling report STUDY`."""
    outside = {p: re.sub(r"^```.*?^```$", "", t, flags=re.M | re.S) for p, t in PAGES.items()}
    found = [m for text in outside.values() for m in re.findall(r"`(xling [a-z][^`]*)`", text)]
    return sorted({" ".join(command.split()) for command in found})


def check_arguments(words: list[str]) -> None:
    """Follow a command to its verb and parse its options as the command line does."""
    if ">" in words:  # the shell's own
        words = words[: words.index(">")]
    command, words = find_verb(words)
    command.make_context(command.name, words)


def find_verb(words: list[str]) -> tuple[click.Command, list[str]]:
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words:
        command, words = command.commands[words[0]], words[1:]
    return command, list(words)


def test_there_is_something_to_check():
    assert len(commands()) >= 30
    assert len(mentioned()) >= 10
    assert blocks("README.md", "python")
    assert blocks("README.md", "yaml")


def test_no_command_hides_in_a_block_without_a_language():
    for page, text in PAGES.items():
        for kind, block in re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            assert kind or not re.search(r"^(xling|make|python) ", block, re.MULTILINE), page


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_exist_with_their_options(words):
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE)
    elif words[0] not in OTHERS:
        assert words[0] == "xling"
        check_arguments(words[1:])


@pytest.mark.parametrize("command", mentioned())
def test_commands_that_the_text_names_exist(command):
    verb, words = find_verb(shlex.split(command)[1:])
    if words:
        verb.make_context(verb.name, words)


def test_the_check_of_commands_can_fail():
    with pytest.raises(KeyError):
        check_arguments(["study", "walk"])
    with pytest.raises(Exception, match="--backwards"):
        check_arguments(["study", "run", "mystudy.yaml", "--backwards"])
    with pytest.raises(Exception, match=r"(?i)missing.*data"):
        check_arguments(["probe", "MODEL"])


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


@pytest.mark.parametrize("code", blocks("README.md", "python"))
def test_python_runs_and_prints_what_it_says(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    printed = [f"{float(line):.2g}" for line in capsys.readouterr().out.splitlines()]
    said = [f"{float(number):.2g}" for number in re.findall(r"# ([\d.]+):", code)]
    assert printed == said


@pytest.mark.parametrize("text", blocks("README.md", "yaml"))
def test_study_files_are_valid(text, tmp_path):
    path = tmp_path / "mystudy.yaml"
    path.write_text(text)
    study = StudyConfig.load(path)
    assert set(study.variants) == {"default", "no-anchors", "separate-lower-layers"}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("folder", ["docs", "docs/api"])
def test_every_page_is_named_and_in_the_contents_of_its_index(folder):
    index = PAGES[f"{folder}/index.md"]
    contents = "".join(re.findall(r"^```{toctree}\n(.*?)^```$", index, re.MULTILINE | re.DOTALL))
    for page in (ROOT / folder).glob("*.md"):
        if page.name != "index.md":
            assert f"({page.name})" in index, page
            assert page.stem in contents.split(), page
