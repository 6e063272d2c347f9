"""Snakemake's command line, without its default limit on jobs per second.

For the sake of that limit its scheduler looks for jobs to start again a second after it has looked;
but every job that starts or ends begins one more such chain, and none ends while jobs wait
(snakemake 9: ``JobScheduler.schedule``). After a hundred jobs it looks a hundred times a second,
which takes half a core from the jobs. A limit that somebody asks for is kept.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from snakemake.cli import args_to_api, parse_args
from snakemake.exceptions import print_exception
from snakemake.settings.types import MaxJobsPerTimespan


def without_default_limit(argv: Sequence[str]) -> tuple[Any, Namespace]:
    """Return Snakemake's parser and the parsed options; no limit unless one is asked for."""
    parser, args = parse_args(argv)
    default = MaxJobsPerTimespan.parse_choice(parser.get_default("max_jobs_per_timespan"))
    if vars(args.max_jobs_per_timespan) == vars(default):
        args.max_jobs_per_timespan = None
    return parser, args


def main(argv: Sequence[str]) -> int:
    """Run a workflow; return an exit status."""
    try:
        parser, args = without_default_limit(argv)
        return 0 if args_to_api(args, parser) else 1
    except Exception as error:
        print_exception(error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
