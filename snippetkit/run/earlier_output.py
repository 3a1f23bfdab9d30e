"""The output of earlier sessions, attached as input on Kaggle: copied into the work folder, never written to.

On Kaggle only the output of a finished notebook version survives, and the next session finds it below the input folder,
nested in one way or another.
"""

import shutil

from ..training.members import member_folders
from ..utils.errors import report_os_error
from ..utils.lock import exclusive_task
from ..utils.progress import progress, say
from ..utils.storage import read_json, replacing

# The files of each stage, and its records. The records are copied last: where they are, the stage is complete.
_STAGES = {
    "vocals": (("*.zip", "*/*.flac", "energy_*.csv"), ("clips.json", "separation.json")),
    "features": (
        ("train.npy", "test.npy", "songs.csv", "pretrained/*.npy"),
        ("train.json", "test.json", "songs.json", "folds.json", "pretrained/*.json"),
    ),
}
RECORDS = ("vocals/clips.json", "features/train.json", "members/member_*/recipe.json")     # one of each stage
_COPIED_LAST = ("history.csv", "done.json")     # of a member, in this order: they say how far it got
_WEIGHTS = (".safetensors", ".pt")
_DEPTH = 3      # most folders between the input folder and an output: notebooks/<user>/<slug>


def copy_earlier_output(folder, root, *, vocals=True, weights=True):
    """Copy what earlier sessions made and the work folder lacks; of a member, the state that is further.

    A stage that the work folder has started from something else is not touched.

    Parameters
    ----------
    folder : Path
        The work folder.
    root : Path
        The folder below which earlier outputs are attached.
    vocals : bool
        Whether the vocals are needed even where the features are complete; they are thousands of files.
    weights : bool
        Whether the weights of finished members are needed; they are most of the bytes.

    Raises
    ------
    KitError
        If a file cannot be read or written, or another process uses the members.
    """
    # A work folder below the input folder is not an earlier session's.
    outputs = [output for output in _outputs(root) if not folder.is_relative_to(output)]
    pairs = [pair for stage in _STAGES for pair in _stage_files(stage, outputs, folder, vocals)]
    pairs += _member_files(outputs, folder, weights)
    if not pairs:
        return
    size = sum(source.stat().st_size for source, _ in pairs)
    sources = sorted({str(output) for output in outputs if any(path.is_relative_to(output) for path, _ in pairs)})
    say(f"copying {len(pairs)} files ({size / 1e6:.0f} MB) of earlier sessions from {', '.join(sources)}; "
        "detach that input if it has another recipe or other data")
    with exclusive_task(folder / "members", "copying the output of earlier sessions"):
        for source, target in progress(pairs, total=len(pairs), title="copying", unit="file"):
            _copy(source, target)


def _copy(source, target):
    with report_os_error(f"{source} cannot be read"), open(source, "rb") as content:
        with replacing(target) as temporary, open(temporary, "wb") as copy:
            shutil.copyfileobj(content, copy, 2**20)


def _outputs(root):
    """Folders that look like the work folder of an earlier session."""
    return sorted({
        path.parents[record.count("/")] for record in RECORDS
        for depth in range(1, _DEPTH + 1) for path in root.glob("*/" * depth + record)
    })


def _stage_files(stage, outputs, folder, vocals):
    """Source and target of the files of one stage, from the first output where it is complete."""
    patterns, records = _STAGES[stage]
    for output in outputs:
        source = output / stage
        if not (source / records[0]).exists() or stage == "features" and not (source / "test.npy").exists():
            continue
        if any((folder / stage / record).exists() and read_json(folder / stage / record) != read_json(source / record)
               for record in records):
            return []   # the work folder has another
        if stage == "vocals" and not vocals and any(_has_features(place) for place in [*outputs, folder]):
            patterns = ()
        paths = [path for pattern in (*patterns, *records) for path in sorted(source.glob(pattern))]
        targets = [folder / path.relative_to(output) for path in paths]
        return [(path, target) for path, target in zip(paths, targets) if not _is_there(target)]
    return []


def _is_there(path):
    """Whether a file is in the work folder, or the folder that it was unpacked to."""
    return path.exists() or path.suffix == ".zip" and path.with_suffix("").is_dir()


def _has_features(folder):
    """Whether the features are complete there; views of pretrained networks may not be, and need the vocals."""
    features = folder / "features"
    return (features / "test.npy").exists() and not list(features.glob("pretrained/*.progress.json"))


def _member_files(outputs, folder, weights):
    """Source and target of the files of every member, from the output where it is furthest, if that is an advance."""
    furthest = {}
    for output in outputs:
        kinds = [output / "members", *(output / "classifiers").glob("*")]
        for member in (member for kind in kinds for member in member_folders(kind).values()):
            if (member / "recipe.json").exists():
                name = member.relative_to(output)
                furthest[name] = max(furthest.get(name, member), member, key=_progress_of)
    pairs = []
    for name, member in sorted(furthest.items()):
        target = folder / name
        is_finished, epochs = _progress_of(member)
        if (is_finished, epochs) <= _progress_of(target):
            continue
        paths = sorted(path for path in member.iterdir() if path.is_file() and not path.name.startswith("."))
        paths.sort(key=lambda path: _COPIED_LAST.index(path.name) if path.name in _COPIED_LAST else -1)
        is_needed = weights or not is_finished
        pairs += [(path, target / path.name) for path in paths if is_needed or path.suffix not in _WEIGHTS]
    return pairs


def _progress_of(member):
    """Whether a member is finished, and its number of epochs."""
    try:
        epochs = len((member / "history.csv").read_text().splitlines())
    except OSError:
        epochs = 0
    return read_json(member / "done.json") is not None, epochs
