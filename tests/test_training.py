import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data, same_bits, weights_of

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training import member as training
from snippetkit.training.checkpoint import load_state, new_state, save_state
from snippetkit.training.member import train_member
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device

SCRIPT = Path(__file__).with_name("train_one_member.py")


# --- killed ---


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "member_03"
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True, timeout=300)
    return folder


def epochs_done(folder):
    with contextlib.suppress(FileNotFoundError, pd.errors.EmptyDataError):
        return len(pd.read_csv(folder / "history.csv"))
    return 0


def changed(path):
    """A question: was the file written since now?"""

    def stamp():
        return path.stat().st_mtime_ns if path.exists() else None

    before = stamp()
    return lambda: stamp() != before


def at_the_start(folder):
    return changed(folder / "recipe.json")


def inside_an_epoch(delay):
    # A resumed process rewrites the history when it has loaded its checkpoint, just before an epoch begins. Without a
    # checkpoint nothing is written then, but the time since the lock was taken is similar.
    def moment(folder):
        begun = changed(folder / "history.csv" if (folder / "last.pt").exists() else folder / ".lock.json")
        return lambda: begun() and not time.sleep(delay)

    return moment


def while_saving(folder):
    return lambda: (folder / ".part-last.pt").exists()


def before_done(folder):
    return lambda: (folder / "valid_logits.npy").exists()


MOMENTS = {
    "at the start": at_the_start,
    "inside the first epoch": inside_an_epoch(0.7),
    "while saving for the first time": while_saving,
    "early in an epoch": inside_an_epoch(0.05),
    "while saving": while_saving,
    "later in an epoch": inside_an_epoch(0.3),
    "while saving again": while_saving,
    "before done": before_done,
}


