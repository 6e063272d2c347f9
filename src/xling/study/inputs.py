"""The data files that a study was planned on, and whether they are unchanged when its jobs run.

A job's name depends on what its files held when the study was planned. If one of them changes while
the study runs, what is made from it belongs under another name, and to another plan.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from xling.artefact import read_record
from xling.errors import XlingError
from xling.files import JsonObject, content_hash, read_json

PLAN = "plan.json"
# What several stages read from a data folder and record by one name.
_SHARED = ("text/", "dictionaries/", "parallel/")


@dataclass(frozen=True)
class Stamp:
    """What a file was when the study was planned.

    Attributes:
        bytes: Its size.
        mtime_ns: When it was last changed, in nanoseconds since 1970.
        blake2b: Its content's hash.
    """

    bytes: int
    mtime_ns: int
    blake2b: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read a file; one that changes meanwhile has a later time than the stamp."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, content_hash(path))

    def still_fits(self, path: Path) -> bool:
        """Tell whether a file is unchanged; if it was rewritten, its content decides."""
        try:
            found = path.stat()
            if found.st_size != self.bytes:
                return False
            return found.st_mtime_ns == self.mtime_ns or content_hash(path) == self.blake2b
        except OSError:
            return False

    def as_json(self) -> dict[str, object]:
        """Return it as the plan has it."""
        return asdict(self)


def check_files(study: Path, job: str) -> None:
    """Compare the data files that a job reads with the plan.

    Args:
        study: The study's folder.
        job: The job's folder in it.

    Raises:
        XlingError: a file that has changed or gone since the study was planned.
    """
    plan = _plan(study)
    for name in plan.get("jobs", {}).get(job, {}).get("files", ()):
        path, stamp = Path(name), Stamp(**plan["files"][name])
        if not stamp.still_fits(path):
            what = "has changed" if path.exists() else "has gone"
            raise XlingError(
                f"{path}: {what} since this study was planned, so its parts would be made from "
                "different data; put the file back, or run the same command again once nothing "
                "writes to it: whatever depends on it is then made from the new one"
            )


def check_agreement(study: Path, job: str) -> None:
    """Compare what a finished job read of the data with what the jobs before it had read.

    This also notices changes to data that a study has made for itself.

    Raises:
        XlingError: a file whose content was different then.
    """
    jobs = _plan(study).get("jobs", {})
    own = _inputs(study / job)
    for earlier in dict.fromkeys(_ancestors(jobs, job)):
        for name, found in _inputs(study / earlier).items():
            if name.startswith(_SHARED) and own.get(name, found) != found:
                raise XlingError(
                    f"{name} of the data: has changed since {earlier} was made of it; put the file "
                    f"back, or delete its folder if this study made it (data/ or derive/ in "
                    f"{study.resolve()}), and run the same command again"
                )


def _ancestors(jobs: JsonObject, job: str) -> Iterator[str]:
    for parent in jobs.get(job, {}).get("parents", {}).values():
        yield parent
        yield from _ancestors(jobs, parent)


def _plan(study: Path) -> JsonObject:
    """Return the plan; empty for a job that is run without one."""
    path = study / PLAN
    return dict(read_json(path)) if path.is_file() else {}


def _inputs(folder: Path) -> dict[str, str]:
    """Return the hashes of what a finished job has read, by name."""
    found = read_record(folder).get("inputs")
    return found if isinstance(found, dict) else {}
