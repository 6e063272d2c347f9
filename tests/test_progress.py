"""Bars on a terminal, silence elsewhere; messages in one line."""

import os
import pty
import subprocess
import sys

from xling.progress import bar, track

CODE = (
    "import time\nfrom xling.progress import track\n"
    "for _ in track(range(3), 'Counting', unit='sheep'): time.sleep(0.2)\n"
    "print('end')\n"
    "from xling.progress import bar\n"
    "with bar('Reading', 9_000_000, 'bytes') as advance:\n"
    "    for _ in range(3): advance(3_000_000); time.sleep(0.2)\n"
)


def test_items_pass_through_and_nothing_is_said_off_a_terminal(capfd):
    assert list(track(iter("abc"), "Letters")) == ["a", "b", "c"]
    with bar("Steps", 10, "steps", done=4) as advance:
        advance(6, "Other words")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_what_is_done_and_how_fast():
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:  # how Linux says that the other end was closed
        pass
    out, _ = run.communicate()
    os.close(ours)
    assert out == "end\n", "the bar goes to stderr, results to stdout"
    assert b"Counting" in shown
    assert b"sheep/s" in shown
    assert b" MB/s" in shown
    assert b"bytes/s" not in shown


def test_an_error_inside_ends_the_bar_and_passes():
    seen = []
    try:
        for item in track([1, 2, 3], "Items"):
            seen.append(item)
            if item == 2:
                raise ValueError
    except ValueError:
        seen.append("raised")
    assert seen == [1, 2, "raised"]


MESSAGES = (
    "import logging, warnings\nfrom xling.progress import show_messages\nshow_messages()\n"
    "logging.getLogger('xling.stage').info('layers 0-0, 1-2')\n"
    "logging.getLogger('xling.stage').warning('%d labels\\nunseen', 3)\n"
    "logging.getLogger('of_a_library').info('opening a file')\n"
    "logging.getLogger('of_a_library').warning('the file is old')\n"
    "warnings.warn('truncated 657 of 1,000 lines')\n"
    "for _ in range(2): warnings.warn('said\\n once', RuntimeWarning)\n"
)


def test_messages_are_one_line_each_without_source():
    run = subprocess.run(
        [sys.executable, "-c", MESSAGES], capture_output=True, text=True, check=True
    )
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "layers 0-0, 1-2",
        "warning: 3 labels unseen",
        "warning: the file is old",
        "warning: truncated 657 of 1,000 lines",
        "warning: said once",
    ]
