"""Members side by side, in real processes that really die."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel

from snippetkit.training import ensemble
from snippetkit.training.members import member_folder, read_histories
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import read_json

# Two members that take longer than anyone waits.
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import conftest
from snippetkit.recipe import Recipe
from snippetkit.training import ensemble
from snippetkit.utils.hardware import Device
if __name__ == "__main__":
    recipe = Recipe.published().with_values(model="cnn3", epochs=5000, batch_size=8, members=2, precision="fp32")
    cpu = Device("cpu", "CPU", "fp32")
    ensemble.train_ensemble({out!r}, recipe, conftest.make_data(seed=0), devices=[cpu, cpu])
"""


def kill_after_an_epoch(folder, member):
    """Kill the process of a member once its first epoch is saved, from a thread beside the training."""
    def watch():
        while member not in read_histories(folder):
            time.sleep(0.01)
        processes = {each.name: each for each in multiprocessing.active_children()}
        processes[member_folder(folder, member).name].kill()

    threading.Thread(target=watch, daemon=True).start()


def test_one_that_dies_is_named_and_the_others_go_on(tmp_path, small_recipe, small_data, cpu, capsys):
    recipe = small_recipe.with_values(members=4, epochs=30)
    kill_after_an_epoch(tmp_path, member=1)
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu]) == [0, 2, 3]
    said = capsys.readouterr().err
    assert f"member_01: its process was killed by signal 9. The last lines of {tmp_path}" in said
    assert "worker.log:" in said and "epoch" in said.split("worker.log:")[1]    # its last lines: the bar
    # and the next run carries on with it
    before = len(read_histories(tmp_path)[1])
    assert 0 < before < 30
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu]) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_fault_in_one_is_its_own_sentence(tmp_path, small_recipe, small_data, cpu, capsys):
    recipe = small_recipe.with_values(members=3)
    for i in (1, 0, 2):
        if i != 1:
            shutil.rmtree(member_folder(tmp_path, i), ignore_errors=True)
        member_folder(tmp_path, i).mkdir()
        (member_folder(tmp_path, i) / "last.pt").write_bytes(b"no checkpoint")
        if i == 1:
            assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu]) == [0, 2]
            said = capsys.readouterr().err
            assert "member_01: its process ended with exit status 1" in said and "last.pt is damaged" in said
    with pytest.raises(KitError, match="(?s)no member could be trained.*last.pt is damaged"):
        ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu])


def test_when_the_time_is_up_no_other_is_begun(tmp_path, small_recipe, small_data, cpu, capsys):
    recipe = small_recipe.with_values(members=6)
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu, cpu], clock=Clock(1e-6)) == []
    assert capsys.readouterr().err.count("the time is up: members that have not started are left") == 1
    assert "stops before epoch 1" in (member_folder(tmp_path, 0) / "worker.log").read_text()
    assert {path.name for path in tmp_path.glob("member_*")} == {"member_00", "member_01"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while they start", "in training"])
def test_the_stop_button_ends_them_in_a_notebook_too(tmp_path, moment):
    manager, client = start_new_kernel(extra_arguments=["--IPKernelApp.log_level=ERROR"])
    try:
        code = SCRIPT.format(tests=os.path.dirname(__file__), out=str(tmp_path / "out"))
        message = client.execute(code)
        deadline = time.monotonic() + 60
        while not (tmp_path / "out" / "member_00").exists() or (
            moment == "in training" and len(read_histories(tmp_path / "out")) < 2
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != message:
            pass
        assert reply["content"]["ename"] == "Stopped", reply["content"]
        said = []
        while (output := client.get_iopub_msg(timeout=10))["msg_type"] != "status" or (
            output["content"]["execution_state"] != "idle" or output["parent_header"].get("msg_id") != message
        ):
            said.append(str(output["content"].get("text", "")))
        assert "Traceback" not in "".join(said)
        client.execute("import multiprocessing; assert not multiprocessing.active_children()")
        assert client.get_shell_msg(timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_they_end_with_the_one_who_started_them(tmp_path, how):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=os.path.dirname(__file__), out=str(tmp_path / "out")))
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while len(read_histories(tmp_path / "out")) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    assert read_json(tmp_path / "out" / ".lock.json")["process"] == process.pid
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    _, said = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert "Stopped: training was stopped (0 of 2 members are finished, member_00 has" in said
    time.sleep(1)
    epochs = {i: len(rows) for i, rows in read_histories(tmp_path / "out").items()}
    time.sleep(1)
    assert {i: len(rows) for i, rows in read_histories(tmp_path / "out").items()} == epochs
