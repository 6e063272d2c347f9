"""The command line: one verb per stage. No logic, and heavy imports only inside verbs.

CONTRIBUTING has the grammar that all verbs follow; `xling.options` has the options that they share.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xling import __version__
from xling.allocator import keep_freed_memory
from xling.device import AUTO
from xling.errors import XlingError
from xling.options import (
    ALL_CORES,
    Config,
    Data,
    Datasets,
    Device,
    Domains,
    Folder,
    Languages,
    Layers,
    Map,
    Model,
    One,
    Other,
    Pair,
    Precision,
    Task,
    Threads,
    Train,
    Vocabulary,
    Workers,
    codes,
    complete_shipped,
    writes,
)
from xling.progress import show_messages


class _Verbs(TyperGroup):
    """The verbs. A file that ends early is no Ctrl-D: typer would only print "Aborted."."""

    def invoke(self, ctx: Any) -> object:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise XlingError(
                f"a file breaks off before its end ({error}); copy it again, or delete it if xling "
                "wrote it, and run again"
            ) from error


app = typer.Typer(
    cls=_Verbs,
    help="Where, when and why the languages of a language model come to share a space.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make, check and show data folders.", no_args_is_help=True)
align_app = typer.Typer(help="Align two models that were trained apart.", no_args_is_help=True)
study_app = typer.Typer(help="Run whole studies: variants x pairs x seeds.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(align_app, name="align")
app.add_typer(study_app, name="study")

Study = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY",
        autocompletion=complete_shipped,
        help="The study: a YAML file, or a name from `xling study list`.",
        show_default=False,
    ),
]
StudyFolder = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="Folder of a study, finished or not.", show_default=False),
]


def _show_version(asked: bool) -> None:
    if asked:
        print(f"xling {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@data_app.command("check")
def data_check(data: Folder) -> None:
    """Count what a data folder holds and list its faults.

    Example: xling data check mydata
    """
    from xling.data.check import check, print_check

    found = check(data)
    print_check(found)
    if found.problems:
        raise typer.Exit(2)


@data_app.command("import")
@writes("runs/data-SOURCES")
def data_import(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Files and folders to import.", show_default=False
        ),
    ],
    out: Path,
    part: Annotated[
        str | None,
        typer.Option("--as", help="The part they become, e.g. text/wiki (default: by content)."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Their language, or two or more: en,fr (default: by names)."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Their licence, to be recorded, e.g. CC-BY-SA-4.0.")
    ] = None,
) -> None:
    """Add corpora in the formats that they come in to a data folder.

    Example: xling data import news.fr.txt.gz --as text/news --out mydata
    """
    from xling.data.importing.stage import import_sources

    import_sources(sources, out, part, language, licence)


@data_app.command("card")
@writes("runs/card-DATA.html", "page")
def data_card(
    data: Folder,
    out: Path,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="Folder of a vocabulary, to count its tokens.", show_default=False),
    ] = None,
) -> None:
    """Write a page and a table on what a data folder holds and where it comes from.

    Example: xling data card mydata --out card.html
    """
    from xling.data.layout import DataFolder
    from xling.report.data_card import write_card

    write_card(DataFolder(data), out, vocabulary)


@data_app.command("conlang")
@writes("runs/data-SPEC")
def data_conlang(
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC",
            autocompletion=complete_shipped,
            help="The world and its languages: YAML, or a name from `xling study list`.",
            show_default=False,
        ),
    ],
    out: Path,
    workers: Workers = ALL_CORES,
) -> None:
    """Make a data folder of constructed languages with exact gold labels.

    Example: xling data conlang worlds/demo --out mydata
    """
    from xling.conlang.generate import generate
    from xling.conlang.spec import ConlangSpec
    from xling.study.shipped import find_study

    generate(ConlangSpec.load(find_study(spec)), out, workers)


@data_app.command("hub")
@writes("runs/data-SPEC")
def data_hub(
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC",
            autocompletion=complete_shipped,
            help="Which data set fills which part: YAML, or a name from `xling study list`.",
            show_default=False,
        ),
    ],
    out: Path,
    mirror: Annotated[
        Path | None,
        typer.Option(
            help="Folder with copies OWNER/NAME of data sets, to read instead of the hub.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fill a data folder from Hugging Face data sets; resumes if interrupted.

    Example: xling data hub paper/data --out mydata
    """
    from xling.data.hub.fill import fill
    from xling.study.shipped import find_study

    fill(find_study(spec), out, mirror)


