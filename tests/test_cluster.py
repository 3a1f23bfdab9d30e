"""A real Dask cluster on loopback, one of whose workers is killed at work, and a real Ray cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import joblib
import pandas as pd
import pytest
import torch
from conftest import same_bits

from snippetkit.features.extraction import extract
from snippetkit.recipe import Recipe
from snippetkit.training import ensemble
from snippetkit.training.members import read_histories
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.utils.lock import exclusive_task
from snippetkit.utils.parallel import use_cluster
from snippetkit.vocals.separation import separate


@contextmanager
def cluster_of(folder, workers):
    """A scheduler and workers with these options; gives address and processes."""
    pytest.importorskip("distributed", reason="a Dask cluster takes its package: pip install distributed")
    note = folder / "scheduler.json"
    shared = ["--scheduler-file", str(note), "--no-dashboard"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = []

    def start(program, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *options, *shared]
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, cwd=folder))

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0")
        deadline = time.monotonic() + 60
        while not note.exists():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.1)
        for options in workers:
            start("worker", "--no-nanny", *options)
        address = json.loads(note.read_text())["address"].replace("tcp://", "dask://")
        wait_for_workers(address, len(workers))
        yield SimpleNamespace(address=address, scheduler=processes[0], workers=processes[1:])
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("dask"), 2 * [["--nthreads", "1"]]) as found:
        yield found


def wait_for_workers(address, count):
    from distributed import Client

    with Client(address.replace("dask://", "tcp://")) as client:
        client.wait_for_workers(count, timeout=60)


@contextmanager
def single_threaded():
    """As the workers here: sums in another order have other last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_killed_workers_member_is_gone_on_with_elsewhere(dask, tmp_path, small_recipe, small_data, cpu):
    address, workers = dask.address, dask.workers
    recipe = small_recipe.with_values(epochs=150)
    with single_threaded():
        assert ensemble.train_ensemble(tmp_path / "here", recipe, small_data, devices=[cpu]) == [0, 1]
    killer = subprocess.Popen([sys.executable, "-c", KILL, tmp_path / "there", str(workers[0].pid)])
    assert ensemble.train_ensemble(tmp_path / "there", recipe, small_data, devices=[cpu], cluster=address) == [0, 1]
    assert killer.wait() == 0 and workers[0].wait() == -signal.SIGKILL
    for member in ("member_00", "member_01"):
        assert same_bits(tmp_path / "here" / member, tmp_path / "there" / member)
        history = read_histories(tmp_path / "there")[int(member[-2:])]
        assert history["epoch"].tolist() == list(range(1, 151))
        # none of the epochs that were saved by then was trained again: they took as long to the microsecond
        before = pd.read_csv(tmp_path / "there" / member / "when_killed.csv")
        assert len(before) and before["seconds"].tolist() == history["seconds"].tolist()[: len(before)]


KILL = """
import os, signal, sys, time
from pathlib import Path
folder, worker = Path(sys.argv[1]), int(sys.argv[2])
end = time.monotonic() + 120
while len(list(folder.glob("member_*/history.csv"))) < 2:
    assert time.monotonic() < end, "no two members were begun"
    time.sleep(0.01)
assert not list(folder.glob("member_*/done.json")), "too late"
os.kill(worker, signal.SIGKILL)
for history in folder.glob("member_*/history.csv"):
    history.with_name("when_killed.csv").write_bytes(history.read_bytes())
"""


def test_features_come_from_a_cluster_as_from_here(dask, small_competition, tmp_path):
    address = dask.address
    recipe = Recipe.published().with_values(separator="none")
    train, _ = separate(small_competition, tmp_path / "vocals", recipe)
    here = extract(train, tmp_path / "here.npy", recipe)
    there = extract(train, tmp_path / "there.npy", recipe, cluster=address)
    assert (here.array == there.array).all() and here.fingerprint == there.fingerprint


def test_complete_features_ask_no_cluster(small_competition, tmp_path):
    recipe = Recipe.published().with_values(separator="none")
    train, _ = separate(small_competition, tmp_path / "vocals", recipe)
    extract(train, tmp_path / "train.npy", recipe)
    extract(train, tmp_path / "train.npy", recipe, cluster="dask://127.0.0.1:9")