def kill_at(folder, moment):
    (folder / ".part-last.pt").unlink(missing_ok=True)  # the torso of an earlier kill is no sign of a save now
    came = moment(folder)
    process = subprocess.Popen([sys.executable, SCRIPT, folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and not came():
        assert time.monotonic() < deadline, "the moment never came"
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_killed_run_ends_with_the_same_bits(never_killed, tmp_path):
    folder = tmp_path / "member_03"
    torsos = 0
    for name, moment in MOMENTS.items():
        before = epochs_done(folder)
        assert kill_at(folder, moment), name
        assert not (folder / "done.json").exists()
        if "in an epoch" in name or "inside" in name:
            assert epochs_done(folder) == before, f"{name}: the epoch was over"
        torsos += (folder / ".part-last.pt").exists()
        if (folder / "last.pt").exists():
            torch.load(folder / "last.pt", weights_only=True)  # whatever the moment, the name stands for a whole file
    assert torsos, "no kill hit a save; the moments are wrong"
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True, timeout=300)
    assert same_bits(never_killed, folder)


def test_the_reference_learned_and_was_not_restarted(never_killed):
    history = pd.read_csv(never_killed / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


# --- stopped, and a disk that refuses ---


def test_an_interrupt_while_saving_is_heard_as_one_and_the_file_is_whole(tmp_path, small_recipe, cpu):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)    # who runs the tests may have ignored it
    state, path = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=cpu), tmp_path / "last.pt"
    save_state(state, path, cpu)
    start = time.monotonic()
    save_state(state, path, cpu)
    seconds = time.monotonic() - start
    for i in range(40):
        timer = threading.Timer(seconds * i / 40, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            save_state(state, path, cpu)
            time.sleep(10)
    load_state(state, path, cpu)
    signal.signal(signal.SIGINT, before)


def test_stopped_by_the_clock_and_resumed_ends_with_the_same_bits(tmp_path, small_recipe, small_data, cpu):
    whole, parts = tmp_path / "whole" / "member_00", tmp_path / "parts" / "member_00"
    assert train_member(whole, 0, small_recipe, small_data, device=cpu)

    class OneEpoch(Clock):
        # stands in for time: a real limit would stop at an epoch that the machine's load decides
        def __init__(self):
            super().__init__()
            self.asked = 0

        def would_overrun(self, seconds):
            self.asked += 1
            return self.asked > 1

    sessions = 0
    while not train_member(parts, 0, small_recipe, small_data, device=cpu, clock=OneEpoch()):
        sessions += 1
        assert epochs_done(parts) == sessions
    assert sessions == small_recipe.epochs - 1
    assert same_bits(whole, parts)


def test_a_session_that_is_over_starts_no_epoch(tmp_path, small_recipe, small_data, cpu):
    clock = Clock(max_hours=1e-9)
    time.sleep(0.01)
    assert not train_member(tmp_path / "member_00", 0, small_recipe, small_data, device=cpu, clock=clock)
    assert not (tmp_path / "member_00" / "last.pt").exists()


def test_the_slowest_epoch_on_this_device_decides_whether_another_fits(tmp_path, small_recipe, small_data, cpu, capsys):
    # another member of the same folder once took an hour for an epoch
    earlier = tmp_path / "member_01" / "history.csv"
    earlier.parent.mkdir()
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": cpu.title}]).to_csv(earlier)
    assert not train_member(tmp_path / "member_00", 0, small_recipe, small_data, device=cpu, clock=Clock(max_hours=1))
    assert "member_00 stops before epoch 1: an epoch took up to 3600 s, and 3600 s are left" in capsys.readouterr().err
    # but on a slower device than this one
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": "an old laptop"}]).to_csv(earlier)
    assert train_member(tmp_path / "member_00", 0, small_recipe, small_data, device=cpu, clock=Clock(max_hours=1))


def test_no_limit_and_hours_left():
    assert not Clock().would_overrun(1e9) and Clock().hours_left() == 0
    assert Clock(2).hours_left() == pytest.approx(2, abs=1e-3)
    spent = Clock(1e-9)
    time.sleep(0.01)
    assert spent.hours_left() > 0  # or the next stage would take it for "no limit"


@pytest.mark.parametrize("hours", ["two", -1, float("nan")])
def test_hours_that_are_no_number_of_hours_are_a_sentence(hours):
    with pytest.raises(KitError, match="max_hours=.* is not a number of hours. Give 0 or more"):
        Clock(hours)


def test_a_full_disk_loses_nothing_that_was_saved(small_disk, tmp_path, small_recipe, small_data, cpu):
    whole, folder = tmp_path / "member_00", small_disk.folder / "member_00"
    assert train_member(whole, 0, small_recipe, small_data, device=cpu)
    size = (whole / "last.pt").stat().st_size
    small_disk.resize(1.5 * size)
    with pytest.raises(KitError, match="last.pt could not be written: No space left on device.*untouched"):
        train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert epochs_done(folder) == 1
    assert torch.load(folder / "last.pt", weights_only=True)["epoch"] == 1
    assert not (folder / ".part-last.pt").exists()
    small_disk.resize(4 * size)
    assert train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert same_bits(whole, folder)


def test_a_rename_that_fails_loses_nothing_that_was_saved(tmp_path, small_recipe, small_data, cpu, monkeypatch):
    whole, folder = tmp_path / "whole" / "member_00", tmp_path / "parts" / "member_00"
    assert train_member(whole, 0, small_recipe, small_data, device=cpu)
    replace, saves = os.replace, []

    def third_save_fails(source, target):
        if Path(target).name == "last.pt":
            saves.append(target)
            if len(saves) == 3:
                raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", third_save_fails)
    with pytest.raises(KitError, match="No space left"):
        train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert torch.load(folder / "last.pt", weights_only=True)["epoch"] == 2
    monkeypatch.undo()
    assert train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert same_bits(whole, folder)


def test_a_kill_between_state_and_history_loses_no_row(tmp_path, small_recipe, small_data, cpu, monkeypatch):
    whole, folder = tmp_path / "whole" / "member_00", tmp_path / "parts" / "member_00"
    assert train_member(whole, 0, small_recipe, small_data, device=cpu)
    write_history = training._write_history

    def killed_at_the_last_row(state, folder):
        if state.epoch == small_recipe.epochs:
            raise KeyboardInterrupt
        write_history(state, folder)

    monkeypatch.setattr(training, "_write_history", killed_at_the_last_row)
    with pytest.raises(KeyboardInterrupt):
        train_member(folder, 0, small_recipe, small_data, device=cpu)
    monkeypatch.undo()
    assert epochs_done(folder) == small_recipe.epochs - 1
    assert train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert same_bits(whole, folder)


def test_a_member_goes_on_in_another_precision_and_says_so(tmp_path, small_recipe, small_data, capsys):
    class OneEpoch(Clock):
        def would_overrun(self, seconds):
            return epochs_done(folder) == 1

    folder, recipe = tmp_path / "member_00", small_recipe.with_values(precision="auto")
    bf16, fp32 = (Device("cpu", "CPU", precision) for precision in ("bf16", "fp32"))
    assert not train_member(folder, 0, recipe, small_data, device=bf16, clock=OneEpoch())
    assert train_member(folder, 0, recipe, small_data, device=fp32)
    assert "member_00 was started on a CPU in bf16 and continues on CPU in fp32" in capsys.readouterr().err
    assert epochs_done(folder) == 3


def test_an_fp16_state_without_a_scale_is_taken_over(tmp_path, small_recipe, cpu):
    # a member started on a CPU continues on a GPU in fp16: its scaler starts with its initial scale
    state = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=cpu)
    save_state(state, tmp_path / "last.pt", cpu)
    half = Device("cpu", "a GPU", "fp16")
    state = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=half)
    load_state(state, tmp_path / "last.pt", half)
    assert state.scaler.is_enabled() and state.scaler.get_scale() > 1


