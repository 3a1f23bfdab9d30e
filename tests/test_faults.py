"""What happens to a run, not what it computes: kills, interrupts, two at once, and disks that refuse or are full."""

import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import SHORT, same_bits
from jupyter_client.manager import start_new_kernel
from kaggle_sessions import read_only

from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.clock import Clock
from snippetkit.utils.paths import project_folder

pytestmark = pytest.mark.slow

SETTINGS = "model=cnn3 batch_size=8 precision=fp32 split=songs folds=2"
KILLS = 12


class Session:
    """A Jupyter kernel in which the cells of all four notebooks are run, as a person would or papermill does."""

    def __init__(self, data, out, weights):
        self.data, self.out, self.weights = data, out, weights
        self.manager = None

    def start(self):
        """Have a kernel that has loaded what takes seconds to load, so that moments are drawn from the work itself."""
        if self.manager is None or not self.manager.is_alive():
            self.close()
            self.manager, self.client = start_new_kernel(extra_arguments=["--IPKernelApp.log_level=ERROR"])
            loaded = self.client.execute("import snippetkit.training.member, snippetkit.vocals.unet, snippetkit.run")
            self._wait(loaded, 120)

    def run(self, *, stop_after=float("inf"), how=None):
        """Run everything, or stop it so many seconds later; True if it came to its end."""
        # After an interrupt the kernel aborts what is already queued, unless the request says otherwise.
        message = self.client.execute("\n".join(self._cells()), stop_on_error=False)
        reply = self._wait(message, min(stop_after, 300))
        if reply is not None:
            assert reply["status"] == "ok", reply
            return True
        assert how, "it takes too long"
        if how == "interrupt":
            self.manager.interrupt_kernel()
            reply = self._wait(message, 60)
            assert reply is not None, "the interrupt was not heard"
            # outside the long stages it is Python's own; at the very end it may come too late
            assert reply["status"] == "ok" or reply["ename"] in ("Stopped", "KeyboardInterrupt"), reply
        else:
            os.kill(self.manager.provisioner.pid, how)
            deadline = time.monotonic() + 30
            while self.manager.is_alive():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        return False

    def close(self):
        if self.manager is not None:
            self.client.stop_channels()
            self.manager.shutdown_kernel(now=True)

    def _cells(self):
        values = {
            "data": str(self.data), "out": str(self.out), "recipe": "published", "settings": SETTINGS,
            "weights": str(self.weights), "members": 2, "epochs": 3,
        }
        for name, known in NOTEBOOKS.items():
            notebook = nbformat.read(project_folder() / "notebooks" / f"{name}.ipynb", as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    yield cell.source
                if "parameters" in cell.metadata.get("tags", []):
                    yield "\n".join(f"{key} = {value!r}" for key, value in values.items() if key in known)

    def _wait(self, message, seconds):
        """The kernel's reply; None if it takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                reply = self.client.get_shell_msg(timeout=min(1, max(0.001, deadline - time.monotonic())))
            except queue.Empty:
                continue
            if reply["parent_header"].get("msg_id") == message:
                return reply["content"]
        return None


def same_results(one, other):
    for name in ("submission.csv", "held_out.csv", "test_scores.csv", "features/songs.csv", "features/folds.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for pattern in ("features/*.npy", "vocals/*/*.flac"):
        names = sorted(path.relative_to(one) for path in one.glob(pattern))
        assert names and names == sorted(path.relative_to(other) for path in other.glob(pattern))
        for name in names:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    return all(same_bits(*(out / "members" / name for out in (one, other))) for name in ("member_00", "member_01"))


def test_stopped_at_a_dozen_moments_it_ends_with_the_same_bits(small_demo, weights, tmp_path):
    whole = Session(small_demo, tmp_path / "whole", weights)
    whole.start()
    start = time.monotonic()
    assert whole.run()
    seconds = time.monotonic() - start
    whole.close()

    generator = random.Random(8)
    session, folders, stops = None, 0, []
    while len(stops) < KILLS:
        session = session or Session(small_demo, tmp_path / f"stopped {folders}", weights)
        session.start()
        how = (signal.SIGKILL, signal.SIGTERM, "interrupt")[len(stops) % 3]
        if session.run(stop_after=generator.uniform(0, seconds), how=how):
            # it came to its end before: the next moments are those of a run from the start
            session.close()
            assert same_results(whole.out, session.out)
            session, folders = None, folders + 1
        else:
            stops.append(how)
    if session:
        session.start()
        assert session.run()
        session.close()
        assert same_results(whole.out, session.out)


def command(*arguments):
    return [sys.executable, "-m", "snippetkit", "run", *map(str, arguments)]


def test_of_two_runs_in_a_folder_the_second_is_refused_by_name(small_demo, tmp_path):
    out = tmp_path / "out"
    options = command("--data", small_demo, "--out", out, *SHORT)
    first = subprocess.Popen(options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / ".lock.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = subprocess.run(options, capture_output=True, text=True, timeout=120)
    assert second.returncode == 1 and "Traceback" not in second.stderr
    assert f"{out} is in use by process {first.pid} on " in second.stderr
    assert "(a run since " in second.stderr and "choose another output folder" in second.stderr
    assert first.wait(timeout=300) == 0 and (out / "submission.csv").exists()


def test_the_input_is_only_read(small_demo, tmp_path):
    data = shutil.copytree(small_demo, tmp_path / "data")
    with read_only(data) as is_read_only:
        if not is_read_only:
            pytest.skip("root may write everywhere, and no folder can be mounted here")
        with pytest.raises(OSError):
            (data / "file").touch()
        options = command("--data", data, "--out", tmp_path / "out", *SHORT)
        result = subprocess.run(options, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_full_disk_is_reported_and_what_was_made_is_kept(small_demo, small_disk):
    out = small_disk.folder / "out"
    small_disk.resize(1e6)     # the features of 32 clips take 1.5 MB
    result = subprocess.run(command("--data", small_demo, "--out", out, *SHORT), capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    assert "No space left on device" in result.stderr
    small_disk.resize(100e6)
    result = subprocess.run(command("--data", small_demo, "--out", out, *SHORT), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not list(out.rglob(".part-*"))


def test_a_clock_that_jumps_changes_nothing(monkeypatch):
    clock = Clock(2)
    now = time.time
    for jump in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
        assert clock.hours_left() == pytest.approx(2, abs=1e-3) and not clock.would_overrun(3600)
