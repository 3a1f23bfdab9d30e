"""One member: killed, stopped and resumed; refused folders; what it leaves on disk; schedules."""

import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import threading
import time
import timeit

import numpy as np
import pandas as pd
import pytest
import torch
import train_one_member
from conftest import make_data, same_bits, weights_of

from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import load_network, load_state, new_state, save_state
from snippetkit.training.epoch import predict
from snippetkit.training.member import train_member
from snippetkit.training.members import identity
from snippetkit.utils.artifacts import FORMAT
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device

PROCESSES = multiprocessing.get_context("forkserver")   # imports torch once for all processes
PROCESSES.set_forkserver_preload(["train_one_member", "torchvision", "torch._dynamo"])


def one_epoch():
    """A clock that ends the session after an epoch, whatever the load of the machine."""
    clock, answers = Clock(), iter([False, True])
    clock.would_overrun = lambda seconds: next(answers)
    return clock


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_data, cpu):
    """Member 0 of `small_recipe`, never interrupted; read-only."""
    recipe = Recipe.published().with_values(model="cnn3", epochs=3, batch_size=8, members=2, precision="fp32")
    folder = tmp_path_factory.mktemp("members") / "member_00"
    train_member(folder, 0, recipe, small_data, device=cpu)
    return folder


@pytest.fixture
def train(tmp_path, small_recipe, small_data, cpu):
    """A function that trains member 0 of `small_recipe`, or goes on with it; options replace its arguments."""
    def train(folder=tmp_path / "member_00", *, member=0, recipe=small_recipe, data=small_data, device=cpu, clock=None):
        return train_member(folder, member, recipe, data, device=device, clock=clock)

    return train


def epochs_saved(folder):
    path = folder / "last.pt"
    return torch.load(path, weights_only=True)["epoch"] if path.exists() else 0


# --- killed ---

# What the process is doing when it is killed, and how many epochs are saved then.
MOMENTS = [
    ("recipe.json", 1, 0),
    ("batch", 2, 0),            # in the first epoch, which has three batches
    ("checkpoint", 1, 0),
    ("last.pt", 1, 0),          # the first checkpoint is complete, but does not have its name
    ("batch", 5, 1),            # in the second epoch
    ("history.csv", 2, 2),      # after the second checkpoint; the history of the first is written again at the start
    ("checkpoint", 1, 2),
    ("valid_logits.npy", 1, 4),
    ("done.json", 1, 4),
]


