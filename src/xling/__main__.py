"""``python -m xling``."""

from xling.cli import main

main()
