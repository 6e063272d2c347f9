"""Exported tables hold the page's text, and LaTeX cannot take any of it for a command."""

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from xling.report.export import as_csv, as_latex, file_name, latex, write_tables
from xling.report.tables import Cell, Table

TABLE = Table(
    "50 % of #1 & more",
    ("variant", "F1", "LAS", "mean"),
    1,
    (
        (Cell("a_b"), Cell("0.5 ★", "number best", ("Δ +0.1", "[0.4, 0.6]", "2 seeds")),
         Cell("0.4", "number"), Cell("–", "number")),
        (Cell("[c]"), Cell("0.3 ▽", "number worst"), Cell("0.2", "number"), Cell("1", "number")),
    ),
    (("en-fr", 2), ("all", 1)),
)  # fmt: skip
# Written out by hand from the LaTeX manual, apart from what is tested.
SHOWN = {
    r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}",
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"',
}  # fmt: skip


def read_latex(text: str) -> str:
    """Read escaped text as LaTeX would; anything that is still special is an error."""
    pattern = "|".join(re.escape(escape) for escape in sorted(SHOWN, key=len, reverse=True))
    parts = re.split(f"({pattern})", text)
    assert not set("".join(parts[::2])) & set("&%$#_{}~^\\")
    return "".join(SHOWN.get(part, part) for part in parts)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    assert read_latex(latex(text)) == text


def test_csv_has_a_column_for_small_print_where_there_is_any() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(TABLE))))
    assert rows == [
        ["variant", "en-fr: F1", "en-fr: F1, notes", "en-fr: LAS", "all: mean"],
        ["a_b", "0.5", "Δ +0.1; [0.4, 0.6]; 2 seeds", "0.4", "–"],
        ["[c]", "0.3", "", "0.2", "1"],
    ]


def test_latex_rows_are_complete_and_the_best_is_bold() -> None:
    text = as_latex(TABLE, "t")
    assert r"\caption{50 \% of \#1 \& more}" in text
    assert r"\multicolumn{2}{c}{en-fr} & \multicolumn{1}{c}{all} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == 2
    for row in body:
        assert len(re.findall(r"(?<!\\)&", row)) == 3
        assert row.endswith(r"\\")
    assert r"\textbf{0.5}" in body[0]
    assert r"{\scriptsize [0.4, 0.6]}" in body[0]
    assert "seeds" not in body[0]
    assert body[1].startswith("{[c]}")
    assert r"\begin{tabular}{lrrr}" in text


def test_files_are_named_and_old_ones_go(tmp_path) -> None:
    folder = tmp_path / "tables"
    write_tables(folder, {"old": TABLE})
    write_tables(folder, {file_name("Inference (NLI)"): TABLE})
    assert sorted(p.name for p in folder.iterdir()) == ["inference-nli.csv", "inference-nli.tex"]