@pytest.mark.slow
def test_a_members_fault_is_its_sentence_and_the_others_go_on(dask, tmp_path, small_recipe, small_data, cpu, capsys):
    address = dask.address
    (tmp_path / "member_01").mkdir()
    (tmp_path / "member_01" / "last.pt").write_bytes(b"no checkpoint")
    recipe = small_recipe.with_values(members=3)
    assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu], cluster=address) == [0, 2]
    said = capsys.readouterr().err
    assert "member_01: " in said and "last.pt is damaged" in said


@pytest.mark.slow
def test_a_member_that_another_cluster_trains_is_left_to_it(dask, tmp_path, small_recipe, small_data, cpu, capsys):
    address = dask.address
    with exclusive_task(tmp_path / "member_00", "training"):
        found = ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu], cluster=address)
        said = capsys.readouterr().err
        assert found == [1] and "member_00 is in use by process" in said
        assert f"member_01 was trained on {socket.gethostname()} (CPU, fp32)" in said
        with pytest.raises(KitError, match="member_00 is in use by process"):   # nor is it touched without a cluster
            ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu])


@pytest.mark.slow
def test_whatever_befalls_a_member_is_its_own(dask, tmp_path, small_recipe, small_data, capsys):
    nowhere = Device("cuda:7", "no such device", "fp32")
    with pytest.raises(KitError, match="no member could be trained, see above"):
        ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[nowhere], cluster=dask.address)
    assert f"Error on {socket.gethostname()}: " in capsys.readouterr().err


@pytest.mark.slow
def test_when_the_time_is_up_members_stop_there_as_here(dask, tmp_path, small_recipe, small_data, cpu, capsys):
    address = dask.address
    clock = Clock(1e-6)
    found = ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu], clock=clock, cluster=address)
    assert found == [] and not list(tmp_path.glob("member_*/last.pt"))
    assert "member_01 stopped, as the time is up; run again to go on, on " in capsys.readouterr().err


@pytest.mark.slow
def test_a_cluster_that_dies_is_a_sentence(dask, tmp_path, small_recipe, small_data, cpu):
    address = dask.address
    recipe = small_recipe.with_values(epochs=5000)
    killer = subprocess.Popen([sys.executable, "-c", KILL, tmp_path, str(dask.scheduler.pid)])
    with pytest.raises(KitError, match="the cluster at .* failed: .* run again to continue"):
        ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu], cluster=address)
    killer.wait()


@pytest.fixture
def ray_address(tmp_path):
    """The head of a real Ray cluster, with two processors."""
    pytest.importorskip("ray", reason="a Ray cluster takes its package: pip install 'ray[client]'")
    with socket.socket() as gcs, socket.socket() as client:
        gcs.bind(("127.0.0.1", 0))
        client.bind(("127.0.0.1", 0))
        ports = gcs.getsockname()[1], client.getsockname()[1]
    command = [
        Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=2",
        "--include-dashboard=false", "--disable-usage-stats",
        f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}",
        "--min-worker-port=0", "--max-worker-port=0",   # any that are free
    ]
    # its workers import what the tests' data are made of
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1",
        "GRPC_ENABLE_FORK_SUPPORT": "0",    # without, one connection in fifteen fails or hangs: ray-project/ray#63202
    }
    with open(tmp_path / "ray.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    deadline = time.monotonic() + 90
    try:
        while "Ray runtime started" not in (tmp_path / "ray.log").read_text():
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "ray.log").read_text()
            time.sleep(0.2)
        yield f"ray://127.0.0.1:{ports[1]}"
    finally:
        process.terminate()     # it takes its own processes along
        process.wait(60)
        logs = Path(tempfile.gettempdir(), "ray", "session_latest", "logs")
        for log in logs.glob("ray_client_server*.err"):     # seen if the test fails
            print(log.read_text())


