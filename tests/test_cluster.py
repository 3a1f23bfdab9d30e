"""Features and members on real Dask and Ray clusters of this machine, with killed workers and unreachable heads."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import joblib
import pandas as pd
import psutil
import pytest
import torch
from conftest import same_bits, wait_for

from snippetkit.features.extraction import extract
from snippetkit.recipe import Recipe
from snippetkit.training import ensemble
from snippetkit.training.members import read_histories
from snippetkit.utils import parallel
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.utils.lock import exclusive_task
from snippetkit.utils.parallel import use_cluster
from snippetkit.vocals.separation import separate


@contextmanager
def dask_cluster(folder, workers=2, threads=1):
    """Start a scheduler and workers; yield the address and the processes."""
    distributed = pytest.importorskip("distributed", reason="a Dask cluster needs its package: pip install distributed")
    note, processes = folder / "scheduler.json", []

    def start(program, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, cwd=folder))

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", note)
        wait_for(note.exists)
        for _ in range(workers):
            start("worker", "--no-nanny", "--nthreads", str(threads), "--scheduler-file", note)
        with distributed.Client(scheduler_file=str(note)) as client:
            client.wait_for_workers(workers, timeout=60)
        address = json.loads(note.read_text())["address"].replace("tcp://", "dask://")
        yield SimpleNamespace(address=address, scheduler=processes[0], workers=processes[1:])
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """The address of a Dask cluster that no test kills."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster.address


