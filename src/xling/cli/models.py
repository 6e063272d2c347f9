"""Verbs from a vocabulary to a trained model, and of what is measured of models."""

from pathlib import Path
from typing import Annotated

import typer

from xling.cli.app import app
from xling.cli.options import (
    ALL_CORES,
    Config,
    Data,
    Datasets,
    Device,
    Domains,
    Folder,
    Languages,
    Layers,
    Model,
    One,
    Other,
    Pair,
    Precision,
    Task,
    Threads,
    Vocabulary,
    Workers,
    codes,
    writes,
)
from xling.device import AUTO


@app.command()
@writes("runs/vocabulary-DATA")
def vocabulary(
    data: Folder,
    out: Path,
    languages: Languages = None,
    domains: Domains = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="joint, parity, union, disjoint or separate (default: joint).", show_default=False
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Entries over all languages (default without --config: 8000).", show_default=False
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Learn subword vocabularies: joint, or one per language.

    Example: xling vocabulary mydata --languages en,fr --size 8000
    """
    from xling.data.layout import DataFolder
    from xling.defaults import small_settings, text
    from xling.settings import load_settings
    from xling.vocabulary.build import VocabularySettings, build_vocabulary

    chosen = text(data, codes(languages), codes(domains))
    settings = load_settings(
        config or small_settings("vocabulary"),
        VocabularySettings,
        {"text": chosen},
        text=chosen if languages or domains else None,
        **{"vocabulary.kind": kind, "vocabulary.size": size},
    )
    build_vocabulary(DataFolder(data), settings.text, settings.vocabulary, out)


@app.command()
@writes("runs/tokens-DATA")
def tokens(
    data: Folder,
    vocabulary: Vocabulary,
    out: Path,
    languages: Languages = None,
    domains: Domains = None,
    config: Config = None,
    workers: Workers = ALL_CORES,
) -> None:
    """Turn text into memory-mapped token streams.

    Example: xling tokens mydata --vocabulary runs/vocabulary-mydata
    """
    from xling.data.layout import DataFolder
    from xling.defaults import text
    from xling.settings import load_settings
    from xling.tokens.build import TokensSettings, build_tokens
    from xling.vocabulary.vocabulary import Vocabulary as Entries

    chosen = text(data, codes(languages), codes(domains), vocabulary)
    settings = load_settings(
        config,
        TokensSettings,
        {"text": chosen},
        text=chosen if languages or domains else None,
    )
    entries = Entries.load(vocabulary)
    build_tokens(DataFolder(data), settings.text, entries, out, settings.tokens, workers)


@app.command()
@writes("runs/pretrain-TOKENS")
def pretrain(
    tokens: Annotated[
        Path,
        typer.Argument(metavar="TOKENS", help="Folder of the token streams.", show_default=False),
    ],
    vocabulary: Vocabulary,
    out: Path,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data folder, if the settings need its dictionaries or parallel sets.",
            show_default=False,
        ),
    ] = None,
    languages: Languages = None,
    separate: Annotated[
        str | None,
        typer.Option(
            help="Parts that each language has for itself, e.g. 'embeddings,layers 1-3'.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Training steps (default without --config: 7500).", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides weights, batches and masks (default: 1).", show_default=False),
    ] = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Train a family of models; resumes if interrupted.

    Example: xling pretrain runs/tokens-mydata --vocabulary runs/vocabulary-mydata --steps 3000

    For several devices: torchrun --nproc-per-node N -m xling pretrain ...
    """
    from xling.defaults import languages_of_vocabulary, small_settings
    from xling.pretraining.config import RunConfig
    from xling.pretraining.run import pretrain as train
    from xling.settings import load_settings

    settings = load_settings(
        config or small_settings("model", "pretraining"),
        RunConfig,
        {"languages": languages_of_vocabulary(vocabulary)},
        languages=codes(languages),
        separate=codes(separate),
        **{"pretraining.steps": steps, "pretraining.seed": seed},
    )
    train(tokens, vocabulary, out, settings, data, device)


@app.command()
@writes("runs/probe-MODEL")
def probe(
    model: Model,
    data: Data,
    out: Path,
    languages: Languages = None,
    datasets: Datasets = None,
    precision: Precision = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Measure layer by layer how far two or more languages share a space.

    Example: xling probe FacebookAI/xlm-roberta-base --data mydata --languages en,fr,sw
    """
    from xling.defaults import languages_to_probe
    from xling.settings import load_settings
    from xling.similarity.stage import ProbeSettings, probe_model

    settings = load_settings(
        config,
        ProbeSettings,
        {"languages": languages_to_probe(model, data)},
        languages=codes(languages),
        **{"probe.datasets": codes(datasets), "probe.precision": precision},
    )
    probe_model(model, data, out, settings, device)


@app.command()
@writes("runs/transfer-TASK-MODEL")
def transfer(
    model: Model,
    data: Data,
    out: Path,
    task: Task = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="The language to train on (default: en, or else the first that has the task).",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            help="Languages to test on, e.g. fr,de (default: all that have the task).",
            show_default=False,
        ),
    ] = None,
    layers: Layers = None,
    precision: Precision = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Fine-tune on one language and test on the others; resumes if interrupted.

    Example: xling transfer models/multi --data mydata --task ner --source en --targets fr,de

    For several devices: torchrun --nproc-per-node N -m xling transfer ...
    """
    from xling.defaults import transfer_languages
    from xling.settings import load_settings
    from xling.transfer.config import TransferConfig
    from xling.transfer.stage import transfer as run

    settings = load_settings(
        config,
        TransferConfig,
        transfer_languages(model, data),
        task=task,
        source=source,
        targets=codes(targets),
        layers=codes(layers),
        regime="feature" if layers else None,
        precision=precision,
    )
    run(model, data, out, settings, device)


@app.command()
@writes("runs/audit-MODELS", unless="compare")
def audit(
    out: Path,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Any models: Hugging Face or sentence-transformers folders, families, names.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A data folder with parallel lines.", show_default=False),
    ] = None,
    languages: Languages = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The parallel set (default: the one with most of the languages).",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="Text before every line, e.g. 'query: '.", show_default=False),
    ] = None,
    revisions: Annotated[
        str | None,
        typer.Option(
            help="Checkpoints of each model, on the hub or in its folder, e.g. step1000,step2000.",
            show_default=False,
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Tasks to learn on frozen features, e.g. ner,topics.", show_default=False
        ),
    ] = None,
    mapped: Annotated[
        bool, typer.Option("--mapped", help="Map two monolingual models by a rotation.")
    ] = False,
    fail_under: Annotated[
        str | None,
        typer.Option(
            help="Exit with status 1 if below, e.g. retrieval=0.9,one-index=0.9.",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Also write a sentence-transformers folder that follows the advice.",
            show_default=False,
        ),
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Run the Python code that comes with a model, with all your rights.",
        ),
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Only compare two audits (audit.json of each).", show_default=False),
    ] = None,
    precision: Precision = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Say how cross-lingual any models are, where, for which languages, and what to do.

    Example: xling audit intfloat/multilingual-e5-small --data mydata --prefix 'query: '
    """
    from xling.audit.command import run

    options = {
        "languages": codes(languages),
        "dataset": dataset,
        "prefix": prefix,
        "tasks": codes(tasks),
        "mapped": mapped or None,
        "trust_remote_code": trust_remote_code or None,
        "precision": precision,
    }
    said, broken = run(
        models or [],
        data,
        out,
        config,
        options,
        codes(revisions) or [],
        codes(fail_under) or [],
        export,
        compare,
        device,
    )
    print("\n".join(said))
    if broken:
        raise typer.Exit(1)


@app.command()
@writes("runs/similarity-ONE-OTHER")
def similarity(
    one: One,
    other: Other,
    data: Data,
    out: Path,
    languages: Pair = None,
    datasets: Datasets = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Compare all layers of one model with all layers of another.

    Example: xling similarity models/en models/fr --data mydata
    """
    from xling.alignment.compare_stage import CompareSettings, compare_models
    from xling.defaults import languages_of_models
    from xling.settings import load_settings

    settings = load_settings(
        config,
        CompareSettings,
        {"languages": languages_of_models(one, other, data)},
        languages=codes(languages),
        datasets=codes(datasets),
    )
    compare_models(one, other, data, out, settings, device)