@pytest.mark.parametrize("model", ["cnn3", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_killed_run_ends_with_the_same_bits(model, small_data, tmp_path):
    def run(folder, *moment):
        process = PROCESSES.Process(target=train_one_member.train, args=(folder, small_data, model, *moment))
        process.start()
        process.join(300)
        return process.exitcode

    whole, folder = tmp_path / "whole" / "member_03", tmp_path / "killed" / "member_03"
    assert run(whole) == 0
    history = pd.read_csv(whole / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    for moment, count, epochs in MOMENTS:
        assert run(folder, moment, count) == -signal.SIGKILL, moment
        assert epochs_saved(folder) == epochs and not (folder / "done.json").exists(), moment
        assert (folder / ".part-last.pt").exists() == (moment in ("checkpoint", "last.pt")), moment
    assert run(folder) == 0
    assert same_bits(whole, folder)


# --- stopped, and a disk that refuses ---


def test_interrupt_while_saving_is_raised_afterwards_and_the_file_is_whole(tmp_path, small_recipe, cpu):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)    # whoever runs the tests may ignore it
    state, path = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=cpu), tmp_path / "last.pt"
    seconds = min(timeit.repeat(lambda: save_state(state, path, cpu), number=1, repeat=2))
    for i in range(20):
        timer = threading.Timer(seconds * i / 20, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            save_state(state, path, cpu)
            time.sleep(10)
    load_state(state, path, cpu)
    signal.signal(signal.SIGINT, before)


def test_member_stopped_by_the_clock_and_resumed_ends_with_the_same_bits(train, finished, tmp_path):
    for epochs in (1, 2, 3):
        assert train(clock=one_epoch()) == (epochs == 3)
        assert epochs_saved(tmp_path / "member_00") == epochs
    assert same_bits(finished, tmp_path / "member_00")


def test_slowest_epoch_on_this_device_decides_whether_another_fits(train, tmp_path, cpu, capsys):
    # an epoch of another member in the same folder took an hour
    other = tmp_path / "member_01" / "history.csv"
    other.parent.mkdir()
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": cpu.title}]).to_csv(other)
    assert not train(clock=Clock(max_hours=1)) and not epochs_saved(tmp_path / "member_00")
    message = r"member_00 stops before epoch 1: an epoch took up to 3600 s, and 3[56]\d\d s are left"
    assert re.search(message, capsys.readouterr().err)
    # it does not count if the device was another one
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": "an old laptop"}]).to_csv(other)
    assert train(clock=Clock(max_hours=1))


@pytest.mark.parametrize("hours", ["two", -1, float("nan")])
def test_invalid_hours_are_refused(hours):
    with pytest.raises(KitError, match="max_hours=.* is not a number"):
        Clock(hours)


def test_full_disk_loses_nothing_that_was_saved(train, finished, small_disk):
    folder, size = small_disk.folder / "member_00", (finished / "last.pt").stat().st_size
    small_disk.resize(1.5 * size)
    with pytest.raises(KitError, match="last.pt could not be written: No space left on device.*untouched"):
        train(folder)
    assert epochs_saved(folder) == len(pd.read_csv(folder / "history.csv")) == 1
    assert not (folder / ".part-last.pt").exists()
    small_disk.resize(4 * size)
    assert train(folder)
    assert same_bits(finished, folder)


def test_member_continues_in_another_precision_and_says_so(train, small_recipe, tmp_path, capsys):
    recipe = small_recipe.with_values(precision="auto")
    assert not train(recipe=recipe, device=Device("cpu", "CPU", "bf16"), clock=one_epoch())
    assert train(recipe=recipe, device=Device("cpu", "CPU", "fp32"))
    assert "member_00 was started on a CPU in bf16 and continues on CPU in fp32" in capsys.readouterr().err
    assert epochs_saved(tmp_path / "member_00") == 3


def test_checkpoint_without_a_gradient_scale_is_loaded_for_fp16(tmp_path, small_recipe, cpu):
    # a member started on a CPU continues on a GPU in fp16: its scaler starts with its initial scale
    save_state(new_state({}, small_recipe, seed=0, batches=1, classes=4, device=cpu), tmp_path / "last.pt", cpu)
    half = Device("cpu", "a GPU", "fp16")
    state = new_state({}, small_recipe, seed=0, batches=1, classes=4, device=half)
    load_state(state, tmp_path / "last.pt", half)
    assert state.scaler.is_enabled() and state.scaler.get_scale() > 1


# --- the folder of a member ---


def test_finished_member_leaves_all_its_files(finished, small_data, small_recipe):
    assert {path.name for path in finished.iterdir()} == {
        "recipe.json", "last.pt", "history.csv", "valid_logits.npy", "test_logits.npy", "done.json", ".lock",
    }
    record, done = (json.loads((finished / name).read_text()) for name in ("recipe.json", "done.json"))
    assert record == {"format": FORMAT, "made_by": identity(0, small_recipe, small_data)}
    assert done["recipe_hash"] == small_recipe.hash("member")
    assert done["training_data"] == record["made_by"]["training_data"]
    assert done["seconds"] > 0 and torch.__version__.startswith(done["versions"]["torch"])
    assert np.load(finished / "valid_logits.npy").shape == (18, 4)
    assert np.load(finished / "test_logits.npy").shape == (20, 4)
    assert list(pd.read_csv(finished / "history.csv")) == [
        "epoch", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "seconds", "device",
    ]


def test_finished_member_is_skipped_at_once(train, finished):
    before, start = (finished / "last.pt").stat().st_mtime_ns, time.perf_counter()
    assert train(finished)
    assert time.perf_counter() - start < 1
    assert (finished / "last.pt").stat().st_mtime_ns == before


def test_member_of_other_data_is_refused(train, finished):
    with pytest.raises(KitError, match=r"member_00 was created differently \(different training data\)"):
        train(finished, data=make_data(seed=1))


class Payload:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


def archive_of(content):
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize("damage", [
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: b"no checkpoint",
    lambda content: content[:50_000] + bytes(byte ^ 0xFF for byte in content[50_000:50_100]) + content[50_100:],
    lambda content: archive_of([1, 2]),
    lambda content: archive_of({"epoch": 1}),
    lambda content: archive_of({"identity": Payload()}),
], ids=["truncated", "empty", "foreign", "flipped bytes", "a list", "without a state", "with code"])
def test_damaged_checkpoint_is_refused_and_runs_no_code(
    train, finished, tmp_path, monkeypatch, small_recipe, cpu, damage
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "member_00" / "last.pt"
    path.parent.mkdir()
    path.write_bytes(damage((finished / "last.pt").read_bytes()))
    for load in (train, lambda: load_network(path, small_recipe, classes=4, device=cpu)):
        with pytest.raises(KitError, match="last.pt is damaged or not a checkpoint"):
            load()
    assert not (tmp_path / "owned").exists()


def test_checkpoint_of_another_member_is_refused(train, finished, tmp_path):
    (tmp_path / "member_01").mkdir()
    shutil.copy(finished / "last.pt", tmp_path / "member_01")
    with pytest.raises(KitError, match="last.pt belongs to another member, recipe or data. Delete it"):
        train(tmp_path / "member_01", member=1)


# --- what a member learns ---


def test_members_differ_by_their_seed(train, finished, tmp_path):
    train(tmp_path / "member_01", member=1)
    one, other = weights_of(finished), weights_of(tmp_path / "member_01")
    assert not any(torch.equal(one[name], other[name]) for name in one if name.endswith("weight"))


def test_infinite_loss_is_an_error_and_nothing_is_saved(train, tmp_path):
    data = make_data(seed=0)
    data.train.array[:, 0, 0] = np.inf
    with pytest.raises(KitError, match="member 00: the loss became NaN or infinite .*lr=0.0003"):
        train(data=data)
    assert not (tmp_path / "member_00" / "last.pt").exists()


def test_averaged_weights_are_what_predicts(train, tmp_path, small_recipe, small_data, cpu):
    folder, recipe = tmp_path / "member_00", small_recipe.with_values(ema_decay=0.9)
    train(recipe=recipe)
    saved = torch.load(folder / "last.pt", weights_only=True)
    assert any(not torch.equal(saved["averaged"][f"module.{name}"], value) for name, value in saved["model"].items())
    network = load_network(folder / "last.pt", recipe, classes=4, device=cpu)
    logits = predict(network, SnippetDataset(small_data.test.array), cpu)
    np.testing.assert_array_equal(logits, np.load(folder / "test_logits.npy"))


def test_half_precision_learns_the_same_at_first(train, tmp_path, small_recipe):
    losses = []
    for precision in ("fp32", "bf16"):
        recipe = small_recipe.with_values(epochs=1, precision=precision)
        train(tmp_path / precision, recipe=recipe, device=Device("cpu", "CPU", precision))
        losses.append(pd.read_csv(tmp_path / precision / "history.csv")["train_loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=0.03)


# --- schedules ---


def learning_rates(recipe, batches, cpu):
    state = new_state({}, recipe, seed=0, batches=batches, classes=4, device=cpu)
    rates = []
    for _ in range(recipe.epochs * batches):
        rates.append(state.optimizer.param_groups[0]["lr"])
        state.optimizer.step()
        state.scheduler.step()
    return np.array(rates)


def test_published_schedule_is_two_cosines_stepped_every_batch(small_recipe, cpu):
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
