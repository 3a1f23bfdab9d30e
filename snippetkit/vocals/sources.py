"""Which clips a run works on: every one checked, the bad ones named, and for each the file that features come from.

Nothing is separated here; only where the vocals are, or will be, is known.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import audio
from ..utils.errors import KitError, listed
from ..utils.fingerprints import fingerprint
from ..utils.storage import read_json, write_json
from .provenance import claim, made_with, refusal


@dataclass(frozen=True)
class Sources:
    """The clips of one split and the files that features are computed from.

    Attributes
    ----------
    clips : dict
        Clip id to the Path of the clip itself, the mixture.
    paths : dict
        Clip id to the Path of its vocals; with separator "none" the clip itself.
    faults : dict
        Clip id to the sentence that says what is wrong, for the clips that could only be salvaged.
    left_out : dict
        The same, for the clips that are not in `paths`.
    weights : str or None
        Fingerprint of the weights that the vocals were separated with; None if there are no vocals (yet).
    """

    clips: dict
    paths: dict
    faults: dict
    left_out: dict
    weights: str | None = None


def check(competition, folder, recipe, *, on_bad="fail", jobs=-1):
    """Check all clips, or read what an earlier check found.

    Parameters
    ----------
    competition : Competition
    folder : path-like
        ``vocals`` in the work folder.
    recipe : Recipe
    on_bad : str
        'fail' refuses if any clip is bad. 'skip' leaves bad train clips out; a bad test clip is kept and salvaged,
        since every test clip gets a prediction.
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    train, test : Sources

    Raises
    ------
    KitError
        If clips are bad and `on_bad` is 'fail' (the text names them), or the folder was made from other clips or
        with another separator.
    """
    if on_bad not in ("fail", "skip"):
        raise KitError(f"on_bad={on_bad!r} is not known; choose one of fail, skip.")
    folder = Path(folder)
    note = folder / "clips.json"
    weights = made_with(folder, recipe)
    identity, faults = _checked(competition, note, recipe, jobs)
    bad = [sentence for split in ("train", "test") for sentence in faults[split].values()]
    if bad and on_bad == "fail":
        raise KitError(
            f"{len(bad)} of {len(competition.train) + len(competition.test)} clips are bad:\n  "
            + "\n  ".join(bad[:20]) + (f"\n  and {len(bad) - 20} more" if len(bad) > 20 else "")
            + "\nReplace them, or leave bad train clips out and salvage bad test clips: "
            "--on-bad skip, or on_bad = \"skip\"."
        )
    # Only now, so that a person who mends the bad clips is not told that the folder was made from others.
    if not note.exists():
        write_json(note, {**identity, "faults": faults})
    if recipe.separator == "none":
        claim(folder, recipe)
    train = {i: path for i, path in enumerate(competition.train) if i not in faults["train"]}
    test = dict(zip(competition.test_ids.tolist(), competition.test))
    if not train:
        raise KitError(f"every train clip is bad, the first one so: {faults['train'][0]}")
    return (
        Sources(train, _paths(train, folder / "train", recipe), {}, faults["train"], weights),
        Sources(test, _paths(test, folder / "test", recipe), faults["test"], {}, weights),
    )


def _paths(clips, folder, recipe):
    return clips if recipe.separator == "none" else {i: folder / f"{i}.flac" for i in clips}


def _checked(competition, note, recipe, jobs):
    """What the note says or is to say, and faults by split and clip id: from it, or from a look at every clip."""
    clips = [*competition.train, *competition.test]
    identity = {"seconds": recipe.seconds, "clips": fingerprint(clips)}
    earlier = read_json(note)
    if earlier is None:
        found = audio.check(clips, seconds=recipe.seconds, jobs=jobs)
        return identity, {
            "train": {i: found[path] for i, path in enumerate(competition.train) if path in found},
            "test": {int(i): found[path] for i, path in zip(competition.test_ids, competition.test) if path in found},
        }
    changed = [name for name, value in identity.items() if earlier.get(name) != value]
    if changed:
        what = {"clips": "from other clips", "seconds": "from clips of another length"}
        raise KitError(refusal(note.parent, listed(what[name] for name in changed)))
    faults = {split: {int(i): text for i, text in earlier["faults"][split].items()} for split in ("train", "test")}
    return identity, faults
