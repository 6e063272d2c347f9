"""A process that has imported everything and forks a child for each command it is told to run.

A request is a line of JSON; so is the answer. In the child every operation that changes the file
system below a folder is counted, and at the chosen one the child kills itself (``"kill"``) or the
disk is full from then on (``"full"``). Or the folder is copied before each operation (``"copy"``):
a child killed there would leave just this.
"""

# ruff: noqa: PTH100, PTH115, PTH117, PTH118
import builtins
import contextlib
import errno
import io
import json
import os
import resource
import shutil
import signal
import sys
import traceback

MOST_MEMORY = 8 << 30
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event to the places of its path and of the descriptor that this is relative to.
CHANGES = {
    "os.rename": (0, 2),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.mkdir": (0, 2),
    "os.chmod": (0, 2),
    "os.symlink": (1, 2),
    "os.link": (1, 3),
}
NEEDS_ROOM = ("open", "os.rename", "os.mkdir", "os.symlink", "os.link", "fsync", "write")


class Operations:
    """Counts operations below ``folder``; acts at number ``at`` (from 1; 0 never)."""

    def __init__(self, folder: str, at: int, how: str | None, copies: str = "") -> None:
        self.folder = os.path.realpath(folder)
        self.at, self.how = at, how
        self.copies, self.copying = copies, False
        self.count = 0

    def heed(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and flags & WRITING:
                self.meet(event, os.fsdecode(path), -1)
        elif event in CHANGES:
            path, descriptor = CHANGES[event]
            self.meet(event, arguments[path], arguments[descriptor])

    def meet(self, event: str, path: object, descriptor: object) -> None:
        if self.copying:
            return
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        path = os.fsdecode(path)
        if isinstance(descriptor, int) and descriptor >= 0 and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), path)
        if not os.path.abspath(path).startswith(self.folder + "/"):
            return
        self.count += 1
        if self.how == "kill" and self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "copy":
            self.copying = True
            shutil.copytree(self.folder, f"{self.copies}/{self.count}", symlinks=True)
            self.copying = False
        full = self.how == "full" and self.count >= self.at > 0
        if full and event in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def watch(operations: Operations) -> None:
    """Count from now on; `fsync` and closing a written file have no audit events."""
    fsync, opened = os.fsync, io.open

    def counted_fsync(descriptor):
        operations.meet("fsync", descriptor, -1)
        return fsync(descriptor)

    def counted_open(file, mode="r", *more, **named):
        found = opened(file, mode, *more, **named)
        if set(mode) & set("wax+") and isinstance(file, (str, os.PathLike)):
            close, path = found.close, os.path.abspath(file)

            def counted_close():
                if not found.closed:
                    try:
                        operations.meet("write", path, -1)
                    except OSError:
                        close()
                        raise
                close()

            with contextlib.suppress(AttributeError):
                found.close = counted_close
        return found

    os.fsync = counted_fsync
    builtins.open = io.open = counted_open
    sys.addaudithook(operations.heed)


def child(request: dict) -> None:
    """Run one command; what it says and how many operations it took go to files."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["folder"])
    signal.alarm(request.get("seconds", 0))
    # What has no end must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    operations = Operations(
        request["folder"], request.get("at", 0), request.get("how"), request.get("copies", "")
    )
    status = 70
    try:
        from xling.cli import main

        sys.argv = ["xling", *request["verb"]]
        watch(operations)
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        operations.at, operations.how = 0, None
        sys.stdout.flush()
        sys.stderr.flush()
        with os.fdopen(os.open(request["log"] + ".count", os.O_WRONLY | os.O_CREAT), "w") as file:
            file.write(str(operations.count))
        os._exit(status)


def serve() -> None:
    """Answer requests until there are no more."""
    import pandas  # noqa: F401

    import xling.alignment.sentence_stage
    import xling.alignment.word_stage
    import xling.audit.stage
    import xling.data.derive
    import xling.data.hub.fill
    import xling.pretraining.run
    import xling.similarity.probe
    import xling.study.run
    import xling.transfer.context  # noqa: F401
    from xling.pretraining import preflight

    # Measured anew in each run, which takes a while
    preflight.matmul_peak = lambda *_: 1e11
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            child(request)
        _, waited = os.waitpid(process, 0)
        print(json.dumps(os.waitstatus_to_exitcode(waited)), flush=True)


if __name__ == "__main__":
    serve()
