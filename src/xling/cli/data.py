"""Verbs of data folders."""

from pathlib import Path
from typing import Annotated

import typer

from xling.cli.app import data_app
from xling.cli.options import (
    ALL_CORES,
    Config,
    Folder,
    Languages,
    Workers,
    codes,
    complete_shipped,
    writes,
)


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
