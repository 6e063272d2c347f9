"""Work in a child of the tests says and does what a process of its own would."""

import logging
import os
import sys
import warnings

import pytest
from transformers.utils import logging as transformers_logging
from transformers.utils.logging import tqdm


def warn() -> None:
    warnings.warn("warned", UserWarning, stacklevel=1)


def test_what_it_says_is_heard_wherever_it_says_it(in_child):
    with pytest.warns(UserWarning, match="warned"):
        warn()
    transformers_logging.enable_progress_bar()

    def speak() -> None:
        print("printed")
        os.write(2, b"written\n")
        warn()
        transformers_logging.get_logger("transformers").error("logged by a library")
        logging.getLogger("mine").warning("logged")
        list(tqdm(range(3), desc="bar"))

    done = in_child(speak)
    assert (done.returncode, done.stdout) == (0, "printed\n")
    for said in (
        "written",
        "UserWarning: warned",
        "logged by a library",
        "\nlogged\n",
        "bar: 100%",
    ):
        assert said in done.stderr


@pytest.mark.parametrize(
    ("work", "status", "said"),
    [
        (lambda: sys.exit(3), 3, ""),
        (lambda: sys.exit(), 0, ""),
        (lambda: sys.exit("refused"), 1, "refused\n"),
        (lambda: 1 / 0, 1, "ZeroDivisionError: division by zero\n"),
        (lambda: os.kill(os.getpid(), 9), -9, ""),
    ],
)
def test_its_end_is_that_of_a_process(in_child, work, status, said):
    done = in_child(work)
    assert done.returncode == status
    assert done.stderr.endswith(said)


def test_the_command_line_is_that_of_the_shell(xling_in_child):
    done = xling_in_child("pretrain", "--nothing")
    assert done.returncode == 2
    assert "--nothing" in done.stderr
    done = xling_in_child("data", "check", "nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: nowhere")
