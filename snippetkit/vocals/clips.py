"""Check every clip of a run and list the files that features are computed from.

Nothing is separated here.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import audio
from ..utils.artifacts import claim, digest, fingerprint, require_match, write_record
from ..utils.errors import KitError
from ..utils.progress import say


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
        Clip id to the message that says what is wrong, for test clips that could only be salvaged.
    left_out : dict
        The same, for train clips that are not in `paths`.
    fingerprint : str
        Changes with any clip of the split, and with those left out.
    weights : str or None
        Fingerprint of the weights that the vocals were separated with; None if there are no vocals (yet).
    """

    clips: dict
    paths: dict
    faults: dict
    left_out: dict
    fingerprint: str
    weights: str | None = None

    @property
    def ids(self):
        """Ids of the clips: list of int."""
        return list(self.paths)

    def load(self, clip, sound, recipe, rate):
        """The 'mixture' or the 'vocals' of a clip: ndarray, shape (samples,), at a rate in Hz."""
        files = self.paths if sound == "vocals" else self.clips
        return audio.load_clip(files[clip], recipe, is_bad=clip in self.faults, sample_rate=rate)


def check_clips(competition, folder, recipe, *, on_bad="fail", jobs=-1):
    """Check all clips, or read the result of an earlier check, and say how many are cut or padded (see ``length``).

    Parameters
    ----------
    competition : Competition
    folder : path-like
        ``vocals`` in the work folder.
    recipe : Recipe
    on_bad : str
        'fail' raises if any clip is bad. 'skip' leaves bad train clips out and salvages bad test clips, since every
        test clip needs a prediction.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    train, test : Sources

    Raises
    ------
    KitError
        If clips are bad and `on_bad` is 'fail' (the message names them), or the folder was made from other clips or
        with another separator.
    """
    check_on_bad(on_bad)
    folder = Path(folder)
    weights = recorded_weights(folder, recipe)
    splits = {
        "train": dict(enumerate(competition.train)),
        "test": dict(zip(competition.test_ids.tolist(), competition.test)),
    }
    prints = {split: fingerprint(clips.values()) for split, clips in splits.items()}
    made_by = {"seconds": recipe.seconds, "length": recipe.length, "clips": digest(prints)}
    record = require_match(folder / "clips.json", made_by, artifact=folder, delete=_delete(folder))
    if record:
        faults = {split: {int(i): text for i, text in record["faults"][split].items()} for split in splits}
        excess = record["excess"]
    else:
        clips = [path for clips in splits.values() for path in clips.values()]
        messages, excess = audio.find_faults(clips, seconds=recipe.seconds, length=recipe.length, jobs=jobs)
        excess = list(excess.values())
        faults = {
            split: {i: messages[path] for i, path in clips.items() if path in messages}
            for split, clips in splits.items()
        }
    count = len(competition.train) + len(competition.test)
    if on_bad == "fail":
        _refuse_faults(faults, count, recipe)
    # Only now, so that the folder does not belong to other clips once the bad ones are replaced.
    if not record:
        write_record(folder / "clips.json", made_by, faults=faults, excess=excess)
    if excess:
        cut = sum(seconds > 0 for seconds in excess)
        # with any length, a clip is not decoded to its end
        most = f", by {max(map(abs, excess)):.3f} s at most" if recipe.length == "fit" else ""
        say(f"length={recipe.length}: of {count} clips, {cut} are cut and {len(excess) - cut} padded with silence to "
            f"{recipe.seconds:g} s{most}")
    if recipe.separator == "none":
        record_separation(folder, recipe)
    if len(faults["train"]) == len(competition.train):
        raise KitError(f"every train clip is bad. The first one: {faults['train'][0]}")
    left_out, salvaged = {"train": faults["train"], "test": {}}, {"train": {}, "test": faults["test"]}
    sources = []
    for split, clips in splits.items():
        clips = {i: path for i, path in clips.items() if i not in left_out[split]}
        paths = clips if recipe.separator == "none" else {i: folder / split / f"{i}.flac" for i in clips}
        content = digest([prints[split], list(left_out[split])])
        sources.append(Sources(clips, paths, salvaged[split], left_out[split], content, weights))
    return tuple(sources)


def check_on_bad(on_bad):
    """Refuse a value that is neither fail nor skip."""
    if on_bad not in ("fail", "skip"):
        raise KitError(f"on_bad={on_bad!r} is unknown. Choose fail or skip.")


def recorded_weights(folder, recipe):
    """Fingerprint of the weights that a folder's vocals were separated with; None if there are none (yet).

    Raises
    ------
    KitError
        If they were made with other choices than the recipe's, or how they were made is unknown.
    """
    folder = Path(folder)
    is_begun = next(folder.glob("*/*.flac"), None) is not None
    note = folder / "separation.json"
    record = require_match(note, _choices(recipe), artifact=folder, exists=is_begun, delete=_delete(folder))
    return record and record["made_by"]["weights"]


def record_separation(folder, recipe, weights=None):
    """Record how a folder of vocals is made, or check the record that is there.

    Parameters
    ----------
    folder : path-like
    recipe : Recipe
    weights : str or None
        As `checkpoint.fingerprint` returns it; None if nothing is separated.

    Raises
    ------
    KitError
        If the vocals there were made, or begun, differently.
    """
    made_by = {**_choices(recipe), "weights": weights}
    claim(Path(folder) / "separation.json", made_by, artifact=folder, delete=_delete(folder))


def _choices(recipe):
    return {"separator": recipe.separator, "fast_separation": recipe.fast_separation}


def _delete(folder):
    return f"{folder} and the features and members beside it"


def _refuse_faults(faults, clips, recipe, *, most=20):
    bad = [message for split in faults.values() for message in split.values()]
    if bad:
        fit = "" if recipe.length == "any" else (
            " Clips of another length can be cut or padded: --set length=any, or --set length=fit for those that are "
            f"at most {audio.TOLERANCE:g} s too long or too short. If all clips have 5 s: --set seconds=5. In a "
            "notebook: settings = \"length=any\"."
        )
        raise KitError(
            f"{len(bad)} of {clips} clips are bad:\n  "
            + "\n  ".join(bad[:most]) + (f"\n  and {len(bad) - most} more" if len(bad) > most else "")
            + "\nReplace them, or leave bad train clips out and salvage bad test clips: "
            f"--on-bad skip, or on_bad = \"skip\".{fit}"
        )
