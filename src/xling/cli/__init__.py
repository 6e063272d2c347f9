"""The command line: one verb per stage. No logic, and heavy imports only inside verbs.

CONTRIBUTING has the grammar that all verbs follow; `xling.cli.options` has the options that they
share.
"""

import sys

from xling.allocator import keep_freed_memory
from xling.cli import align, data, models, study  # noqa: F401 - they add their verbs
from xling.cli.app import app
from xling.errors import XlingError
from xling.progress import show_messages

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error that a user can fix is one message and exit status 2."""
    show_messages()
    keep_freed_memory()
    try:
        app()
    except XlingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        from xling.files import disk_fault

        advice = "fix this and run the same command again"
        print(f"error: {disk_fault(error)}; {advice}", file=sys.stderr)
        sys.exit(2)
