"""The command `xling`, to which every file of verbs adds its own."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xling import __version__
from xling.errors import XlingError


class _Verbs(TyperGroup):
    """The verbs. For a file that ends early, typer would only print "Aborted.", as for Ctrl-D."""

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
