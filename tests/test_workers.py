"""Members trained side by side, in real processes that are killed, fail, run out of time or are interrupted."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import wait_for
from jupyter_client.manager import start_new_kernel

from snippetkit.training import ensemble
from snippetkit.training.members import member_folder, read_histories
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import read_json

TESTS = os.path.dirname(__file__)
# Trains two members for longer than any test waits.
SCRIPT = """
if __name__ == "__main__":      # not in the processes that it starts
    import sys
    sys.path.insert(0, {tests!r})
    import conftest
    from snippetkit.recipe import Recipe
    from snippetkit.training import ensemble
    from snippetkit.utils.hardware import Device
    recipe = Recipe.published().with_values(model="cnn3", epochs=5000, batch_size=8, members=2, precision="fp32")
    cpu = Device("cpu", "CPU", "fp32")
    ensemble.train_ensemble({out!r}, recipe, conftest.make_data(seed=0), devices=[cpu, cpu])
"""


def epochs_of(folder):
    return {i: len(rows) for i, rows in read_histories(folder).items()}


@pytest.mark.slow
def test_killed_process_is_reported_and_the_others_continue(tmp_path, small_recipe, small_data, cpu, capsys):
    def kill_member():
        wait_for(lambda: 1 in read_histories(tmp_path))
        {process.name: process for process in multiprocessing.active_children()}["member_01"].kill()

    recipe = small_recipe.with_values(members=3, epochs=12)
    threading.Thread(target=kill_member, daemon=True).start()
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu]) == [0, 2]
    output = capsys.readouterr().err
    assert f"member_01: its process was killed by signal 9. The last lines of {tmp_path}" in output
    assert "epoch" in output.split("worker.log:")[1]    # the last line is the progress bar
    # the next run continues the killed member
    assert 0 < epochs_of(tmp_path)[1] < 12
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu]) == [0, 1, 2]
    assert "member_01 continues after epoch" in capsys.readouterr().err


@pytest.mark.slow
def test_error_in_one_process_is_reported_and_the_other_continues(tmp_path, small_recipe, small_data, cpu, capsys):
    for member in (0, 1):
        member_folder(tmp_path, member).mkdir()
        (member_folder(tmp_path, member) / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(KitError, match="(?s)no member could be trained.*last.pt is damaged"):
        ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu, cpu])
    shutil.rmtree(member_folder(tmp_path, 0))
    capsys.readouterr()     # only the second run's output is checked
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu, cpu]) == [0]
    output = capsys.readouterr().err
    assert "member_01: its process ended with exit status 1" in output and "last.pt is damaged" in output


def test_members_are_left_for_the_next_session_when_the_time_is_up(tmp_path, small_recipe, small_data, cpu, capsys):
    recipe = small_recipe.with_values(members=3)
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu], clock=Clock(1e-6)) == []
    output = capsys.readouterr().err
    assert output.count("the time is up: members that have not started are left") == 1
    assert "its process" not in output      # a member that ran out of time has not failed
    assert "stops before epoch 1" in (member_folder(tmp_path, 0) / "worker.log").read_text()
    assert {path.name for path in tmp_path.glob("member_*")} == {"member_00", "member_01"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while they start", "in training"])
def test_stop_button_of_a_notebook_ends_the_processes(tmp_path, moment):
    out, output = tmp_path / "out", []
    manager, client = start_new_kernel(extra_arguments=["--IPKernelApp.log_level=ERROR"])

    def press_stop():
        wait_for((out / "member_00").exists)
        if moment == "in training":
            wait_for(lambda: len(read_histories(out)) == 2)
        manager.interrupt_kernel()

    try:
        threading.Thread(target=press_stop, daemon=True).start()
        code = SCRIPT.format(tests=TESTS, out=str(out))
        reply = client.execute_interactive(code, output_hook=output.append, timeout=300)
        assert reply["content"]["ename"] == "Stopped" and "Traceback" not in str(output)
        reply = client.execute_interactive("import multiprocessing; assert not multiprocessing.active_children()")
        assert reply["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_their_parent(tmp_path, how):
    script, out = tmp_path / "train.py", tmp_path / "out"
    script.write_text(SCRIPT.format(tests=TESTS, out=str(out)))
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: len(read_histories(out)) == 2)
    assert read_json(out / ".lock.json")["process"] == process.pid
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    _, output = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert "Stopped: training was stopped (0 of 2 members are finished, member_00 has" in output
    time.sleep(1)
    epochs = epochs_of(out)
    time.sleep(1)
    assert epochs_of(out) == epochs
