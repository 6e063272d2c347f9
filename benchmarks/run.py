"""Run every benchmark that needs no data, one after the other, and print one table.

Run: ``python benchmarks/run.py [--only tokens,geometry] [--json FILE]``; an hour on two cores, with
nothing else running. ``benchmarks/compare.py`` compares two such files.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import add_options, as_text, machine, read, write

FOLDER = Path(__file__).parent
BENCHMARKS = (
    *("conlang", "data", "tokens", "pretraining", "precision", "code_switching"),
    *("transfer", "audit", "tree_decoding", "geometry"),
)


def main() -> int:
    """Run them; a benchmark that fails is named, and the others still run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="benchmarks, e.g. a,b")
    add_options(parser)
    arguments = parser.parse_args()
    found, failed = [], []
    for name in arguments.only.split(","):
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figures.json"
            command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", str(path)]
            done = subprocess.run([*command, *["--small"] * arguments.small], check=False)
            if done.returncode == 0:
                found += read(path)[1]
            else:
                failed.append(name)
    print("\n".join(f"{name}: {value}" for name, value in machine().items()))
    print(as_text(found))
    if arguments.json:
        write(found, arguments.json, arguments.small)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
