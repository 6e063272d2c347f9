"""The command line: quick help, and every fault of a user's as one message and status 2."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.models import OptionInfo
from typer.testing import CliRunner

from xling import __version__ as xling_version
from xling.cli import app, main
from xling.errors import XlingError

from ..conftest import run_xling

LINES = "".join(f"w{n % 7} w{n % 5} w{n % 3} word .\n" for n in range(60))
STUDY = {
    "name": "tiny",
    "pairs": ["en-fr"],
    "text": ["wiki"],
    "model": {"layers": 1, "heads": 1, "hidden": 8, "feed_forward": 8, "max_length": 16},
    "pretraining": {"steps": 1, "rows": 2, "length": 16},
    "variants": {"default": {}},
}


def verbs(group=None, above=()):
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*above, name))
        else:
            yield (*above, name)


def test_help_imports_nothing_heavy():
    code = (
        "import json, sys\nfrom typer.testing import CliRunner\nfrom xling.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert "xling.cli" in loaded
    heavy = {"torch", "transformers", "tokenizers", "pandas", "numpy", "altair", "snakemake"}
    assert not loaded & heavy


def test_planning_a_study_imports_no_model():
    code = "import sys, xling.study.run; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "xling.study.plan" in loaded
    assert not loaded & {"torch", "transformers", "pandas", "altair", "snakemake"}


def test_the_command_and_the_module_are_one():
    script = subprocess.run(
        [Path(sys.executable).with_name("xling"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "study" in script.stdout
    # Their first lines name them.
    module = subprocess.run(
        [sys.executable, "-m", "xling", "--help"], capture_output=True, text=True, check=True
    )
    assert module.stdout.split("\n", 2)[2] == script.stdout.split("\n", 2)[2]


def test_the_version_is_the_packages():
    result = run_xling("--version")
    assert (result.returncode, result.stdout) == (0, f"xling {xling_version}\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("stu", {"study"}),
        ("study c", {"claims", "compare"}),
        ("de", {"demo"}),
        ("study show lap", {"laptop"}),
    ],
)
def test_a_shell_completes_verbs(words, expected):
    run = subprocess.run(
        [Path(sys.executable).with_name("xling")],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_XLING_COMPLETE": "complete_bash",
            "COMP_WORDS": f"xling {words}",
            "COMP_CWORD": str(len(words.split())),
        },
    )
    assert set(run.stdout.split()) == expected


@pytest.mark.parametrize("verb", list(verbs()), ids=" ".join)
def test_every_verb_explains_itself(verb):
    result = CliRunner().invoke(app, [*verb, "--help"])
    assert result.exit_code == 0
    command = typer.main.get_command(app)
    for word in verb:
        command = command.commands[word]
    assert command.help.splitlines()[0] in " ".join(result.stdout.split()).replace("│ ", "")
    # Words in brackets are markup to the printer of help: it leaves them out.
    assert not [p.name for p in command.params if "[" in (getattr(p, "help", None) or "")]


def command_of(verb):
    command = typer.main.get_command(app)
    for word in verb:
        command = command.commands[word]
    return command


@pytest.mark.parametrize("verb", list(verbs()), ids=" ".join)
def test_every_verb_has_an_example_that_parses(verb):
    (example,) = re.findall(r"^Example: xling (.*)$", command_of(verb).help, re.MULTILINE)
    words = shlex.split(example.split(" > ")[0])
    assert words[: len(verb)] == list(verb)
    command_of(verb).make_context(verb[-1], words[len(verb) :])


# What an option means wherever it is found: a file, a folder, or neither.
FOLDERS = {"data", "out", "vocabulary", "mirror", "export"}
FILES = {"config", "csv"}
COMMAS = {
    *("languages", "datasets", "domains", "targets", "layers", "copies", "inverted", "separate"),
    *("revisions", "tasks", "fail_under"),
}


def functions():
    """Yield each verb and the parameters of its function, in typer's public form."""
    groups = {(): app} | {(info.name,): info.typer_instance for info in app.registered_groups}
    for above, group in groups.items():
        for info in group.registered_commands:
            verb = (*above, info.name or info.callback.__name__)
            yield verb, inspect.signature(info.callback).parameters


@pytest.mark.parametrize(("verb", "parameters"), list(functions()), ids=lambda v: " ".join(v))
def test_the_grammar_is_the_same_everywhere(verb, parameters):
    kinds = {name: get_args(p.annotation) for name, p in parameters.items()}
    options = {name for name, (_, kind) in kinds.items() if isinstance(kind, OptionInfo)}
    paths = {name for name in options if Path in (kinds[name][0], *get_args(kinds[name][0]))}
    assert options & (FOLDERS | FILES) == paths
    if "config" in options:
        assert parameters["config"].default is None
    # No option is repeated: what takes several codes takes them with commas.
    for name in options:
        assert "list" not in str(kinds[name][0]), name
        assert name not in COMMAS or kinds[name][0] == str | None, name
        assert kinds[name][1].help, name
    computes = verb[0] in ("probe", "audit", "transfer", "similarity", "pretrain", "align")
    assert ({"device", "threads"} <= options) == computes
    # Models come first, and what is not worked on is no argument.
    arguments = [name for name in parameters if name not in options]
    assert arguments in (
        *([], ["sources"], ["data"], ["tokens"], ["model"], ["one", "other"], ["spec"]),
        *(["models"], ["study"], ["name"], ["study", "options"]),
    )