# --- what a member is ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_data, cpu):
    recipe = Recipe.published().with_values(model="cnn3", epochs=3, batch_size=8, members=2, precision="fp32")
    folder = tmp_path_factory.mktemp("members") / "member_00"
    train_member(folder, 0, recipe, small_data, device=cpu)
    return folder


def test_a_finished_member_leaves_all_its_files(finished, small_data, small_recipe):
    assert {path.name for path in finished.iterdir()} == {
        "recipe.json", "last.pt", "history.csv", "valid_logits.npy", "test_logits.npy", "done.json", ".lock",
    }
    done = json.loads((finished / "done.json").read_text())
    assert done["recipe_hash"] == small_recipe.hash("member")
    assert done["training_data"] == small_data.fingerprint(small_recipe)
    assert done["seconds"] > 0 and torch.__version__.startswith(done["versions"]["torch"])
    assert np.load(finished / "valid_logits.npy").shape == (18, 4)
    assert np.load(finished / "test_logits.npy").shape == (20, 4)
    assert list(pd.read_csv(finished / "history.csv")) == [
        "epoch", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "seconds", "device",
    ]


def test_a_finished_member_is_skipped_at_once(finished, small_recipe, small_data, cpu):
    before = (finished / "last.pt").stat().st_mtime_ns
    start = time.perf_counter()
    assert train_member(finished, 0, small_recipe, small_data, device=cpu)
    assert time.perf_counter() - start < 1
    assert (finished / "last.pt").stat().st_mtime_ns == before


def test_a_member_of_another_recipe_is_refused_with_the_difference(finished, small_recipe, small_data, cpu):
    with pytest.raises(KitError, match="member_00 was created differently \\(epochs: 3, now 5\\)"):
        train_member(finished, 0, small_recipe.with_values(epochs=5), small_data, device=cpu)


def test_a_member_from_other_data_is_refused(finished, small_recipe, cpu):
    with pytest.raises(KitError, match="member_00 was created differently \\(different training data\\)"):
        train_member(finished, 0, small_recipe, make_data(seed=1), device=cpu)


@pytest.mark.parametrize("damage", [
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: b"no checkpoint",
    lambda content: content[:50_000] + bytes(byte ^ 0xFF for byte in content[50_000:50_100]) + content[50_100:],
], ids=["truncated", "empty", "foreign", "flipped bytes"])
def test_a_damaged_checkpoint_is_refused(finished, tmp_path, small_recipe, small_data, cpu, damage):
    folder = tmp_path / "member_00"
    folder.mkdir()
    (folder / "last.pt").write_bytes(damage((finished / "last.pt").read_bytes()))
    with pytest.raises(KitError, match="last.pt is damaged or not a checkpoint"):
        train_member(folder, 0, small_recipe, small_data, device=cpu)


