"""The site builds without a warning, needs no network, and has what the packages export."""

import re
from pathlib import Path

import pytest

import xling.alignment
import xling.measures

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow  # what `make docs` does, which takes as long as all other pages
for package in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def site(tmp_path_factory, in_child) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-d", str(folder / "pages")]
    arguments = [*options, str(ROOT / "docs"), str(folder / "html")]

    def build() -> None:
        from sphinx.cmd.build import main

        raise SystemExit(main(arguments))

    result = in_child(build)
    assert result.returncode == 0, result.stderr
    return folder / "html"


def pages(site: Path) -> dict[str, str]:
    return {str(p.relative_to(site)): p.read_text(encoding="utf-8") for p in site.rglob("*.html")}


def test_every_page_of_the_docs_is_a_page_of_the_site(site):
    for source in (ROOT / "docs").rglob("*.md"):
        assert str(source.relative_to(ROOT / "docs").with_suffix(".html")) in pages(site)


def test_nothing_is_loaded_from_the_network(site):
    for page, html in pages(site).items():
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=\"([^\"]+)\"", html)
        loaded += re.findall(r"<link[^>]*\bhref=\"([^\"]+)\"", html)
        assert loaded
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text("utf-8")), style


def test_pictures_stand_in_the_page_with_what_they_show(site):
    html = pages(site)["factors.html"]
    assert html.count('<svg class="picture" aria-label="') >= 20
    assert "feed-forward 8" in html


@pytest.mark.parametrize("package", [xling.alignment, xling.measures])
def test_all_that_a_package_exports_is_in_the_reference(site, package):
    name = package.__name__.removeprefix("xling.")
    html = pages(site)[f"api/{name}.html"]
    for exported in package.__all__:
        assert f'id="{package.__name__}.{exported}"' in html


def test_settings_are_described_field_by_field(site):
    from xling.model.architecture import ModelShape

    html = pages(site)["api/models.html"]
    for field in ModelShape.model_fields:
        assert f"<strong>{field}</strong>" in html
