"""The one exception meant for users, and checks for missing extras."""

from importlib.util import find_spec

# The modules that each extra of the package installs.
EXTRAS = {
    "study": ("snakemake", "altair", "vl_convert", "jinja2"),
    "report": ("altair", "vl_convert", "jinja2"),
    "hub": ("datasets", "pyarrow"),
    "import": ("pyarrow", "zstandard", "langcodes"),
    "prepare": ("langcodes", "sentencex", "sacremoses", "py3langid", "rensa"),
    "zh": ("rjieba",),
    "ja": ("fugashi", "unidic_lite"),
    "th": ("pythainlp",),
    "tensorboard": ("tensorboard",),
}


class XlingError(Exception):
    """An input or a setting that xling cannot work with.

    The message names the file (and line) at fault, what was found, what was
    expected and what to do. The command line prints it and exits with status 2.
    """


def has_extra(extra: str) -> bool:
    """Tell whether everything that an extra installs is installed; nothing is imported."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


def need_extra(extra: str, what: str) -> None:
    """Refuse to start work whose extra is missing.

    Args:
        extra: Its name.
        what: What needs it, e.g. ``"xling report"``.

    Raises:
        XlingError: how to install it.
    """
    if not has_extra(extra):
        raise XlingError(f"{what} needs the extra {extra}: pip install 'xling[{extra}]'")