@pytest.mark.slow
def test_ray_does_both(ray_address, small_competition, tmp_path, small_recipe, small_data, cpu):
    recipe = Recipe.published().with_values(separator="none")
    train, _ = separate(small_competition, tmp_path / "vocals", recipe)
    here = extract(train, tmp_path / "here.npy", recipe)
    there = extract(train, tmp_path / "there.npy", recipe, cluster=ray_address)
    assert (here.array == there.array).all()
    folder = tmp_path / "members"
    assert ensemble.train_ensemble(folder, small_recipe, small_data, devices=[cpu], cluster=ray_address) == [0, 1]
    with single_threaded():
        ensemble.train_ensemble(tmp_path / "here", small_recipe, small_data, devices=[cpu])
    for member in ("member_00", "member_01"):
        assert same_bits(tmp_path / "here" / member, folder / member)


@pytest.mark.slow
def test_a_ray_head_that_could_not_start_a_process_for_us_is_asked_again(ray_address, capsys):
    killer = subprocess.Popen([sys.executable, "-c", SIGNAL_WHAT_STARTS_FOR_US, "SIGKILL", "it"])
    with use_cluster(ray_address):
        assert joblib.Parallel()(joblib.delayed(abs)(number) for number in (-1, -2)) == [1, 2]
    assert killer.wait() == 0 and "cluster: 2 workers" in capsys.readouterr().err


@pytest.mark.slow
def test_a_ray_head_that_hangs_is_a_sentence(ray_address):
    stopper = subprocess.Popen(
        [sys.executable, "-c", SIGNAL_WHAT_STARTS_FOR_US, "SIGSTOP", "its parent"], stdout=subprocess.PIPE, text=True
    )
    try:    # in a process of its own: Ray's client is of no more use in this one after that
        command = [sys.executable, "-c", CONNECT, ray_address]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        os.kill(int(stopper.communicate(timeout=120)[0]), signal.SIGCONT)
    assert found.returncode == 1 and "answers but did not accept the connection within 20 s. Restart" in found.stderr


CONNECT = """
import sys
from snippetkit.utils import parallel as cluster
cluster._RAY_TIMEOUT = 20
try:
    with cluster.use_cluster(sys.argv[1]):
        pass
except cluster.KitError as error:
    sys.exit(str(error))
"""

SIGNAL_WHAT_STARTS_FOR_US = """
import os, re, signal, sys, time
from pathlib import Path
what, whom = sys.argv[1:]
end = time.monotonic() + 120
while time.monotonic() < end:
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"specific-" + b"server" in line.read_bytes():     # not this process, whose code it is in
                process = int(line.parent.name)
                if whom == "its parent":
                    process = int(re.search(r"PPid:\\s+(\\d+)", line.with_name("status").read_text())[1])
                os.kill(process, getattr(signal, what))
                print(process)
                raise SystemExit
        except OSError:     # it has ended meanwhile
            pass
    time.sleep(0.01)
raise SystemExit("the head started no process for a client")
"""


@pytest.mark.parametrize("options, sentence", [
    (["--nthreads", "1"], "has 1 workers, and at least two are needed. Start more, or leave --cluster out"),
    (["--nthreads", "2"], "has 2 threads. Start it with --nthreads 1"),
])
def test_a_cluster_that_would_mix_or_do_nothing_is_refused(tmp_path, options, sentence):
    with cluster_of(tmp_path, [options]) as found:
        with pytest.raises(KitError, match=sentence):
            with use_cluster(found.address):
                pass


@pytest.mark.parametrize("address, sentence", [
    ("dask", "'dask' is invalid. Write dask://host:port or ray://host:port"),
    ("spark://host:7077", "'spark://host:7077' is invalid"),
    ("dask://127.0.0.1:9", "no Dask scheduler answers at 127.0.0.1:9"),
])
def test_no_such_cluster_is_a_sentence(address, sentence, monkeypatch):
    if address.startswith("dask://"):
        pytest.importorskip("distributed", reason="a Dask cluster takes its package: pip install distributed")
    monkeypatch.setattr("snippetkit.utils.parallel._DASK_TIMEOUT", 1)
    with pytest.raises(KitError, match=sentence):
        with use_cluster(address):
            pass


def test_without_an_address_it_is_this_machine():
    with use_cluster(""):
        backend, _ = joblib.parallel.get_active_backend()
        assert type(backend).__name__ == "LokyBackend"