class Payload:
    def __reduce__(self):
        return os.mkdir, (os.environ["PAYLOAD"],)


def test_a_checkpoint_cannot_run_code(tmp_path, small_recipe, small_data, cpu, monkeypatch):
    monkeypatch.setenv("PAYLOAD", str(tmp_path / "owned"))
    folder = tmp_path / "member_00"
    folder.mkdir()
    torch.save({"identity": Payload()}, folder / "last.pt")
    with pytest.raises(KitError, match="last.pt is damaged or not a checkpoint"):
        train_member(folder, 0, small_recipe, small_data, device=cpu)
    assert not (tmp_path / "owned").exists()


def test_members_differ_by_seed_alone(tmp_path, small_recipe, small_data, cpu):
    for name, member in (("a", 0), ("b", 0), ("c", 1)):
        train_member(tmp_path / name, member, small_recipe, small_data, device=cpu)
    weights = [weights_of(tmp_path / name) for name in "abc"]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not all(torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


def test_a_loss_that_is_no_number_is_a_sentence(tmp_path, small_recipe, small_data, cpu):
    row = small_data.train.array[:, 0, 0].copy()
    small_data.train.array[:, 0, 0] = np.inf
    try:
        with pytest.raises(KitError, match="member 00: the loss became NaN or infinite .*lr=0.0003"):
            train_member(tmp_path / "member_00", 0, small_recipe, small_data, device=cpu)
    finally:
        small_data.train.array[:, 0, 0] = row
    assert not (tmp_path / "member_00" / "last.pt").exists()


# --- schedules ---


def learning_rates(recipe, batches, cpu):
    state = new_state({}, recipe, seed=0, batches=batches, classes=4, device=cpu)
    rates = []
    for _ in range(recipe.epochs * batches):
        rates.append(state.optimizer.param_groups[0]["lr"])
        state.optimizer.step()
        state.scheduler.step()
    return np.array(rates)


def test_the_published_schedule_is_two_cosines_stepped_every_batch(small_recipe, cpu):
    rates = learning_rates(small_recipe.with_values(epochs=10), 12, cpu)
    period = 10 * 12 // 2
    expected = 3e-4 * (1 + np.cos(np.pi * (np.arange(120) % period) / period)) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_one_cycle_rises_and_falls_once_over_all_batches(small_recipe, cpu):
    rates = learning_rates(small_recipe.with_values(epochs=10, schedule="one_cycle", lr=1e-3), 12, cpu)
    peak = rates.argmax()
    assert rates[peak] == pytest.approx(1e-3, rel=1e-3) and 0.25 < peak / 120 < 0.35
    assert (np.diff(rates[: peak + 1]) > 0).all() and (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 1e-6


def test_autocast_and_plain_paths_agree_at_first(small_recipe, small_data, tmp_path):
    # the same seed, one epoch: half precision may differ in the third digit, not in what is learned
    losses = []
    for precision in ("fp32", "bf16"):
        folder, recipe = tmp_path / precision, small_recipe.with_values(epochs=1, precision=precision)
        train_member(folder, 0, recipe, small_data, device=Device("cpu", "CPU", precision))
        losses.append(pd.read_csv(folder / "history.csv")["train_loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


def test_the_averaged_weights_are_what_predicts(tmp_path, small_recipe, small_data, cpu):
    folder = tmp_path / "member_00"
    train_member(folder, 0, small_recipe.with_values(ema_decay=0.9), small_data, device=cpu)
    saved = torch.load(folder / "last.pt", weights_only=True)
    del saved["averaged"]["n_averaged"]
    averaged = {name.removeprefix("module."): value for name, value in saved["averaged"].items()}
    assert not all(torch.equal(averaged[name], saved["model"][name]) for name in saved["model"])
    state = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=cpu)
    state.model.load_state_dict(averaged)
    test = SnippetDataset(small_data.test.array)
    np.testing.assert_array_equal(training.predict(state.model, test, cpu), np.load(folder / "test_logits.npy"))
