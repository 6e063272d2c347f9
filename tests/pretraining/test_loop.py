"""What the loop logs of its own speed."""

from types import SimpleNamespace

from xling.pretraining import loop
from xling.pretraining.checkpoint import Snapshots

STEP, SAVING = 1.0, 100.0


def test_rates_leave_out_what_is_no_step(run_here, run_config, entries, monkeypatch, tmp_path):
    """A clock on which only steps and snapshots take time."""
    now = 0.0

    def pass_time(method, seconds):
        def call(*arguments):
            nonlocal now
            now += seconds
            return method(*arguments)

        return call

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now, time=lambda: now))
    monkeypatch.setattr(loop, "forward_backward", pass_time(loop.forward_backward, STEP))
    monkeypatch.setattr(Snapshots, "save", pass_time(Snapshots.save, SAVING))
    # Snapshots fall inside windows of the log and at their ends.
    config = run_config(steps=16, log_every=8, snapshots=6)
    logged = [e for e in entries(run_here(tmp_path / "out", config)) if e["kind"] == "train"]
    assert now > SAVING
    assert sum({entry["step"]: entry["seconds"] for entry in logged}.values()) == 16 * STEP
    tokens = config.pretraining.rows * config.pretraining.length
    assert {entry["tokens_per_second"] for entry in logged} == {tokens / STEP}
