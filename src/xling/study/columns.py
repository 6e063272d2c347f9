"""Tables as plain text, for the terminal."""

from collections.abc import Sequence


def as_columns(rows: Sequence[Sequence[str]], left: int = 1, indent: str = "  ") -> str:
    """Return rows as aligned columns.

    Args:
        rows: Cells; every row has as many as the first.
        left: So many columns stand on the left, the others on the right.
        indent: Before each line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
