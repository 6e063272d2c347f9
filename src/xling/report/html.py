"""What it takes to make a page one file: templates, the drawing library, hashes of its scripts."""

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def package_text(name: str, package: str = "report") -> str:
    """Return a template, style or script that lies in a package of xling."""
    return files(f"xling.{package}").joinpath(name).read_text(encoding="utf-8")


@cache
def template_environment(load: Callable[[str], str] = package_text) -> "Environment":
    """Return what pages are rendered in: text is escaped, and a missing value is an error.

    Args:
        load: Returns a template by its name.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    return environment


@cache
def bundling() -> Future[str]:
    """Begin to bundle the drawing library in a thread: it takes a second or two."""
    pool = ThreadPoolExecutor(1)
    begun = pool.submit(_bundled)
    pool.shutdown(wait=False)
    return begun


def drawing_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, as vl-convert bundles them."""
    return bundling().result()


def _bundled() -> str:
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def script_hash(script: str) -> str:
    """Return the hash by which a content security policy allows a script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
