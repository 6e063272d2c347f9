import io

import pytest
from rich.console import Console

from xling.conlang.generate import generate, show
from xling.errors import XlingError

from .conftest import small_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    sizes = dict.fromkeys(("train", "dev", "test"), 0)
    spec = small_spec(
        languages={"near": "near", "far": "far"},
        **dict.fromkeys(("ner", "ud", "nli", "topics"), sizes),
    )
    out = tmp_path_factory.mktemp("show") / "data"
    generate(spec, out)
    return out


def test_what_is_shown_is_what_the_folder_holds(folder):
    page = io.StringIO()
    show(folder, 3, Console(file=page, width=120))
    for language in ("aa", "near", "far"):
        lines = (folder / f"parallel/heldout/{language}.txt").read_text().splitlines()
        assert all(f"{language}  {line}\n" in page.getvalue() for line in lines[:3])
        assert f"{language}  {lines[3]}\n" not in page.getvalue()
    assert "nsubj → " in page.getvalue()


def test_a_folder_from_elsewhere_is_refused(tmp_path):
    with pytest.raises(XlingError, match="written by"):
        show(tmp_path)
