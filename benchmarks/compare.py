"""Compare what two runs of the benchmarks found.

Run: ``python benchmarks/compare.py A.json B.json``. Ratios to a peer can be compared across
machines, values only on one.
"""

import argparse
from pathlib import Path

from figures import Figure, aligned, number, read


def main() -> None:
    """Print what differs between the machines, and the figures side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    arguments = parser.parse_args()
    (machine_a, of_a), (machine_b, of_b) = (read(path) for path in (arguments.a, arguments.b))
    for name in {**machine_a, **machine_b}:
        before, after = (found.get(name, "unknown") for found in (machine_a, machine_b))
        print(f"{name}: {before}" if before == after else f"{name}: {before} -> {after}")
    print(as_text(_by_work(of_a), _by_work(of_b)))


def _by_work(found: list[tuple[str, Figure]]) -> dict[tuple[str, str, str], Figure]:
    return {(benchmark, one.work, one.unit): one for benchmark, one in found}


def as_text(a: dict[tuple[str, str, str], Figure], b: dict[tuple[str, str, str], Figure]) -> str:
    """Return a table of the figures of both; what only one has leaves the other's cells empty."""
    head = ("benchmark", "work", "unit", "A", "B", "B / A", "ratio A", "ratio B", "goal", "B's")
    rows = [head]
    for key in {**a, **b}:
        one, other = a.get(key), b.get(key)
        change = other.value / one.value if one and other and one.value else None
        rows.append(
            (
                *key,
                *(number(figure and figure.value) for figure in (one, other)),
                number(change),
                *(number(figure and figure.ratio) for figure in (one, other)),
                (other or one).goal,  # type: ignore[union-attr]
                other.verdict if other else "",
            )
        )
    return aligned(rows, right={3, 4, 5, 6, 7})


if __name__ == "__main__":
    main()
