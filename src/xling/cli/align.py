"""Verbs that align two models."""

from pathlib import Path
from typing import Annotated

import typer

from xling.cli.app import align_app
from xling.cli.options import (
    Config,
    Data,
    Datasets,
    Device,
    Domains,
    Layers,
    Map,
    One,
    Other,
    Pair,
    Task,
    Threads,
    Train,
    codes,
    writes,
)
from xling.device import AUTO


@align_app.command("words")
@writes("runs/align-words-ONE-OTHER")
def align_words(
    one: One,
    other: Other,
    data: Data,
    out: Path,
    languages: Pair = None,
    domains: Domains = None,
    map: Map = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Induce a lexicon: align word types on one dictionary, score them on another.

    Example: xling align words models/en models/fr --data mydata
    """
    from xling.alignment.config import WordSettings
    from xling.alignment.word_stage import align_words as align
    from xling.defaults import languages_of_models, text
    from xling.settings import load_settings

    chosen = text(data, None, codes(domains))
    settings = load_settings(
        config,
        WordSettings,
        {"languages": languages_of_models(one, other, data), "text": chosen},
        languages=codes(languages),
        text=chosen if domains else None,
        map=map,
    )
    align(one, other, data, out, settings, device)


@align_app.command("sentences")
@writes("runs/align-sentences-ONE-OTHER")
def align_sentences(
    one: One,
    other: Other,
    data: Data,
    out: Path,
    languages: Pair = None,
    train: Train = None,
    datasets: Datasets = None,
    map: Map = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Align every layer on parallel lines, then retrieve held-out parallel lines.

    Example: xling align sentences models/en models/fr --data mydata --train talks
    """
    from xling.alignment.config import SentenceSettings
    from xling.alignment.sentence_stage import align_sentences as align
    from xling.defaults import languages_of_models, training_set
    from xling.settings import load_settings

    settings = load_settings(
        config,
        SentenceSettings,
        {
            "languages": languages_of_models(one, other, data),
            "train": training_set(data),
        },
        languages=codes(languages),
        train=train,
        test=codes(datasets),
        map=map,
    )
    align(one, other, data, out, settings, device)


@align_app.command("context")
@writes("runs/align-context-TASK-ONE-OTHER")
def align_context(
    one: One,
    other: Other,
    data: Data,
    out: Path,
    languages: Pair = None,
    task: Task = None,
    train: Train = None,
    layers: Layers = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Learn a task on one model's layers and test it on the other's, through a map of words.

    Example: xling align context models/en models/fr --data mydata --task ner
    """
    from xling.defaults import languages_of_models, no_task, training_set
    from xling.settings import load_settings
    from xling.transfer.config import ContextSettings
    from xling.transfer.context import align_context as align

    settings = load_settings(
        config,
        ContextSettings,
        {
            "languages": languages_of_models(one, other, data),
            "train": training_set(data),
            "transfer": no_task,
        },
        languages=codes(languages),
        train=train,
        **{"transfer.task": task, "transfer.layers": codes(layers)},
    )
    align(one, other, data, out, settings, device)


@align_app.command("export")
@writes("runs/align-export-ONE-OTHER")
def align_export(
    one: One,
    other: Other,
    data: Data,
    out: Path,
    languages: Pair = None,
    train: Train = None,
    datasets: Datasets = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="Layer of ONE (default: the best on a held-out tenth of the training lines).",
            show_default=False,
        ),
    ] = None,
    map: Map = None,
    config: Config = None,
    device: Device = AUTO,
    threads: Threads = None,
) -> None:
    """Write an aligned pair as a folder for `xling.load_aligned`, with a model card.

    Example: xling align export models/en models/fr --data mydata --train talks --out en-fr
    """
    from xling.alignment.config import ExportSettings
    from xling.alignment.sentence_stage import export_pair
    from xling.defaults import languages_of_models, training_set
    from xling.settings import load_settings

    settings = load_settings(
        config,
        ExportSettings,
        {
            "languages": languages_of_models(one, other, data),
            "train": training_set(data),
        },
        languages=codes(languages),
        train=train,
        test=codes(datasets),
        layer=layer,
        map=map,
    )
    export_pair(one, other, data, out, settings, device)
