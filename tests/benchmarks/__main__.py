"""Run all benchmarks and write one table: ``python -m tests.benchmarks DATA`` in the project's folder.

Each benchmark is a script in this folder and can also be run alone.
"""

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import joblib

from snippetkit.utils.errors import KitError
from snippetkit.utils.progress import say
from snippetkit.utils.storage import read_json, replacing, write_json

from .side_by_side import table

PARTS = ("features", "pretrained", "epoch", "prediction", "checkpoint", "startup", "songs")
# These run only when they are named: separation needs the environment of the Spleeter package, and weights; the other
# two answer a question once.
_NAMED_PARTS = ("members", "compiled", "separation")
_ALL_PARTS = (*PARTS, *_NAMED_PARTS)
_SCRIPTS = Path(__file__).parent
_VERSIONS = ("numpy", "scipy", "librosa", "soundfile", "soxr", "joblib", "torch", "torchvision")


def run(data, folder, *, parts=PARTS, rounds=0):
    """Run benchmarks, and update ``benchmarks.json`` and ``benchmarks.md`` after each of them.

    Earlier rows of other parts are kept if commit, machine and versions are the same.

    Parameters
    ----------
    data : path-like
        The folder of a competition.
    folder : path-like
        Of the tables.
    parts : sequence of str
    rounds : int
        0 means the default of each benchmark.

    Returns
    -------
    str
        The table, as Markdown.

    Raises
    ------
    KitError
        If there is no such benchmark, or a benchmark fails. The tables then contain the other benchmarks.
    """
    if unknown := [part for part in parts if part not in _ALL_PARTS]:
        raise KitError(f"there is no benchmark {', '.join(unknown)}; choose among {', '.join(_ALL_PARTS)}.")
    folder, machine, failed, text = Path(folder), _machine(), [], ""
    earlier = read_json(folder / "benchmarks.json") or {}
    rows = earlier["rows"] if earlier.get("machine") == machine else []
    if earlier and not rows:
        say(f"{folder / 'benchmarks.md'} is from another commit, machine or version, and is replaced")
    for part in parts:
        say(f"{part} …")
        try:
            new_rows = _run_script(_SCRIPTS / f"{part}.py", Path(data).resolve(), rounds)
        except KitError as error:
            failed.append(str(error))
            continue
        rows = [row for row in rows if row["part"] != part] + new_rows
        rows.sort(key=lambda row: _ALL_PARTS.index(row["part"]))
        text = f"{', '.join(f'{name} {value}' for name, value in machine.items())}\n\n{table(rows)}"
        write_json(folder / "benchmarks.json", {"machine": machine, "rows": rows})
        with replacing(folder / "benchmarks.md") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    if failed:
        failed += [f"The benchmarks that succeeded are in {folder / 'benchmarks.md'}."] if rows else []
        raise KitError("\n".join(failed))
    return text


def _run_script(script, data, rounds):
    """The rows of one benchmark, run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "rows.json")
        command = [sys.executable, script, data, "--json", target, *(["--rounds", str(rounds)] if rounds else [])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_SCRIPTS)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no error message"])[-1]
            raise KitError(f"{script.name} failed with status {done.returncode}: {reason}")
        return json.loads(target.read_text())


def _machine():
    import torch

    # the version of the timed code; rows of another version are not kept
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=_SCRIPTS)
    cpuinfo = Path("/proc/cpuinfo")     # Linux only
    processor = re.search(r"(?m)^model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    return {
        "kit": commit.stdout.strip() or importlib.metadata.version("snippetkit"),
        "system": platform.system(),
        "processor": processor[1] if processor else platform.processor() or platform.machine(),
        "cores": joblib.cpu_count(),    # those that this process may use
        "threads of torch": torch.get_num_threads(),
        "GPU": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
    }


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("parts", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default="runs/benchmarks", show_default=True)
@click.option("--rounds", default=0, type=click.IntRange(min=0), help="Default: that of each benchmark.")
def main(data, parts, out, rounds):
    """Time snippetkit and other implementations on the clips in DATA: the PARTS named, or all but members, compiled and
    separation.
    """
    try:
        click.echo(run(data, out, parts=parts or PARTS, rounds=rounds))
    except KitError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmarks")
