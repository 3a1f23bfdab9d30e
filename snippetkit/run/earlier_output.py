"""What an earlier session left, attached as input: copied into the work folder before use, never written to.

On Kaggle only what a finished version leaves survives, and the next session finds it under the input folder, nested in
one way or another. What is in the files is not known here but for how far a member got.
"""

import shutil
from pathlib import Path

from ..utils.errors import KitError
from ..utils.lock import exclusive_task
from ..utils.progress import progress, say
from ..utils.storage import read_json, replacing

# What is copied of a stage, and the notes that say what it was made from. They are copied last: where they are, all is.
_STAGES = {
    "vocals": (("*/*.flac",), ("clips.json", "separation.json")),
    "features": (("train.npy", "test.npy", "songs.csv"), ("train.json", "test.json", "songs.json", "folds.json")),
}
# Of a member's files these are copied last, in this order: they say how far it got.
_SAY_HOW_FAR = ("history.csv", "done.json")
# Folders between the input folder and an output, at most: notebooks/<user>/<slug>.
_DEPTH = 3


def copy_earlier_output(folder, root, *, weights=True):
    """Copy what earlier sessions made, as far as it is not in the work folder; of a member, if it got further there.

    A stage that the work folder has begun from something else is left alone.

    Parameters
    ----------
    folder : Path
        The work folder.
    root : Path
        The folder under which earlier outputs are attached.
    weights : bool
        Whether the weights of finished members are needed, too; they are most of the bytes.

    Raises
    ------
    KitError
        If a file cannot be read or written, or another process is at work with the members.
    """
    # A work folder below the input folder is no earlier session's.
    outputs = [each for each in _outputs(root) if not folder.is_relative_to(each)]
    pairs = [pair for stage in _STAGES for pair in _stage(stage, outputs, folder)]
    pairs += _members(outputs, folder, weights)
    if not pairs:
        return
    size = sum(source.stat().st_size for source, _ in pairs)
    places = sorted({str(each) for each in outputs if any(source.is_relative_to(each) for source, _ in pairs)})
    say(f"{len(pairs)} files ({size / 1e6:.0f} MB) of earlier sessions are taken over from {', '.join(places)}; "
        "detach that if it is of another recipe or other data")
    with exclusive_task(folder / "members", "taking over what earlier sessions made"):
        for source, target in progress(pairs, total=len(pairs), title="copying", unit="file"):
            _copy(source, target)


def _copy(source, target):
    try:
        content = open(source, "rb")
    except OSError as error:
        raise KitError(f"{source} cannot be read: {error.strerror or error}.") from error
    with content, replacing(target) as temporary, open(temporary, "wb") as copy:
        shutil.copyfileobj(content, copy, 2**20)


def _outputs(root):
    """Folders that look like the work folder of an earlier session."""
    found = set()
    for depth in range(1, _DEPTH + 1):
        for part in ("vocals/clips.json", "features/train.json", "members/member_*/recipe.json"):
            levels = len(Path(part).parts)
            found |= {path.parents[levels - 1] for path in root.glob("*/" * depth + part)}
    return sorted(found)


def _stage(stage, outputs, folder):
    """Files of one stage, from the first output that has it complete; none if the work folder's is another."""
    files, notes = _STAGES[stage]
    for output in outputs:
        theirs = output / stage
        is_complete = stage != "features" or (theirs / "test.npy").exists()
        if not (is_complete and (theirs / notes[0]).exists()):
            continue
        if any((folder / stage / note).exists() and read_json(folder / stage / note) != read_json(theirs / note)
               for note in notes):
            return []
        if stage == "vocals" and any((each / "features" / "test.npy").exists() for each in [*outputs, folder]):
            files = ()  # what was to be made of them is there
        found = [path for pattern in files for path in sorted(theirs.glob(pattern))]
        found += [theirs / note for note in notes if (theirs / note).exists()]
        pairs = [(path, folder / path.relative_to(output)) for path in found]
        return [(path, target) for path, target in pairs if not target.exists()]
    return []


def _members(outputs, folder, weights):
    """Every member from the output in which it got furthest, if that is further than in the work folder."""
    furthest = {}
    for output in outputs:
        for member in (output / "members").glob("member_*"):
            if (member / "recipe.json").exists():
                furthest[member.name] = max(furthest.get(member.name, member), member, key=_reached)
    pairs = []
    for name, member in sorted(furthest.items()):
        ours = folder / "members" / name
        if _reached(member) <= _reached(ours):
            continue
        is_finished, _ = _reached(member)
        parts = sorted(path for path in member.iterdir() if path.is_file() and not path.name.startswith("."))
        parts.sort(key=lambda path: _SAY_HOW_FAR.index(path.name) if path.name in _SAY_HOW_FAR else -1)
        pairs += [(path, ours / path.name) for path in parts if weights or not (is_finished and path.suffix == ".pt")]
    return pairs


def _reached(member):
    """Whether it is finished, and its epochs, as far as its table of them says."""
    try:
        epochs = len((member / "history.csv").read_text().splitlines())
    except OSError:
        epochs = 0
    return read_json(member / "done.json") is not None, epochs
