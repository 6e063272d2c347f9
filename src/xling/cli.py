"""The command line: one verb per stage. No logic, and heavy imports only inside verbs."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xling import __version__
from xling.allocator import keep_freed_memory
from xling.device import AUTO, check_device
from xling.errors import XlingError
from xling.progress import show_messages


class _Verbs(TyperGroup):
    """The verbs. A file that ends early is no Ctrl-D: typer would only print "Aborted."."""

    def invoke(self, ctx: Any) -> Any:
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
study_app = typer.Typer(help="Run whole studies: variants x pairs x seeds.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(study_app, name="study")
align_app = typer.Typer(help="Align two models that were trained apart.", no_args_is_help=True)
app.add_typer(align_app, name="align")

Data = Annotated[Path, typer.Argument(help="A data folder.", show_default=False)]
Out = Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)]
Config = Annotated[Path, typer.Option("--config", help="Settings file (YAML).", show_default=False)]
Encoder = Annotated[Path, typer.Argument(help="Folder of one language's encoder, e.g. MODEL/en.")]
SomeConfig = Annotated[
    Path | None,
    typer.Option("--config", help="Settings (YAML); options override it.", show_default=False),
]
SomeLanguages = Annotated[
    str | None,
    typer.Option("--languages", help="Which languages, e.g. en,fr.", show_default=False),
]
OtherEncoder = Annotated[Path, typer.Argument(help="Folder of the other language's encoder.")]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        callback=lambda name: check_device(name),
        help="Where models run: auto (a CUDA GPU if there is one), cpu, cuda, cuda:N or mps.",
    ),
]
StudyFile = Annotated[
    Path,
    typer.Argument(
        help="The study: a YAML file, or a name from `xling study list`.", show_default=False
    ),
]
_CORES = os.cpu_count() or 1


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


def _codes(written: str | None) -> list[str] | None:
    """Take apart the languages of an option, which are written en,fr."""
    return None if written is None else [code.strip() for code in written.split(",")]


def _alone(verb: Callable[..., None]) -> Callable[..., None]:
    """Let one process at a time write an OUT; another waits, then finds the work done."""

    @wraps(verb)
    def run(**arguments: Any) -> None:
        from xling.files import only_writer

        with only_writer(arguments["out"]):
            verb(**arguments)

    return run


@data_app.command("check")
def data_check(data: Data) -> None:
    """Count what a data folder holds and list its faults."""
    from xling.data.check import check, print_check

    found = check(data)
    print_check(found)
    if found.problems:
        raise typer.Exit(2)


@data_app.command("conlang")
@_alone
def data_conlang(
    spec: Annotated[
        Path,
        typer.Argument(
            help="The world and its languages: YAML, or a name from `xling study list`."
        ),
    ],
    out: Out,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = _CORES,
) -> None:
    """Make a data folder of constructed languages with exact gold labels."""
    from xling.conlang.generate import generate
    from xling.conlang.spec import ConlangSpec
    from xling.study.shipped import find_study

    generate(ConlangSpec.load(find_study(spec)), out, workers)


@data_app.command("hub")
@_alone
def data_hub(
    spec: Annotated[
        Path,
        typer.Argument(
            help="Which data set fills which part: YAML, or a name from `xling study list`."
        ),
    ],
    out: Out,
    mirror: Annotated[
        Path | None,
        typer.Option(
            help="Folder with copies OWNER/NAME of data sets, to read instead of the hub."
        ),
    ] = None,
) -> None:
    """Fill a data folder from Hugging Face data sets; resumes if interrupted."""
    from xling.data.hub.fill import fill
    from xling.study.shipped import find_study

    fill(find_study(spec), out, mirror)


@data_app.command("derive")
@_alone
def data_derive(data: Data, out: Out, config: Config) -> None:
    """Add languages derived from others: copies, or the words of each line in reverse."""
    from xling.data.derive import DeriveSettings, derive
    from xling.data.layout import DataFolder
    from xling.settings import load_settings

    derive(DataFolder(data), load_settings(config, DeriveSettings), out)


@data_app.command("show")
def data_show(
    data: Annotated[Path, typer.Argument(help="A folder that `xling data conlang` made.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Sentences to show.")] = 5,
) -> None:
    """Show sentences of constructed languages side by side, with gloss and tree."""
    from xling.conlang.show import show

    show(data, count)


@app.command()
@_alone
def vocabulary(data: Data, out: Out, config: Config) -> None:
    """Learn subword vocabularies: joint, or one per language."""
    from xling.data.layout import DataFolder
    from xling.settings import load_settings
    from xling.vocabulary.build import build_vocabulary
    from xling.vocabulary.config import VocabularySettings

    settings = load_settings(config, VocabularySettings)
    build_vocabulary(DataFolder(data), settings.text, settings.vocabulary, out)


@app.command()
@_alone
def tokens(
    data: Data,
    vocabulary: Annotated[Path, typer.Argument(help="Folder of the vocabulary.")],
    out: Out,
    config: Config,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = _CORES,
) -> None:
    """Turn text into memory-mapped token streams."""
    from xling.data.layout import DataFolder
    from xling.settings import load_settings
    from xling.tokens.build import build_tokens
    from xling.tokens.config import TokensSettings
    from xling.vocabulary.vocabulary import Vocabulary

    settings = load_settings(config, TokensSettings)
    build_tokens(
        DataFolder(data),
        settings.text,
        Vocabulary.load(vocabulary),
        out,
        settings.tokens,
        workers,
    )


@app.command()
@_alone
def pretrain(
    tokens: Annotated[Path, typer.Argument(help="Folder of the token streams.")],
    vocabulary: Annotated[Path, typer.Argument(help="Folder of their vocabulary.")],
    out: Out,
    config: Config,
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder, if the settings need its dictionaries or parallel sets."),
    ] = None,
    device: Device = AUTO,
) -> None:
    """Train a family of encoders; resumes if interrupted.

    For several devices: torchrun --nproc-per-node N -m xling pretrain ...
    """
    from xling.pretraining.config import RunConfig
    from xling.pretraining.run import pretrain as train
    from xling.settings import load_settings

    train(tokens, vocabulary, out, load_settings(config, RunConfig), data, device)


@app.command()
@_alone
def probe(
    model: Annotated[
        str, typer.Argument(help="Folder of a family, or any Hugging Face encoder (folder, name).")
    ],
    data: Data,
    out: Out,
    config: SomeConfig = None,
    languages: SomeLanguages = None,
    device: Device = AUTO,
) -> None:
    """Measure layer by layer how far two or more languages share a space."""
    from xling.settings import load_settings
    from xling.similarity.stage import ProbeSettings, probe_model

    settings = load_settings(config, ProbeSettings, languages=_codes(languages))
    probe_model(model, data, out, settings, device)


@app.command()
@_alone
def transfer(
    model: Annotated[
        str,
        typer.Argument(help="Folder of a family, or any Hugging Face encoder (folder or name)."),
    ],
    out: Out,
    data: Annotated[Path, typer.Option(help="A data folder.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file (YAML); the options below override it."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="nli, ner, parsing or topics.")] = None,
    source: Annotated[str | None, typer.Option(help="The language to train on.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="A language to test on; may be repeated.")
    ] = None,
    device: Device = AUTO,
) -> None:
    """Fine-tune on one language and test on the others; resumes if interrupted.

    For several devices: torchrun --nproc-per-node N -m xling transfer ...
    """
    from xling.settings import load_settings
    from xling.transfer.config import TransferConfig
    from xling.transfer.stage import transfer as run

    options = {"task": task, "source": source, "targets": target}
    settings = load_settings(config, TransferConfig, **options)
    run(model, data, out, settings, device)


@app.command()
@_alone
def audit(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Any models: Hugging Face or sentence-transformers folders, families, names.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A data folder with parallel lines.", show_default=False)
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(help="Which languages, e.g. en,fr; all are compared with the first."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("audit"),
    config: SomeConfig = None,
    prefix: Annotated[
        str | None, typer.Option(help="Text before every line, e.g. 'query: '.")
    ] = None,
    revisions: Annotated[
        str | None,
        typer.Option(
            help="Checkpoints of each model, e.g. step1000,step2000: on the hub or within."
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks to learn on frozen features, e.g. ner,topics.")
    ] = None,
    mapped: Annotated[
        bool, typer.Option("--mapped", help="Two models of one language each, through a rotation.")
    ] = False,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(help="Exit with status 1 below, e.g. retrieval=0.9 or one-index=0.9."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Also write a sentence-transformers folder that follows the advice."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Compare two audits (audit.json each).")
    ] = None,
    device: Device = AUTO,
) -> None:
    """Say how cross-lingual any models are, where, for which languages, and what to do."""
    from xling.audit.command import run

    options = {
        "languages": _codes(languages),
        "prefix": prefix,
        "tasks": _codes(tasks),
        "mapped": mapped or None,
    }
    said, broken = run(
        models or [],
        data,
        out,
        config,
        options,
        _codes(revisions) or [],
        fail_under or [],
        export,
        compare,
        device,
    )
    print("\n".join(said))
    if broken:
        raise typer.Exit(1)


@app.command()
@_alone
def similarity(
    one: Encoder,
    other: OtherEncoder,
    data: Data,
    out: Out,
    config: SomeConfig = None,
    languages: SomeLanguages = None,
    device: Device = AUTO,
) -> None:
    """Compare all layers of one model with all layers of another."""
    from xling.alignment.compare_stage import CompareSettings, compare_models
    from xling.settings import load_settings

    settings = load_settings(config, CompareSettings, languages=_codes(languages))
    compare_models(one, other, data, out, settings, device)


@align_app.command("words")
@_alone
def align_words(
    source: Encoder,
    target: OtherEncoder,
    data: Data,
    out: Out,
    config: Config,
    device: Device = AUTO,
) -> None:
    """Induce a lexicon: align word types on one dictionary, score them on another."""
    from xling.alignment.config import WordSettings
    from xling.alignment.word_stage import align_words as align
    from xling.settings import load_settings

    align(source, target, data, out, load_settings(config, WordSettings), device)


@align_app.command("sentences")
@_alone
def align_sentences(
    source: Encoder,
    target: OtherEncoder,
    data: Data,
    out: Out,
    config: Config,
    device: Device = AUTO,
) -> None:
    """Align every layer on parallel lines, then retrieve held-out parallel lines."""
    from xling.alignment.config import SentenceSettings
    from xling.alignment.sentence_stage import align_sentences as align
    from xling.settings import load_settings

    align(source, target, data, out, load_settings(config, SentenceSettings), device)


@align_app.command("context")
@_alone
def align_context(
    source: Encoder,
    target: OtherEncoder,
    data: Data,
    out: Out,
    config: Config,
    device: Device = AUTO,
) -> None:
    """Learn a task on one model's layers and test it on the other's, through a map of words."""
    from xling.settings import load_settings
    from xling.transfer.config import ContextSettings
    from xling.transfer.context_stage import align_context as align

    align(source, target, data, out, load_settings(config, ContextSettings), device)


@align_app.command("export")
@_alone
def align_export(
    source: Encoder,
    target: OtherEncoder,
    data: Data,
    out: Out,
    config: Config,
    device: Device = AUTO,
) -> None:
    """Write an aligned pair as a folder for `xling.load_aligned`, with a model card."""
    from xling.alignment.config import ExportSettings
    from xling.alignment.export_stage import export_pair
    from xling.settings import load_settings

    export_pair(source, target, data, out, load_settings(config, ExportSettings), device)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/demo"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Cores to use (default: all).")] = None,
) -> None:
    """Run a small study on constructed languages, from nothing to a report; takes minutes."""
    from xling.study.shipped import shipped_file

    study_run(shipped_file("demo") or Path("demo"), out=out, jobs=jobs)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="Folder of a study, finished or not.")],
) -> None:
    """Write results.csv and report.html from a study's results so far."""
    from xling.study.run import make_report

    print(make_report(study))