def test_a_misspelt_verb_gets_a_suggestion():
    for words, meant in (
        (["probee"], "probe"),
        (["align", "word"], "words"),
        (["data", "chek"], "check"),
    ):
        result = run_xling(*words)
        assert result.returncode == 2
        assert f"Did you mean '{meant}'?" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_threads_are_set_before_libraries_are_loaded(tmp_path):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom xling.cli import app\n"
        "words = ['probe', 'a', '--data', 'b', '--threads', '1']\n"
        "assert 'torch' not in sys.modules\n"
        "CliRunner().invoke(app, words)\n"
        "import torch, threadpoolctl, numpy\n"
        "print(torch.get_num_threads(), {p['num_threads'] for p in threadpoolctl.threadpool_info()"
        " if p['user_api'] == 'blas'})\n"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=free
    )
    assert run.stdout.strip() == "1 {1}"


@pytest.fixture
def data(tmp_path) -> Path:
    """A small sound data folder."""
    root = tmp_path / "data"
    for language in ("en", "fr"):
        for part in ("text/wiki", "parallel/talks"):
            (root / part).mkdir(parents=True, exist_ok=True)
            (root / part / f"{language}.txt").write_text(LINES)
    return root


def settings(tmp_path, content) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def refused(result, *parts: str) -> None:
    """Check for one message that holds all of ``parts``, status 2, and no traceback."""
    assert result.returncode == 2, (result.stdout, result.stderr)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in errors[0]


def learn(data, tmp_path, languages=("en", "fr"), **vocabulary):
    content = {
        "text": {language: ["wiki"] for language in languages},
        "vocabulary": {"size": 28, **vocabulary},
    }
    words = ("vocabulary", data, "--out", tmp_path / "out")
    return run_xling(*words, "--config", settings(tmp_path, content))


def test_a_sound_folder_gives_a_vocabulary(data, tmp_path):
    result = learn(data, tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "vocabulary.json").is_file()


def test_empty_text(data, tmp_path):
    path = data / "text" / "wiki" / "fr.txt"
    path.write_text("\n \n")
    refused(learn(data, tmp_path), str(path), "no text")


def test_a_missing_language(data, tmp_path):
    path = data / "text" / "wiki" / "de.txt"
    refused(learn(data, tmp_path, ("en", "de")), str(path), "wiki has en, fr")


def test_bytes_that_are_not_utf8(data, tmp_path):
    path = data / "text" / "wiki" / "fr.txt"
    path.write_bytes(LINES.encode() + b"caf\xe9\n" + LINES.encode())
    refused(learn(data, tmp_path), f"{path}, line 61", "0xe9")


def test_a_vocabulary_larger_than_can_be_learned(data, tmp_path):
    refused(learn(data, tmp_path, size=50_000), "50000")


def test_an_unknown_setting(data, tmp_path):
    refused(
        learn(data, tmp_path, sizes=3),
        str(tmp_path / "settings.yaml"),
        "vocabulary.sizes: unknown setting",
    )


