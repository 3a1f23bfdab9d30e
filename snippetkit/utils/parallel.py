"""Parallel work with joblib: on processes of this machine, or on a Dask or Ray cluster.

The kit must be installed for every process of a cluster, including the Dask scheduler, and each must see the clips and
the work folder under the same paths. A worker has one thread, because torch keeps one random generator per process.
"""

import itertools
import multiprocessing
import time
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool

import joblib
from joblib.externals.loky import BrokenProcessPool, get_reusable_executor

from .errors import KitError
from .progress import progress, say

_DASK_TIMEOUT = 30      # seconds
_RAY_TIMEOUT = 120      # seconds to wait until a Ray head has started a process for this client; a busy head needs 20
_RAY_ATTEMPTS, _RAY_PAUSE = 4, 3    # connection attempts, and seconds between them
_TASKS_AT_ONCE = 64     # on backends that return all results together


def parallel_map(function, *arguments, jobs=-1, title, unit="clip", **options):
    """Call a function for many items in parallel, with a progress bar.

    Parameters
    ----------
    function : callable
    *arguments : sequences of one length
        Call i gets entry i of each.
    jobs : int
        Number of processes, as joblib counts them: -1 is one per core.
    title, unit : str
        Of the progress bar.
    **options
        For `joblib.Parallel`.

    Returns
    -------
    list
        Results in the order of the items.

    Raises
    ------
    KitError
        If a process was killed.
    """
    calls = list(zip(*arguments, strict=True))
    tasks = (joblib.delayed(function)(*call) for call in calls)
    return list(progress(run_tasks(tasks, jobs, **options), total=len(calls), title=title, unit=unit))


@contextmanager
def use_cluster(address, *, gpus=False):
    """Run joblib tasks of the block on a cluster.

    Parameters
    ----------
    address : str
        ``dask://host:port`` of a scheduler or ``ray://host:port`` of a head node; empty for this machine alone.
    gpus : bool
        Whether each task needs a GPU if the cluster has any. Ray then runs as many tasks as it has GPUs; a Dask worker
        sees the GPUs that it was started with.

    Raises
    ------
    KitError
        If the address is invalid, its package is not installed, the cluster does not answer, has fewer than two
        workers, or has a worker with several threads; and if the cluster fails inside the block.
    """
    if not address:
        yield
        return
    kind, place = check_address(address)
    with _BACKENDS[kind](place, gpus) as (workers, options):
        # With a single worker, joblib would silently run the tasks on this machine.
        if workers < 2:
            advice = "Start at least two, or leave --cluster out."
            raise KitError(f"the cluster at {address} has {workers} worker{'s'[:workers != 1]}. {advice}")
        say(f"cluster: {workers} workers at {address}")
        with joblib.parallel_config(backend=kind, n_jobs=workers, **options):
            yield


def check_address(address):
    """Split the address of a cluster into its kind and ``host:port``; refuse an invalid one."""
    kind, _, place = address.partition("://")
    if kind not in _BACKENDS or not place:
        raise KitError(f"cluster {address!r} is invalid. Write dask://host:port or ray://host:port.")
    return kind, place


def run_tasks(tasks, jobs=-1, **options):
    """Run joblib tasks and yield their results in order, as early as the active backend allows.

    Parameters
    ----------
    tasks : iterable
        Made with `joblib.delayed`.
    jobs : int or None
        Number of processes; None inside `use_cluster`.
    **options
        For `joblib.Parallel`.

    Raises
    ------
    KitError
        If a process of this machine was killed.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        with _processes():
            yield from joblib.Parallel(jobs, return_as="generator", **options)(tasks)
        return
    tasks = iter(tasks)
    while some := list(itertools.islice(tasks, _TASKS_AT_ONCE)):
        yield from joblib.Parallel(jobs, **options)(some)


@contextmanager
def _processes():
    """Report a killed process of the block, and end all of them with it.

    joblib would keep them for the next tasks, whose imports and compiled functions it would then take for a memory
    leak: it measures from the first task on, replaces a process that grows by 300 MB, and warns.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise KitError(
            "a process on this machine crashed, or was killed because memory ran out. What was saved is kept. Close "
            "other programs, or set the environment variable LOKY_MAX_CPU_COUNT to a smaller number of processes, then "
            "run again."
        ) from error
    finally:
        get_reusable_executor().shutdown()


@contextmanager
def _dask(place, gpus):
    try:
        from distributed import Client
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise KitError("a Dask cluster needs the package distributed: pip install -U distributed") from None
    try:
        client = Client(f"tcp://{place}", timeout=_DASK_TIMEOUT, set_as_default=True)
    except (OSError, ValueError) as error:
        raise KitError(f"no Dask scheduler answers at {place}: {error}") from error
    with client:
        threads = client.nthreads()
        if crowded := [worker for worker, count in threads.items() if count > 1]:
            advice = "Start it with --nthreads 1, and with --nworkers for the number of processes."
            raise KitError(f"the Dask worker {crowded[0]} has {threads[crowded[0]]} threads. {advice}")
        try:
            yield len(threads), {}
        except KeyboardInterrupt:
            say("Tasks that the Dask cluster has started will run to their end.")
            raise
        except (KilledWorker, FutureCancelledError, CommClosedError) as error:
            raise _failed(place, error) from error


@contextmanager
def _ray(place, gpus):
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise KitError("a Ray cluster needs the package ray: pip install -U 'ray[client]'") from None
    for left in reversed(range(_RAY_ATTEMPTS)):
        try:
            with ThreadPool(1) as pool:     # because ray.init has no timeout
                pool.apply_async(ray.init, (f"ray://{place}",)).get(_RAY_TIMEOUT)
            break
        except multiprocessing.TimeoutError:
            raise KitError(
                f"the Ray head at {place} answers but did not accept the connection within {_RAY_TIMEOUT} s. Restart "
                "it with GRPC_ENABLE_FORK_SUPPORT=0 in its environment, then run this again."
            ) from None
        # The head answers but has not started a process for this client: it is busy, or was just started.
        except (ConnectionAbortedError, RuntimeError) as error:
            if not left:
                raise KitError(f"the Ray head at {place} refuses new connections: {error}") from error
            time.sleep(_RAY_PAUSE)
        except (ConnectionError, TimeoutError, ValueError) as error:
            raise KitError(f"no Ray cluster answers at {place}: {error}") from error
    try:
        register_ray()
        resources = ray.cluster_resources()
        if gpus and resources.get("GPU"):   # a task that does not ask for a GPU does not see any
            yield int(resources["GPU"]), {"ray_remote_args": {"num_gpus": 1}}
        else:
            yield int(resources.get("CPU", 0)), {}
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise _failed(place, error) from error
    finally:
        ray.shutdown()


def _failed(place, error):
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return KitError(f"the cluster at {place} failed: {reason} What was saved is kept: run again to continue.")


_BACKENDS = {"dask": _dask, "ray": _ray}