@data_app.command("derive")
@writes("runs/derived-DATA")
def data_derive(
    data: Folder,
    out: Path,
    copies: Annotated[
        str | None,
        typer.Option(help="Languages to copy: en becomes en_same.", show_default=False),
    ] = None,
    inverted: Annotated[
        str | None,
        typer.Option(
            help="Languages to write with each line's words in reverse: en becomes en_inverted.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Add languages derived from others: copies, or the words of each line in reverse.

    Example: xling data derive mydata --copies en --inverted en,fr
    """
    from xling.data.derive import DeriveSettings, derive
    from xling.data.layout import DataFolder
    from xling.defaults import derived, nothing_derived
    from xling.settings import load_settings

    asked = derived(codes(copies), codes(inverted))
    settings = load_settings(
        config, DeriveSettings, {"languages": nothing_derived}, languages=asked
    )
    derive(DataFolder(data), settings, out)


@data_app.command("prepare")
@writes("runs/prepared-DATA")
def data_prepare(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="A data folder, or several with different files.",
            show_default=False,
        ),
    ],
    out: Path,
    languages: Languages = None,
    workers: Workers = ALL_CORES,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="The steps: YAML, or a name from `xling study list` (default: leave out "
            "evaluation sentences and duplicates).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Clean text: sentences, language, filters, evaluation data, duplicates, words, sizes.

    Example: xling data prepare mydata --config paper/prepare --out clean
    """
    from xling.data.layout import DataFolder
    from xling.data.preparing.prepare import prepare
    from xling.data.preparing.settings import PrepareSettings
    from xling.settings import load_settings
    from xling.study.shipped import find_study

    settings = load_settings(config and find_study(config), PrepareSettings)
    prepare([DataFolder(path) for path in data], settings, out, workers, codes(languages))


@data_app.command("show")
def data_show(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A folder that `xling data conlang` made.", show_default=False
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="Sentences to show.")] = 5,
) -> None:
    """Show sentences of constructed languages side by side, with gloss and tree.

    Example: xling data show mydata -n 3
    """
    from xling.conlang.generate import show

    show(data, count)


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
    """Train a family of encoders; resumes if interrupted.

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
            help="Checkpoints of each model, e.g. step1000,step2000: on the hub or within.",
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
        bool, typer.Option("--mapped", help="Two models of one language each, through a rotation.")
    ] = False,
    fail_under: Annotated[
        str | None,
        typer.Option(
            help="Exit with status 1 below, e.g. retrieval=0.9,one-index=0.9.", show_default=False
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/demo"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Cores to use (default: all).")] = None,
) -> None:
    """Run a small study on constructed languages, from nothing to a report; takes minutes.

    Example: xling demo
    """
    from xling.study.shipped import shipped_file

    study_run(shipped_file("demo") or Path("demo"), out=out, jobs=jobs)


@app.command()
def report(study: StudyFolder) -> None:
    """Write results.csv and report.html from a study's results so far.

    Example: xling report runs/demo
    """
    from xling.study.run import make_report

    print(make_report(study))


@study_app.command("run")
def study_run(
    study: Study,
    data: Annotated[
        Path | None, typer.Option(help="Data folder, unless the study makes its own.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study (default: runs/NAME).")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cores to use (default: all); with --executor or --profile, jobs at a time (100).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the jobs.")] = False,
    executor: Annotated[
        str | None, typer.Option(help="Snakemake executor for the jobs: slurm, kubernetes, ...")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Snakemake profile, by name or folder.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Argument(help="After `--`: further options for Snakemake.", show_default=False),
    ] = None,
) -> None:
    """Run the pending jobs of a study and write its report.

    Example: xling study run laptop --jobs 2
    """
    from xling.study.run import run_study
    from xling.study.shipped import find_study
    from xling.study.stopping import heed_signals
    from xling.study.workflow import Execution

    heed_signals()
    study = find_study(study)
    execution = Execution(jobs, executor, profile, tuple(options or ()))
    try:
        run_study(study, data, out or Path("runs") / study.stem, execution, dry_run)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may have been closed
            print("stopped; the same command resumes", file=sys.stderr, flush=True)
        raise typer.Exit(130) from None


@study_app.command("list")
def study_list() -> None:
    """List the studies, worlds and hub specifications that come with xling.

    Example: xling study list
    """
    from xling.study.shipped import list_studies

    print(list_studies())


@study_app.command("show")
def study_show(
    name: Annotated[
        Path,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_shipped,
            help="A name from `xling study list`.",
            show_default=False,
        ),
    ],
) -> None:
    """Print the file of a name, for you to change.

    Example: xling study show demo > mine.yaml
    """
    from xling.study.shipped import show_study

    print(show_study(name), end="")


@study_app.command("plan")
def study_plan(
    study: Study,
    data: Annotated[
        Path | None, typer.Option(help="Data folder, to check that it has what the study reads.")
    ] = None,
    on: Annotated[
        str,
        typer.Option(help="Hardware: this (measured), 8xv100, a100, ..., or a YAML file of yours."),
    ] = "this",
    utilisation: Annotated[
        float | None,
        typer.Option(min=0.001, max=1, help="Share of the peak that training reaches."),
    ] = None,
) -> None:
    """Say what a study would run and cost: parameters, FLOPs, memory, hours, disk.

    Example: xling study plan paper/factors --on 8xv100
    """
    from xling.study.plan_text import plan_study
    from xling.study.shipped import find_study

    print(plan_study(find_study(study), data, on, utilisation))


@study_app.command("parameters")
def study_parameters(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY",
            help="The study: YAML, or a name from `xling study list` (default: the paper's shape).",
        ),
    ] = None,
) -> None:
    """Count the parameters of every variant: total, shared, and private to a language.

    Example: xling study parameters laptop
    """
    from xling.study.config import StudyConfig
    from xling.study.costs import as_table, count_parameters, paper_study
    from xling.study.shipped import find_study

    config = StudyConfig.load(find_study(study)) if study else paper_study()
    print(as_table(count_parameters(config)))


@study_app.command("compare")
def study_compare(
    one: Annotated[
        Path, typer.Argument(metavar="ONE", help="Folder of a study.", show_default=False)
    ],
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Folder of another study.", show_default=False)
    ],
    csv: Annotated[
        Path | None,
        typer.Option(
            help="A file to write every difference to.", dir_okay=False, show_default=False
        ),
    ] = None,
) -> None:
    """Say what differs between two studies: settings, versions and scores.

    Example: xling study compare runs/before runs/after --csv differences.csv
    """
    from xling.study.compare import compare_studies

    print(compare_studies(one, other, csv))


@study_app.command("status")
def study_status(study: StudyFolder) -> None:
    """Say which jobs of a study are done, running, failed and pending.

    Example: xling study status runs/demo
    """
    from xling.study.run import show_status

    show_status(study)


@study_app.command("claims")
def study_claims(study: StudyFolder) -> None:
    """Test the paper's claims on a study's results.csv, and print the numbers.

    Example: xling study claims runs/demo
    """
    from xling.report.claims.written import as_text, claims_of
    from xling.report.load import load_study

    print(as_text(claims_of(load_study(study)).outcomes))


def main() -> None:
    """Run the command line; an error that a user can fix is one message and exit status 2."""
    show_messages()
    keep_freed_memory()
    try:
        app()
    except XlingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        from xling.files import disk_fault

        advice = "fix this and run the same command again"
        print(f"error: {disk_fault(error)}; {advice}", file=sys.stderr)
        sys.exit(2)