def test_an_output_folder_of_somebody_else(data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    refused(learn(data, tmp_path), str(tmp_path / "out"), "thesis.tex")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


@pytest.mark.slow
def test_an_output_folder_of_another_study(data, tmp_path):
    out = tmp_path / "out"
    for name in ("tiny", "other"):
        path = settings(tmp_path, {**STUDY, "name": name})
        result = run_xling("study", "run", path, "--data", data, "--out", out, "--dry-run")
        if name == "tiny":
            assert result.returncode == 0, result.stderr
    refused(result, str(out), "holds the study 'tiny', not 'other'")


def test_misaligned_parallel_files_are_found_by_the_check(data):
    assert run_xling("data", "check", data).returncode == 0
    (data / "parallel" / "talks" / "fr.txt").write_text(LINES + "one more\n")
    result = run_xling("data", "check", data)
    assert result.returncode == 2
    said = " ".join((result.stdout + result.stderr).split())
    assert "unequal line counts" in said
    assert "60" in said
    assert "61" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["data", "check", "nowhere"], ["nowhere: not found"]),
        (["data", "conlang", "nowhere.yaml"], ["nowhere.yaml: not found"]),
        (["vocabulary", "nowhere", "--config", "none.yaml"], ["none.yaml: not found"]),
        (["vocabulary", "nowhere"], ["nowhere: not found"]),
        (["data", "derive", "nowhere"], ["--copies"]),
        (["transfer", "a", "--data", "nowhere"], ["--task"]),
        (["study", "run", "nowhere.yaml"], ["nowhere.yaml: not found"]),
        (["study", "status", "nowhere"], ["nowhere", "holds no study"]),
        (["report", "nowhere"], ["nowhere", "holds no study"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_not_there_is_named(tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    refused(run_xling(*arguments), *parts)
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_refused_with_status_2():
    result = run_xling("study", "run", "a.yaml", "--backwards")
    assert result.returncode == 2
    assert "--backwards" in result.stderr


def test_a_file_that_breaks_off_is_an_error_and_not_a_key_that_was_pressed(monkeypatch, capsys):
    def broken(*arguments):
        raise EOFError("Ran out of input")

    monkeypatch.setattr("xling.data.check.check", broken)
    monkeypatch.setattr(sys, "argv", ["xling", "data", "check", "folder"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: a file breaks off before its end (Ran out")


def test_settings_that_are_no_regular_file_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    words = ("tokens", tmp_path, "--vocabulary", tmp_path, "--out", tmp_path / "out")
    run = run_xling(*words, "--config", tmp_path / "pipe.yaml")
    assert run.returncode == 2
    assert "pipe.yaml: is a named pipe, expected a regular file" in run.stderr


def verbs_that_write():
    group = typer.main.get_command(app)
    for verb in verbs():
        command = group
        for name in verb:
            command = command.commands[name]
        if (
            any(p.name == "out" for p in command.params)
            and verb != ("demo",)
            and "study" not in verb
        ):
            yield verb, command


@pytest.mark.parametrize(
    ("verb", "command"),
    list(verbs_that_write()),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_verb_waits_for_another_that_writes_its_folder(verb, command, monkeypatch, tmp_path):
    asked = []

    @contextmanager
    def taken(path):
        asked.append(path)
        raise InterruptedError
        yield

    monkeypatch.setattr("xling.files.only_writer", taken)
    needed = [parameter for parameter in command.params if parameter.required]
    words = [
        word
        for parameter in needed
        for word in (["x"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"])
    ]
    result = CliRunner().invoke(app, [*verb, *words, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, InterruptedError), result.output
    result = CliRunner().invoke(app, [*verb, *words])
    assert isinstance(result.exception, InterruptedError), result.output
    assert asked[0] == tmp_path / "out"
    assert asked[1].parent == Path("runs")
    # An audit has no model where two audits are compared.
    inputs = "" if verb == ("audit",) else "(-x){1,2}"
    assert re.fullmatch(rf"[a-z]+(-[a-z]+)?{inputs}(\.html)?", asked[1].name), asked
    (out,) = [parameter for parameter in command.params if parameter.name == "out"]
    assert asked[1].name.startswith(re.match(r"runs/([a-z-]+)-", out.show_default)[1])


def test_equal_verbs_at_once_end_alike(data, tmp_path):
    (tmp_path / "settings.yaml").write_text(
        yaml.safe_dump({"text": {"en": ["wiki"]}, "vocabulary": {"kind": "joint", "size": 24}})
    )
    command = [
        *(sys.executable, "-m", "xling", "vocabulary", str(data)),
        *("--out", str(tmp_path / "new" / "out"), "--config", str(tmp_path / "settings.yaml")),
    ]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(3)
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


class SeenError(Exception):
    """Carries the settings that a verb has made."""


@pytest.mark.parametrize(
    ("words", "stage", "place"),
    [
        (["audit", "m"], "xling.audit.stage.audit_models", lambda s: s.precision),
        (["probe", "m"], "xling.similarity.stage.probe_model", lambda s: s.probe.precision),
        (
            ["transfer", "m", "--task", "ner"],
            "xling.transfer.stage.transfer",
            lambda s: s.precision,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_precision_of_forward_passes_is_an_option(words, stage, place, tmp_path, monkeypatch):
    def run(*arguments):
        raise SeenError(next(one for one in arguments if isinstance(one, BaseModel)))

    monkeypatch.setattr(stage, run)
    monkeypatch.setattr("xling.defaults.languages_to_probe", lambda *of: lambda given: ["en", "fr"])
    monkeypatch.setattr(
        "xling.defaults.transfer_languages", lambda *of: {"source": lambda given: "en"}
    )
    asked = [*words, "--data", "d", "--out", str(tmp_path / "out")]
    for options, expected in (
        ([], "auto" if words[0] == "transfer" else "fp32"),
        (["--precision", "bf16"], "bf16"),
    ):
        seen = CliRunner().invoke(app, [*asked, *options]).exception
        assert isinstance(seen, SeenError), seen
        assert place(seen.args[0]) == expected
    refused = CliRunner().invoke(app, [*asked, "--precision", "int3"])
    assert isinstance(refused.exception, (XlingError, SystemExit))
    assert "precision" in f"{refused.exception} {refused.output}"
