"""The one exception that users are meant to read."""


class XlingError(Exception):
    """An input or a setting that xling cannot work with.

    The message names the file (and line) at fault, what was found, what was
    expected and what to do. The command line prints it and exits with status 2.
    """
