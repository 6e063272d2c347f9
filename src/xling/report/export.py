"""Tables as files for papers: CSV with everything, LaTeX (booktabs) with what fits a page."""

import re
from collections.abc import Mapping
from pathlib import Path

from xling.csv_tables import rows_as_csv
from xling.files import atomic_folder
from xling.report.tables import BEST, RANK_MARKS, Cell, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u00a0": "~",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "★": r"$\star$",
    "▽": r"$\triangledown$",
}
_IN_PRINT = ("Δ", "[")  # of a cell's notes, the difference and the interval


def write_tables(folder: Path, tables: Mapping[str, Table]) -> None:
    """Write each table as ``NAME.csv`` and ``NAME.tex`` into a folder that is replaced.

    A CSV cell's small print has a column of its own, after the cell's. The LaTeX tables need
    ``booktabs`` and ``amssymb`` and, of the small print, hold differences and intervals.
    """
    with atomic_folder(folder) as written:
        for name, table in tables.items():
            (written / f"{name}.csv").write_text(as_csv(table), encoding="utf-8")
            (written / f"{name}.tex").write_text(as_latex(table, name), encoding="utf-8")


def as_csv(table: Table) -> str:
    """Write a table as CSV: one head per column, which includes its group."""
    heads = [*table.columns]
    place = table.headers
    for group, width in table.groups:
        for column in range(place, place + width):
            heads[column] = f"{group}: {heads[column]}"
        place += width
    noted = [any(row[column].notes for row in table.rows) for column in range(len(heads))]
    rows = [_beside(heads, [f"{head}, notes" for head in heads], noted)]
    for row in table.rows:
        texts = [_plain(cell) for cell in row]
        rows.append(_beside(texts, ["; ".join(cell.notes) for cell in row], noted))
    return rows_as_csv(rows)


def _beside(texts: list[str], notes: list[str], noted: list[bool]) -> list[str]:
    cells = []
    for text, note, has_notes in zip(texts, notes, noted, strict=True):
        cells += [text, note] if has_notes else [text]
    return cells


def _plain(cell: Cell) -> str:
    """Leave out the marks of rank, so that numbers stay numbers."""
    for mark in filter(None, RANK_MARKS.values()):
        cell = Cell(cell.text.removesuffix(mark), cell.kind, cell.notes)
    return cell.text


def as_latex(table: Table, name: str) -> str:
    """Write a table as a LaTeX float; the best of a column is bold."""
    kinds = [row.kind for row in table.rows[0]] if table.rows else [""] * len(table.columns)
    columns = "".join("r" if kind not in ("", "tokens") else "l" for kind in kinds)
    lines = [
        "% needs \\usepackage{booktabs, amssymb}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{latex(table.caption)}}}",
        f"\\label{{tab:{name}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
    ]
    if table.groups:
        heads, rules, place = [""] * table.headers, [], table.headers + 1
        for group, width in table.groups:
            heads.append(f"\\multicolumn{{{width}}}{{c}}{{{latex(group)}}}")
            rules.append(f"\\cmidrule(lr){{{place}-{place + width - 1}}}")
            place += width
        lines += [_row(heads), "".join(rules)]
    lines += [_row([latex(column) for column in table.columns]), "\\midrule"]
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = latex(_plain(cell))
    if BEST in cell.kind.split():
        text = f"\\textbf{{{text}}}"
    notes = [latex(note) for note in cell.notes if note.startswith(_IN_PRINT)]
    if not notes:
        # A bracket at the start of a row would be taken for the spacing after the row before it.
        return f"{{{text}}}" if text.startswith(("[", "*")) else text
    small = "".join(f"\\\\{{\\scriptsize {note}}}" for note in notes)
    return f"\\shortstack[r]{{{text}{small}}}"


def latex(text: str) -> str:
    r"""Write text so that LaTeX shows it as it is; line breaks become spaces.

    Example:
        >>> print(latex("50 % of a_b"))
        50 \% of a\_b
    """
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split("\n")))


def file_name(text: str) -> str:
    """Turn a heading into part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
