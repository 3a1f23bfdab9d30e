"""Parallel work with joblib: processes of this machine, or a Dask or Ray cluster.

Every process of a cluster, including a Dask scheduler's, needs the kit and sees clips and work folder under the same
paths. Each worker has one thread, because torch keeps one random generator per process.
"""

import itertools
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager

import joblib

from .errors import KitError
from .progress import progress, say

_DASK_TIMEOUT = 30      # seconds
_RAY_TIMEOUT = 120      # seconds until a Ray head has started a process for us; a busy one needs 20
_RAY_ATTEMPTS, _RAY_PAUSE = 4, 3    # at a head that answers but refuses; seconds between attempts
_TASKS_AT_ONCE = 64     # on backends that return all results together


def parallel_map(function, *arguments, jobs=-1, title, unit="clip", **options):
    """Call a function for many items in parallel, with a progress bar.

    Parameters
    ----------
    function : callable
    *arguments : sequences of one length
        Call i gets the entry i of each.
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
    """
    calls = list(zip(*arguments, strict=True))
    results = joblib.Parallel(jobs, return_as="generator", **options)(joblib.delayed(function)(*call) for call in calls)
    return list(progress(results, total=len(calls), title=title, unit=unit))


@contextmanager
def use_cluster(address, *, gpus=False):
    """Run joblib tasks of the block on a cluster.

    Parameters
    ----------
    address : str
        ``dask://host:port`` of a scheduler or ``ray://host:port`` of a head node; empty for this machine alone.
    gpus : bool
        Whether a task takes a GPU where there are any: Ray then runs as many tasks as it has GPUs. (A Dask worker
        sees the GPUs that it was started with.)

    Raises
    ------
    KitError
        If the address is invalid, its package is not installed, the cluster does not answer, has fewer than two
        workers, or has a worker with several threads; and if the cluster fails inside the block.
    """
    if not address:
        yield
        return
    kind, _, place = address.partition("://")
    if kind not in _BACKENDS or not place:
        raise KitError(f"cluster {address!r} is invalid. Write dask://host:port or ray://host:port.")
    with _BACKENDS[kind](place, gpus) as (workers, options):
        # joblib would silently run the work of a single worker here
        if workers < 2:
            raise KitError(
                f"the cluster at {address} has {workers} workers, and at least two are needed. Start more, or leave "
                "--cluster out."
            )
        say(f"cluster: {workers} workers at {address}")
        with joblib.parallel_config(backend=kind, n_jobs=workers, **options):
            yield


def run_tasks(tasks, jobs=-1):
    """Run joblib tasks and yield their results in order, as early as the active backend allows.

    Parameters
    ----------
    tasks : iterable
        Made with `joblib.delayed`.
    jobs : int or None
        Number of processes; None inside `use_cluster`.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        yield from joblib.Parallel(jobs, return_as="generator")(tasks)
        return
    tasks = iter(tasks)
    while some := list(itertools.islice(tasks, _TASKS_AT_ONCE)):
        yield from joblib.Parallel(jobs)(some)


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
            raise KitError(
                f"the Dask worker {crowded[0]} has {threads[crowded[0]]} threads. Start it with --nthreads 1, and with "
                "--nworkers for the number of processes."
            )
        try:
            yield len(threads), {}
        except KeyboardInterrupt:
            say("tasks that the Dask cluster has started run there to their end")
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
            _call_within(_RAY_TIMEOUT, lambda: ray.init(f"ray://{place}"))
            break
        except _Hangs:
            raise KitError(
                f"the Ray head at {place} answers but did not accept the connection within {_RAY_TIMEOUT} s. Restart "
                "it with GRPC_ENABLE_FORK_SUPPORT=0 in its environment, then run this again."
            ) from None
        # the head answers but has no process for us yet: it is busy, or was just started
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


class _Hangs(Exception):
    """There is neither a result nor an error."""


def _call_within(seconds, call):
    """Call a function that has no timeout of its own; after the timeout it is left alone in its thread."""
    future = Future()

    def run():
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise _Hangs
    return future.result()


def _failed(place, error):
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return KitError(f"the cluster at {place} failed: {reason} What was saved is kept: run again to continue.")


_BACKENDS = {"dask": _dask, "ray": _ray}