@pytest.fixture
def single_threaded():
    """Compute like the workers: the last bits of a sum depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def require_same_features(clips, tmp_path, address):
    recipe = Recipe.published().with_values(separator="none")
    train, _ = separate(clips, tmp_path / "vocals", recipe)
    local = extract(train, tmp_path / "local.npy", recipe)
    remote = extract(train, tmp_path / "remote.npy", recipe, cluster=address)
    assert (local.array == remote.array).all() and local.fingerprint == remote.fingerprint
    # complete features need no cluster
    assert (extract(train, tmp_path / "local.npy", recipe, cluster="dask://127.0.0.1:9").array == local.array).all()


def require_same_members(folder, recipe, data, device, address):
    for name, cluster in (("local", ""), ("remote", address)):
        assert ensemble.train_ensemble(folder / name, recipe, data, devices=[device], cluster=cluster) == [0, 1]
    for member in ("member_00", "member_01"):
        assert same_bits(folder / "local" / member, folder / "remote" / member)


def test_features_of_a_dask_cluster_have_the_same_bits(dask, small_competition, tmp_path):
    require_same_features(small_competition, tmp_path, dask)


@contextmanager
def killed_during_training(process, folder):
    """Kill a process when two members have completed an epoch, and keep their histories."""
    def kill():
        wait_for(lambda: len(list(folder.glob("member_*/history.csv"))) == 2, seconds=600)
        process.kill()
        for history in folder.glob("member_*/history.csv"):
            shutil.copy(history, history.with_name("when_killed.csv"))

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()
    assert process.wait(10) == -signal.SIGKILL


@pytest.mark.slow
def test_member_of_a_killed_worker_is_continued_on_another(tmp_path, small_recipe, small_data, cpu, single_threaded):
    recipe, remote = small_recipe.with_values(epochs=30), tmp_path / "remote"
    with dask_cluster(tmp_path) as cluster, killed_during_training(cluster.workers[0], remote):
        require_same_members(tmp_path, recipe, small_data, cpu, cluster.address)
    for member, history in read_histories(remote).items():
        assert history["epoch"].tolist() == list(range(1, 31))
        # no saved epoch was trained again, because its seconds are the same to the microsecond
        before = pd.read_csv(remote / f"member_{member:02d}" / "when_killed.csv")
        assert 0 < len(before) < 30 and before["seconds"].tolist() == history["seconds"].tolist()[: len(before)]


@pytest.mark.slow
def test_damaged_member_and_one_in_use_do_not_stop_the_others(dask, tmp_path, small_recipe, small_data, cpu, capsys):
    recipe = small_recipe.with_values(members=3)
    (tmp_path / "member_01").mkdir()
    (tmp_path / "member_01" / "last.pt").write_bytes(b"no checkpoint")
    with exclusive_task(tmp_path / "member_00", "training"):
        assert ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu], cluster=dask) == [2]
        with pytest.raises(KitError, match="member_00 is in use by process"):
            ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu])
    output = capsys.readouterr().err
    assert "member_00 is in use by process" in output
    assert re.search("member_01: .*last.pt is damaged", output)
    assert f"member_02 was trained on {socket.gethostname()} (CPU, fp32)" in output


@pytest.mark.slow
def test_unexpected_error_of_a_member_is_reported_with_its_machine(dask, tmp_path, small_recipe, small_data, capsys):
    missing = Device("cuda:7", "no such device", "fp32")
    with pytest.raises(KitError, match="no member could be trained, see above"):
        ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[missing], cluster=dask)
    assert f"Error on {socket.gethostname()}: " in capsys.readouterr().err


@pytest.mark.slow
def test_members_on_a_cluster_stop_when_the_time_is_up(dask, tmp_path, small_recipe, small_data, cpu, capsys):
    clock = Clock(1e-6)
    assert ensemble.train_ensemble(tmp_path, small_recipe, small_data, devices=[cpu], clock=clock, cluster=dask) == []
    assert not list(tmp_path.glob("member_*/last.pt"))
    assert "member_01 stopped because the time is up (run again to continue) on " in capsys.readouterr().err


@pytest.mark.slow
def test_killed_scheduler_is_reported(tmp_path, small_recipe, small_data, cpu):
    recipe = small_recipe.with_values(epochs=5000)
    with dask_cluster(tmp_path) as cluster, killed_during_training(cluster.scheduler, tmp_path):
        with pytest.raises(KitError, match="the cluster at .* failed: .* run again to continue"):
            ensemble.train_ensemble(tmp_path, recipe, small_data, devices=[cpu], cluster=cluster.address)


@pytest.mark.slow
@pytest.mark.parametrize("options, message", [
    ({"workers": 1}, "has 1 worker. Start at least two, or leave --cluster out"),
    ({"threads": 2}, "has 2 threads. Start it with --nthreads 1"),
])
def test_cluster_with_one_worker_or_with_threads_is_refused(tmp_path, options, message):
    with dask_cluster(tmp_path, **options) as cluster:
        with pytest.raises(KitError, match=message), use_cluster(cluster.address):
            pass


@pytest.mark.parametrize("address, message", [
    ("dask", "cluster 'dask' is invalid. Write dask://host:port or ray://host:port"),
    ("spark://host:7077", "cluster 'spark://host:7077' is invalid"),
    ("dask://127.0.0.1:9", "no Dask scheduler answers at 127.0.0.1:9"),
])
def test_invalid_address_is_refused(address, message, monkeypatch):
    if address.startswith("dask://"):
        pytest.importorskip("distributed", reason="a Dask cluster needs its package: pip install distributed")
    monkeypatch.setattr(parallel, "_DASK_TIMEOUT", 1)
    with pytest.raises(KitError, match=message), use_cluster(address):
        pass


@pytest.mark.parametrize("address, package", [("dask://127.0.0.1:9", "distributed"), ("ray://127.0.0.1:9", "ray")])
def test_missing_package_is_named(address, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(KitError, match=f"cluster needs the package {package}: pip install"), use_cluster(address):
        pass


@pytest.mark.parametrize("behaviour, message", [
    (lambda _: time.sleep(3), "answers but did not accept the connection within 0.1 s. Restart it"),
    (ConnectionAbortedError("busy"), "refuses new connections: busy"),
    (ConnectionError("timed out"), "no Ray cluster answers at 127.0.0.1:9: timed out"),
])
def test_ray_head_that_does_not_connect_is_reported(behaviour, message, monkeypatch):
    ray = pytest.importorskip("ray", reason="a Ray cluster needs its package: pip install 'ray[client]'")
    monkeypatch.setattr(ray, "init", Mock(side_effect=behaviour))
    monkeypatch.setattr(parallel, "_RAY_TIMEOUT", 0.1)
    monkeypatch.setattr(parallel, "_RAY_PAUSE", 0)
    with pytest.raises(KitError, match=message), use_cluster("ray://127.0.0.1:9"):
        pass


def test_empty_address_means_this_machine():
    with use_cluster(""):
        backend, _ = joblib.parallel.get_active_backend()
        assert type(backend).__name__ == "LokyBackend"
    calls = parallel.parallel_map(divmod, [7, 9, 11], [2, 4, 6], jobs=2, title="dividing")
    assert calls == [(3, 1), (2, 1), (1, 5)]


def test_memory_that_another_stage_takes_does_not_stop_a_process(recwarn):
    def grow(seconds):  # like the first use of compiled functions
        joblib.kept = getattr(joblib, "kept", None) or b"x" * 400_000_000
        time.sleep(seconds)

    parallel.parallel_map(abs, range(4), jobs=2, title="small")
    parallel.parallel_map(grow, [0.3] * 10, jobs=2, title="large")
    assert not [warning for warning in recwarn if "A worker stopped" in str(warning.message)]


@pytest.mark.parametrize("end, argument", [(os._exit, 1), (signal.raise_signal, 9), (signal.raise_signal, 11)])
def test_process_that_dies_is_reported_and_the_next_tasks_run(end, argument):
    for _ in range(2):
        with pytest.raises(KitError, match="a process on this machine crashed, or was killed .* LOKY_MAX_CPU_COUNT"):
            list(parallel.run_tasks((joblib.delayed(end)(argument) for _ in range(4)), 2))
    assert list(parallel.run_tasks((joblib.delayed(abs)(i) for i in (-1, -2)), 2)) == [1, 2]


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """The address of a real Ray cluster with two processors."""
    pytest.importorskip("ray", reason="a Ray cluster needs its package: pip install 'ray[client]'")
    with socket.socket() as gcs, socket.socket() as client:
        gcs.bind(("127.0.0.1", 0))
        client.bind(("127.0.0.1", 0))
        ports = gcs.getsockname()[1], client.getsockname()[1]
    command = [
        Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=2",
        "--include-dashboard=false", "--disable-usage-stats",
        f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}",
        "--min-worker-port=0", "--max-worker-port=0",   # any free ports
    ]
    # its workers import the modules of the tests
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1",
        "GRPC_ENABLE_FORK_SUPPORT": "0",    # otherwise one connection in fifteen fails: ray-project/ray#63202
    }
    path = tmp_path_factory.mktemp("ray") / "ray.log"
    with open(path, "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        wait_for(lambda: "Ray runtime started" in path.read_text() or process.poll() is not None)
        assert process.poll() is None, path.read_text()
        yield f"ray://127.0.0.1:{ports[1]}"
    finally:
        process.terminate()     # it ends its own processes, too
        process.wait(60)
        logs = Path(tempfile.gettempdir(), "ray", "session_latest", "logs")
        for log in logs.glob("ray_client_server*.err"):     # shown if the test fails
            print(log.read_text())


@pytest.mark.slow
def test_features_and_members_of_a_ray_cluster_have_the_same_bits(
    ray_address, small_competition, tmp_path, small_recipe, small_data, cpu, single_threaded
):
    require_same_features(small_competition, tmp_path, ray_address)
    require_same_members(tmp_path, small_recipe, small_data, cpu, ray_address)


@pytest.mark.slow
def test_connection_is_tried_again_if_the_ray_head_cannot_start_a_process(ray_address, capsys):
    wait_for(lambda: not client_servers())      # of earlier tests

    killer = threading.Thread(target=lambda: wait_for(client_servers)[0].kill())
    killer.start()
    with use_cluster(ray_address):
        assert joblib.Parallel()(joblib.delayed(abs)(number) for number in (-1, -2)) == [1, 2]
    killer.join()
    assert "cluster: 2 workers" in capsys.readouterr().err


def client_servers():
    """The processes that a Ray head has started for clients."""
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if "specific-server" in " ".join(process.info["cmdline"] or [])]
