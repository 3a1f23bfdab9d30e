"""The stage between clips and features: every clip checked, then its vocals separated, or the mixture kept.

With separator "none" nothing is written but the list of bad clips, and the features read the clips themselves.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import audio
from ..errors import KitError, listed
from ..storage import fingerprint, read_json, write_json


@dataclass(frozen=True)
class Sources:
    """The files that features are computed from.

    Attributes
    ----------
    paths : dict
        Clip id to Path.
    faults : dict
        Clip id to the sentence that says what is wrong, for the clips whose features come from a salvaged signal.
    left_out : dict
        The same, for the clips that are not in `paths`.
    """

    paths: dict
    faults: dict
    left_out: dict


def separate(competition, folder, recipe, *, on_bad="fail", jobs=-1):
    """Check all clips and separate their vocals as the recipe says; what is done already is not done again.

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
    note = Path(folder) / "clips.json"
    identity, faults = _checked(competition, note, recipe, jobs)
    bad = [sentence for split in ("train", "test") for sentence in faults[split].values()]
    if bad and on_bad == "fail":
        raise KitError(
            f"{len(bad)} of {len(competition.train) + len(competition.test)} clips are bad:\n  "
            + "\n  ".join(bad[:20]) + (f"\n  and {len(bad) - 20} more" if len(bad) > 20 else "")
            + "\nReplace them, or leave bad train clips out and salvage bad test clips: --on-bad skip, or on_bad = \"skip\"."
        )
    # Only now, so that a person who mends the bad clips is not told that the folder was made from others.
    if not note.exists():
        write_json(note, {**identity, "faults": faults})
    train = dict(enumerate(competition.train))
    test = dict(zip(competition.test_ids.tolist(), competition.test))
    kept = {i: path for i, path in train.items() if i not in faults["train"]}
    if not kept:
        raise KitError(f"every train clip is bad, the first one so: {faults['train'][0]}")
    return (
        Sources(paths=kept, faults={}, left_out=faults["train"]),
        Sources(paths=test, faults=faults["test"], left_out={}),
    )


def _checked(competition, note, recipe, jobs):
    """What the note says or is to say, and faults by split and clip id: from it, or from a look at every clip."""
    clips = [*competition.train, *competition.test]
    identity = {"separator": recipe.separator, "seconds": recipe.seconds, "clips": fingerprint(clips)}
    earlier = read_json(note)
    if earlier is None:
        found = audio.check(clips, seconds=recipe.seconds, jobs=jobs)
        return identity, {
            "train": {i: found[path] for i, path in enumerate(competition.train) if path in found},
            "test": {int(i): found[path] for i, path in zip(competition.test_ids, competition.test) if path in found},
        }
    changed = [name for name, value in identity.items() if earlier.get(name) != value]
    if changed:
        what = {"clips": "other clips", "separator": "another separator", "seconds": "clips of another length"}
        raise KitError(
            f"{note.parent} was made from {listed(what[name] for name in changed)}; "
            "choose another output folder, or delete this one, features and members beside it to start anew."
        )
    faults = {split: {int(i): text for i, text in earlier["faults"][split].items()} for split in ("train", "test")}
    return identity, faults
