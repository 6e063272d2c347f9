"""What a page needs to be one file: the drawing library, and hashes of the scripts it may run."""

import base64
import hashlib
from functools import cache


@cache
def drawing_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, as vl-convert bundles them."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def script_hash(script: str) -> str:
    """Return the hash by which a content security policy allows a script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
