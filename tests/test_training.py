"""One member: killed, stopped and resumed; refused folders; what it leaves on disk; schedules."""

import io
import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import timeit
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import train_one_member
from conftest import make_data, same_bits, same_state, weights_of
from safetensors.torch import save
from torch.nn.modules.module import register_module_forward_pre_hook

import snippetkit
from snippetkit import models
from snippetkit.dataset import SnippetDataset
from snippetkit.recipe import Recipe
from snippetkit.training.checkpoint import load_state, new_state, save_state
from snippetkit.training.epoch import predict
from snippetkit.training.member import train_member
from snippetkit.training.members import identity
from snippetkit.training.weights import load_network, save_weights
from snippetkit.utils.artifacts import FORMAT
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.utils.storage import read_json

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
    ("weights.safetensors", 1, 4),
    ("valid_logits.npy", 1, 4),
    ("done.json", 1, 4),
    ("remove last.pt", 1, 4),
]


def run(folder, data, model, *moment):
    process = PROCESSES.Process(target=train_one_member.train, args=(folder, data, model, *moment))
    process.start()
    process.join(300)
    return process.exitcode


@pytest.mark.parametrize("model", ["cnn3", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_killed_run_ends_with_the_same_bits(model, small_data, tmp_path):
    whole, half, folder = (tmp_path / name / "member_03" for name in ("whole", "half", "killed"))
    assert run(whole, small_data, model) == 0
    assert run(half, small_data, model, "history.csv", 2) == -signal.SIGKILL   # two epochs without an interruption
    history = pd.read_csv(whole / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    for moment, count, epochs in MOMENTS:
        assert run(folder, small_data, model, moment, count) == -signal.SIGKILL, moment
        assert epochs_saved(folder) == epochs, moment
        assert (folder / "done.json").exists() == (moment == "remove last.pt"), moment
        assert epochs != 2 or same_state(half, folder)
        assert (folder / ".part-last.pt").exists() == (moment in ("checkpoint", "last.pt")), moment
    assert run(folder, small_data, model) == 0
    assert same_bits(whole, folder)


def test_finished_member_of_an_earlier_version_keeps_its_figures_and_only_its_weights(small_data, tmp_path):
    folder, kept = tmp_path / "member_03", ("done.json", "valid_logits.npy", "test_logits.npy")
    assert run(folder, small_data, "cnn3", "remove last.pt") == -signal.SIGKILL
    (folder / "weights.safetensors").unlink()
    state, before = torch.load(folder / "last.pt", weights_only=True), [(folder / name).read_bytes() for name in kept]
    assert run(folder, small_data, "cnn3") == 0
    assert not (folder / "last.pt").exists() and [(folder / name).read_bytes() for name in kept] == before
    averages = {name: state["averaged"][f"module.{name}"] for name in state["model"]}
    weights = {name: value for name, value in weights_of(folder).items() if name in averages}   # without statistics
    torch.testing.assert_close(weights, averages, rtol=0, atol=0)   # of a recipe with averaged weights
    assert any(not torch.equal(averages[name], value) for name, value in state["model"].items())


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
        assert epochs_saved(tmp_path / "member_00") == epochs % 3   # a finished member has no training state
    assert same_bits(finished, tmp_path / "member_00")


@pytest.mark.filterwarnings("error")
def test_slowest_epoch_on_this_device_decides_whether_another_fits(train, tmp_path, cpu, capsys):
    # an epoch of another member in the same folder took an hour
    other = tmp_path / "member_01" / "history.csv"
    other.parent.mkdir()
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": cpu.title}]).to_csv(other)
    assert not train(clock=Clock(max_hours=1)) and not epochs_saved(tmp_path / "member_00")
    message = r"member_00 stops before epoch 1: an epoch took up to 3600 s, and 3[56]\d\d s are left"
    assert re.search(message, capsys.readouterr().err)
    # it does not count if the device was another one, or a member has no epoch yet
    (tmp_path / "member_02").mkdir()
    (tmp_path / "member_02" / "history.csv").write_text("epoch,seconds,device\n")
    pd.DataFrame([{"epoch": 1, "seconds": 3600.0, "device": "an old laptop"}]).to_csv(other)
    assert train(clock=Clock(max_hours=1))


@pytest.mark.parametrize("error", [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15 GiB"),
    torch.cuda.OutOfMemoryError(),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other call"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError("Unable to allocate 2.00 GiB for an array"),
], ids=lambda error: str(error)[:24])
def test_memory_that_runs_out_is_one_sentence_and_nothing_is_lost(train, finished, tmp_path, error):
    calls = itertools.count()

    def run_out():
        if next(calls) == 11:   # in the second epoch: training and validation take seven batches
            raise error

    hook = register_module_forward_pre_hook(
        lambda module, _: run_out() if isinstance(module, torch.nn.Dropout) else None
    )
    with pytest.raises(KitError, match="^member_00: CPU ran out of .* run again to continue, .*batch_size") as raised:
        train()
    hook.remove()
    assert raised.value.__context__ is None     # its frames would keep the memory
    assert epochs_saved(tmp_path / "member_00") == 1
    assert train() and same_bits(finished, tmp_path / "member_00")


def test_prediction_takes_smaller_batches_where_memory_is_short(small_data, cpu):
    network, clips = models.build("cnn3", classes=4, dropout=0.0).eval(), SnippetDataset(small_data.train.array)
    expected, sizes = predict(network, clips, cpu), []

    def run_out(_, inputs):
        sizes.append(len(inputs[0]))
        if sizes[-1] > 40:
            raise torch.cuda.OutOfMemoryError

    network.register_forward_pre_hook(run_out)
    np.testing.assert_allclose(predict(network, clips, cpu), expected, atol=1e-5)
    assert sizes == [60, 60, 60, 32, 28]    # batches of 256, 128, 64 and 32


def test_other_errors_of_torch_are_not_called_a_lack_of_memory(train, small_data):
    too_narrow = replace(small_data.train, array=small_data.train.array[:, :2, :2])
    with pytest.raises(RuntimeError, match="size"):
        train(data=replace(small_data, train=too_narrow))


@pytest.mark.parametrize("hours", ["two", -1, float("nan")])
def test_invalid_hours_are_refused(hours):
    with pytest.raises(KitError, match="max_hours=.* is not a number"):
        Clock(hours)


def test_full_disk_loses_nothing_that_was_saved(train, finished, small_disk):
    folder, size = small_disk.folder / "member_00", 3 * (finished / "weights.safetensors").stat().st_size
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
    assert len(pd.read_csv(tmp_path / "member_00" / "history.csv")) == 3


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
        "recipe.json", "history.csv", "weights.safetensors", "valid_logits.npy", "test_logits.npy", "done.json",
        ".lock",
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
    before, start = (finished / "done.json").stat().st_mtime_ns, time.perf_counter()
    assert train(finished)
    assert time.perf_counter() - start < 1
    assert (finished / "done.json").stat().st_mtime_ns == before


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


def flipped(content):
    return content[:50_000] + bytes(byte ^ 0xFF for byte in content[50_000:50_100]) + content[50_100:]


@pytest.mark.parametrize("damage", [
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: b"no checkpoint",
    flipped,
    lambda content: archive_of([1, 2]),
    lambda content: archive_of({"epoch": 1}),
    lambda content: archive_of({"identity": Payload()}),
], ids=["truncated", "empty", "foreign", "flipped bytes", "a list", "without a state", "with code"])
def test_damaged_checkpoint_is_refused_and_runs_no_code(train, tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "member_00" / "last.pt"
    train(clock=one_epoch())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(KitError, match="last.pt is damaged or not a checkpoint"):
        train()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("damage, message", [
    (lambda content: content[: len(content) // 2], "is damaged or of another network .*Delete it. Run the training"),
    (lambda content: b"", "is damaged"),
    (lambda content: archive_of({"identity": Payload()}), "is damaged"),
    (flipped, "does not match its checksum"),
    (lambda content: save({"weight": torch.zeros(3)}), "does not match its checksum"),
    (None, "cannot be read: No such file or directory. Run the training again, which makes it from last.pt"),
], ids=["truncated", "empty", "with code", "flipped bytes", "without a checksum", "missing"])
def test_damaged_weights_are_refused(finished, tmp_path, small_recipe, cpu, damage, message):
    path = tmp_path / "weights.safetensors"
    if damage:
        path.write_bytes(damage((finished / path.name).read_bytes()))
    with pytest.raises(KitError, match=f"weights.safetensors .*{message}"):
        load_network(tmp_path, small_recipe, classes=4, device=cpu)


def test_weights_of_another_network_are_refused_and_shared_ones_are_kept(finished, tmp_path, small_recipe, cpu):
    for other in (small_recipe.with_values(model="resnet18"), small_recipe.with_values(second_n_fft=2048)):
        with pytest.raises(KitError, match="weights.safetensors is damaged or of another network"):
            load_network(finished, other, classes=4, device=cpu)
    network = torch.nn.ModuleList([torch.nn.Linear(2, 2)] * 2).to(torch.float64)
    save_weights(network, tmp_path)
    assert list(weights_of(tmp_path)) == ["0.bias", "0.weight", "1.bias", "1.weight"]


def test_member_that_was_finished_elsewhere_gets_its_weights_from_the_state_that_is_here(train, finished, tmp_path):
    train(clock=one_epoch())
    for name in ("history.csv", "valid_logits.npy", "test_logits.npy", "done.json"):
        shutil.copy(finished / name, tmp_path / "member_00")
    train()
    assert same_bits(finished, tmp_path / "member_00")


def test_damaged_logits_are_made_again_from_the_weights(train, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "member_00")
    (folder / "test_logits.npy").write_bytes(b"damaged")
    (folder / "done.json").unlink()     # as the message advises
    train()
    assert same_bits(finished, folder)


def test_checkpoint_of_another_member_is_refused(train, tmp_path):
    (tmp_path / "member_01").mkdir()
    train(clock=one_epoch())
    shutil.copy(tmp_path / "member_00" / "last.pt", tmp_path / "member_01")
    with pytest.raises(KitError, match="last.pt belongs to another member, recipe or data. Delete it"):
        train(tmp_path / "member_01", member=1)


TRAIN = """
import conftest, importlib.metadata, sys
from snippetkit.recipe import Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.hardware import Device
assert not list(importlib.metadata.distributions(name="snippetkit")), "the kit is installed"
recipe = Recipe.published().with_values(model="cnn3", epochs=1, batch_size=32, precision="fp32")
train_member("member_00", 0, recipe, conftest.make_data(seed=0), device=Device("cpu", "CPU", "fp32"))
"""


@pytest.mark.slow
def test_member_of_a_checkout_that_is_not_installed_is_finished(tmp_path):
    site, checkout, tests = (tmp_path / name for name in ("site", "checkout", "tests"))
    for folder, target in ((checkout / "snippetkit", Path(snippetkit.__file__).parent), (tests, Path(__file__).parent)):
        folder.parent.mkdir(exist_ok=True)
        folder.symlink_to(target)
    site.mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "snippetkit" not in package.name:
            (site / package.name).symlink_to(package)
    places = os.pathsep.join(map(str, (checkout, site, tests)))
    environment = {**os.environ, "PYTHONPATH": places}
    subprocess.run([sys.executable, "-S", "-c", TRAIN], cwd=tmp_path, env=environment, check=True)
    assert read_json(tmp_path / "member_00" / "done.json")["versions"]["snippetkit"] == snippetkit.__version__


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
