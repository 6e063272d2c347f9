"""What the verbs of the command line have in common: options, and how they write their output.

A verb works on its arguments: models first, or else data. Whatever else it reads is an option.
CONTRIBUTING has the rules.
"""

import inspect
import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from xling.device import check_device, limit_threads
from xling.names import as_name

_CORES = os.cpu_count() or 1
_DEFAULT = re.compile(r"^(data|tokens|pretrain)-")  # what `runs/` has for other verbs to read
_FAMILY = "model"  # what pretraining calls the folder of a family

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="A data folder.", show_default=False)]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Any Hugging Face encoder (folder or name), or the folder of a family.",
        show_default=False,
    ),
]
One = Annotated[
    Path,
    typer.Argument(
        metavar="ONE", help="Folder of an encoder, e.g. RUN/model/en.", show_default=False
    ),
]
Other = Annotated[
    Path, typer.Argument(metavar="OTHER", help="Folder of another encoder.", show_default=False)
]
Data = Annotated[Path, typer.Option("--data", help="A data folder.", show_default=False)]
Vocabulary = Annotated[
    Path, typer.Option("--vocabulary", help="Folder of the vocabulary.", show_default=False)
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="A settings file (YAML); options override it.", show_default=False
    ),
]
Languages = Annotated[
    str | None,
    typer.Option(
        "--languages", help="Codes, e.g. en,fr (default: those of the input).", show_default=False
    ),
]
Pair = Annotated[
    str | None,
    typer.Option(
        "--languages",
        help="The languages of ONE and OTHER, e.g. en,fr (default: as the folders are called).",
        show_default=False,
    ),
]
Domains = Annotated[
    str | None,
    typer.Option(
        "--domains", help="Which text to use, e.g. wiki,web (default: all).", show_default=False
    ),
]
Datasets = Annotated[
    str | None,
    typer.Option(
        "--datasets",
        help="Parallel sets to score on (default: all that have the languages).",
        show_default=False,
    ),
]
Train = Annotated[
    str | None,
    typer.Option(
        "--train",
        help="Parallel set to learn the map from (default: train, or else the largest).",
        show_default=False,
    ),
]
Task = Annotated[
    str | None, typer.Option("--task", help="nli, ner, parsing or topics.", show_default=False)
]
Map = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="procrustes, least-squares or ridge (default: procrustes).",
        show_default=False,
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        help="Learn the task on frozen layers, e.g. 0,4,8; 0 is the embeddings.",
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        callback=lambda name: check_device(name),
        help="Where models run: auto (a CUDA GPU if there is one), cpu, cuda, cuda:N or mps.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Precision of forward passes: fp32, bf16 or fp16 (default: from the settings, else "
        "fp32).",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        callback=lambda count: limit_threads(count),
        help="CPU threads to compute with (default: one per core).",
        show_default=False,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Number of processes (default: one per core).", show_default=False
    ),
]
ALL_CORES = _CORES


def complete_shipped(incomplete: str) -> list[str]:
    """Return the shipped names that begin with what has been typed."""
    from xling.study.shipped import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


def codes(written: str | None) -> list[str] | None:
    """Return the parts of an option that takes several, separated by commas.

    Example:
        >>> codes("en, fr"), codes(None)
        (['en', 'fr'], None)
    """
    return None if written is None else [code.strip() for code in written.split(",")]


def writes(
    pattern: str, what: str = "folder", unless: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the option ``--out``, and let one process at a time write that folder.

    Any other process that writes it waits, then finds the work done. If the folder is not
    given, the verb prints which one it wrote.

    Args:
        pattern: The folder by default. Words in capitals stand for the verb's inputs:
            ``runs/probe-MODEL``. One that is not given is left out.
        what: What is written, if it is not a folder.
        unless: An option with which the verb writes nothing.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @wraps(verb)
        def run(**arguments: Any) -> None:
            from xling.files import only_writer

            given = arguments["out"]
            out = given or Path(_filled(pattern, arguments))
            if unless and arguments[unless] is not None:
                return verb(**{**arguments, "out": out})
            with only_writer(out):
                verb(**{**arguments, "out": out})
            if given is None and os.environ.get("RANK", "0") == "0":
                print(out)

        option = typer.Option("--out", help=f"The {what} to write.", show_default=pattern)
        signature = inspect.signature(verb)
        parameters = [
            parameter.replace(default=None, annotation=Annotated[Path | None, option])
            if name == "out"
            else parameter
            for name, parameter in signature.parameters.items()
        ]
        required = [p for p in parameters if p.default is inspect.Parameter.empty]
        optional = [p for p in parameters if p.default is not inspect.Parameter.empty]
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*required, *optional]
        )
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _filled(pattern: str, arguments: dict[str, str | Path | None]) -> str:
    def name(word: re.Match[str]) -> str:
        value = arguments[word[1].lower()]
        value = next(iter(value), None) if isinstance(value, list) else value
        return "" if value is None else f"-{short_name(value)}"

    return re.sub(r"-([A-Z]+)", name, pattern)


def short_name(written: str | Path) -> str:
    """Return what to call the output made from an input.

    Of an output with its default name the verb is left out, so that names do not grow.

    Example:
        >>> short_name("FacebookAI/xlm-roberta-base"), short_name("worlds/demo.yaml")
        ('xlm-roberta-base', 'demo')
        >>> short_name("own/run/model"), short_name("own/run/model/en")
        ('run', 'run-en')
        >>> short_name("runs/tokens-mydata"), short_name("runs/pretrain-mydata/model/en")
        ('mydata', 'mydata-en')
    """
    path = Path(written).absolute()
    name = path.name.removesuffix(".yaml")
    if name == _FAMILY:
        return short_name(path.parent)
    if path.parent.name == _FAMILY:
        return as_name(f"{short_name(path.parents[1])}-{name}")
    return as_name(_DEFAULT.sub("", name) if path.parent.name == "runs" else name)
