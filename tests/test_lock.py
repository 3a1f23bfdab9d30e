import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from snippetkit.utils import lock
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.utils.lock import exclusive_task


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds, and that process."""
    code = f"""
        import sys, time
        from snippetkit.utils.lock import exclusive_task
        with exclusive_task({str(tmp_path)!r}, "training"):
            print("held", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield tmp_path, process
    process.kill()
    process.wait()


def test_the_second_is_told_who_the_first_is(held, monkeypatch):
    folder, process = held
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    with pytest.raises(KitError, match=rf"is in use by process {process.pid} on .* \(training since 20.*Wait for it"):
        with exclusive_task(folder, "a run"):
            pytest.fail("two at once")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_process_holds_nothing(held, how):
    folder, process = held
    process.send_signal(how)
    with exclusive_task(folder, "a run"):  # without waiting for anyone to tidy up
        assert f'"process": {os.getpid()}' in (folder / ".lock.json").read_text()
    assert not (folder / ".lock.json").exists()


def test_one_that_ends_meanwhile_is_waited_for(held):
    folder, process = held
    start = time.monotonic()
    subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {process.pid}"])
    with exclusive_task(folder, "a run"):
        assert 0.5 < time.monotonic() - start < 5


def test_an_interrupt_is_a_sentence_and_frees_the_folder(tmp_path):
    with pytest.raises(Stopped, match=r"stopped \(1 of 2 done\). What was saved is kept: run again to continue"):
        with exclusive_task(tmp_path, "training", so_far=lambda: "1 of 2 done"):
            raise KeyboardInterrupt
    with pytest.raises(KitError, match="a fault"):
        with exclusive_task(tmp_path, "training"):
            raise KitError("a fault")
    with exclusive_task(tmp_path, "training"):
        pass


def test_a_folder_that_refuses_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="file cannot be written to"):
        with exclusive_task(tmp_path / "file", "training"):
            pass


# Interrupts `task` when it has half imported a package, and does it once more.
INTERRUPTED = """
import os, signal, sys

package = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)    # who runs the tests may have ignored it

class Stop:  # not an importer
    def find_spec(self, name, path=None, target=None):
        if name == f"{package}.{sys.argv[2]}":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
for attempt in range(2):
    try:
        task()
        print("done")
    except KeyboardInterrupt:
        print("stopped", package in sys.modules)
"""
FIRST_STATE = """
from snippetkit.utils.hardware import Device
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import new_state

def task():
    device = Device("cpu", "the CPU", "fp32")
    new_state({}, Recipe(model="cnn3"), seed=0, batches=1, classes=4, device=device)
"""
FIRST_TRAINING = """
from snippetkit.training.ensemble import train_ensemble
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.recipe import Recipe

class NoClips:
    classes = 4
    def fingerprint(self, recipe):
        return ""
    def datasets(self, *_):
        raise KitError("there are no clips")

def task():
    try:
        train_ensemble("members", Recipe(members=1), NoClips())
    except Stopped:
        raise KeyboardInterrupt
    except KitError:
        pass
"""
FIRST_CLIP = """
from snippetkit.utils.errors import KitError
from snippetkit.vocals.separation import open_backend

def task():
    try:
        with open_backend("torch", "no-such-folder"):
            pass
    except KitError:    # there are no weights
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("task, package, module", [
    (FIRST_STATE, "sympy", "series"), (FIRST_TRAINING, "torch", "nn"), (FIRST_CLIP, "torch", "nn"),
])
def test_what_is_interrupted_while_it_imports_can_be_run_again_in_the_same_process(task, package, module, tmp_path):
    command = [sys.executable, "-c", task + INTERRUPTED, package, module]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout == "stopped True\ndone\n", result.stderr