@study_app.command("run")
def study_run(
    study: StudyFile,
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
    """Run the pending jobs of a study and write its report."""
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
    """List the studies, worlds and hub specifications that come with xling."""
    from xling.study.shipped import list_studies

    print(list_studies())


@study_app.command("show")
def study_show(
    name: Annotated[Path, typer.Argument(help="A name from `xling study list`.")],
) -> None:
    """Print the file of a name, for you to change: xling study show demo > mine.yaml."""
    from xling.study.shipped import show_study

    print(show_study(name), end="")


@study_app.command("plan")
def study_plan(
    study: StudyFile,
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
    """Say what a study would run and cost: parameters, FLOPs, memory, hours, disk."""
    from xling.study.plan_text import plan_study
    from xling.study.shipped import find_study

    print(plan_study(find_study(study), data, on, utilisation))


@study_app.command("parameters")
def study_parameters(
    study: Annotated[
        Path | None,
        typer.Argument(
            help="The study: YAML, or a name from `xling study list` (default: the paper's shape)."
        ),
    ] = None,
) -> None:
    """Count the parameters of every variant: total, shared, and private to a language."""
    from xling.study.config import StudyConfig
    from xling.study.parameters import as_table, count_parameters, paper_study
    from xling.study.shipped import find_study

    config = StudyConfig.load(find_study(study)) if study else paper_study()
    print(as_table(count_parameters(config)))


@study_app.command("compare")
def study_compare(
    a: Annotated[Path, typer.Argument(help="Folder of a study.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Folder of another study.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Write every difference as CSV.", dir_okay=False)
    ] = None,
) -> None:
    """Say what differs between two studies: settings, versions and scores."""
    from xling.study.compare import compare_studies

    print(compare_studies(a, b, out))


@study_app.command("status")
def study_status(
    study: Annotated[Path, typer.Argument(help="Folder of a study.", show_default=False)],
) -> None:
    """Say which jobs of a study are done, running, failed and pending."""
    from xling.study.run import show_status

    show_status(study)


@study_app.command("ledger")
def study_ledger(
    study: Annotated[Path, typer.Argument(help="Folder of a study.", show_default=False)],
) -> None:
    """Say which of the paper's claims a study's results.csv supports, with the numbers."""
    from xling.report.ledger.written import as_text
    from xling.report.ledger_section import ledger
    from xling.report.load import load_study

    print(as_text(ledger(load_study(study)).outcomes))


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
