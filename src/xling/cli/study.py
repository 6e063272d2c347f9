"""Verbs of whole studies."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from xling.cli.app import app, study_app
from xling.cli.options import complete_shipped

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
