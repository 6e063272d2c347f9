"""Numbers, lists and tables formatted for reading."""

from collections.abc import Sequence


def score(value: float) -> str:
    """Three decimals; one significant digit where three decimals would say 0.000."""
    return f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def count(value: float) -> str:
    """A whole number with thousands separated."""
    return f"{round(value):,}"


def large(value: float) -> str:
    """Three significant digits with a word or power for the size, e.g. ``"32.8 million"``."""
    for size, word in ((1e15, None), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:.3g} {word}" if word else f"{value:.2e}"
    return count(value)


def memory(value: float) -> str:
    """Bytes in the unit that fits, decimal."""
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e3:.3g} kB"


def duration(seconds: float) -> str:
    """A span of time, no finer than useful: ``"2 h 05 min"``, ``"16 min"``, ``"1 min 08 s"``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    if minutes >= 10:
        return f"{round(whole / 60)} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def listing(items: Sequence[str], joint: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joint} {items[-1]}"


def layers(numbers: Sequence[int]) -> str:
    """Layers with runs joined: ``layer 3``, ``layers 1 to 4``, ``layers 0, 2 and 3``."""
    ordered = sorted(numbers)
    if len(ordered) == 1:
        return f"layer {ordered[0]}"
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"layers {ordered[0]} to {ordered[-1]}"
    return f"layers {listing([str(number) for number in ordered])}"


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
