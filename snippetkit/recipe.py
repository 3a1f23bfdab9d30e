"""Every choice of a run in one frozen dataclass of plain scalars, with two named instances.

The constants of the task (16 kHz, 299 frames, 40 bands) have their only home here. Nothing here computes sound.
"""

import dataclasses
import difflib
from dataclasses import dataclass, field

from .utils.errors import KitError
from .utils.fingerprints import digest

LAB = "lab."    # how the names of models begin that are not the core's

# The words that a choice may take. The modules that carry a choice out look it up by the same word.
CHOICES = {
    "separator": ("torch", "spleeter", "none"),
    "window": ("hamming", "hann"),
    "scale": ("mel", "log"),
    "split": ("random", "songs"),
    "model": ("resnet34", "resnet18", "resnet50", "densenet121", "cnn3", "alexnet", "dense"),
    "schedule": ("cosine_restarts", "one_cycle"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}


def _features(default):
    return field(default=default, metadata={"part": "features"})


def _member(default):
    return field(default=default, metadata={"part": "member"})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The choices of a run. Each field belongs to a part: what changes the features, what changes a member.

    Raises
    ------
    KitError
        If a value has the wrong type or cannot be meant.
    """

    members: int = 20                   # networks in the ensemble

    # features
    separator: str = _features("torch")     # what takes the music away before anything else
    fast_separation: bool = _features(False)    # in half precision
    sample_rate: int = _features(16_000)    # Hz
    seconds: float = _features(3.0)         # length of a clip
    preemphasis: float = _features(0.97)    # y[t] = x[t] - 0.97 x[t-1]
    frame_length: int = _features(400)      # samples: 25 ms
    hop: int = _features(160)               # samples: 10 ms
    pool: int = _features(1)                # frames that are averaged into one, in dB
    window: str = _features("hamming")
    n_fft: int = _features(1024)
    second_n_fft: int = _features(0)        # frame and FFT of a second spectrum, a channel of its own; 0: none
    scale: str = _features("mel")           # of the bands
    n_mels: int = _features(40)             # bands, on whichever scale
    f_min: float = _features(0.0)           # Hz
    f_max: float = _features(8_000.0)       # Hz
    floor: float = _features(0.0)           # of the energy in a band; 0: only zeros are replaced

    # data
    split: str = _member("random")          # which clips are held out
    valid_fraction: float = _member(0.3)    # of the clips, where they are drawn at random
    folds: int = _member(5)                 # where songs are kept apart: member i is kept from fold i modulo folds
    split_seed: int = _member(8)
    standardise: bool = _member(False)      # each band to mean 0 and deviation 1 over the training clips

    # model
    model: str = _member("resnet34")
    dropout: float = _member(0.2)           # before the last layer

    # training
    epochs: int = _member(10)
    batch_size: int = _member(32)
    lr: float = _member(3e-4)               # the highest that the schedule reaches
    weight_decay: float = _member(1e-5)
    schedule: str = _member("cosine_restarts")
    label_smoothing: float = _member(0.0)
    class_weights: bool = _member(False)    # a clip of a rare class counts more, so that all classes count the same
    oversample: bool = _member(False)       # or it is shown more often
    focal: float = _member(0.0)             # exponent by which clips that are easy already count less; 0: they do not
    mixup: float = _member(0.0)             # alpha of the Beta distribution; 0: off
    crop: int = _member(0)                  # frames of a clip that are shown at a time while training; 0: all
    time_mask: int = _member(0)             # frames that SpecAugment may blank at once; 0: off
    band_mask: int = _member(0)             # bands, likewise
    ema_decay: float = _member(0.0)         # weights averaged over the steps; 0: off
    precision: str = _member("auto")        # auto: the fastest that the device has units for
    seed: int = _member(0)                  # member i starts from seed + i

    def __post_init__(self):
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, _typed(each, getattr(self, each.name)))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices and not (name == "model" and self.model.startswith(LAB)):
                raise KitError(f"{name}={getattr(self, name)!r} is not known; choose one of {', '.join(choices)}.")
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise KitError(f"{name}={getattr(self, name)} is out of range; it lies between {low} and {high}.")
        self._check_spectrum()

        if self.class_weights and self.oversample:
            raise KitError("class_weights and oversample are two answers to the same thing; choose one.")
        if self.fast_separation and self.separator != "torch":
            raise KitError(f"fast_separation is for separator=torch; it cannot make {self.separator} faster.")

    def _check_spectrum(self):
        if self.frame_length > self.n_fft:
            raise KitError(f"frame_length={self.frame_length} does not fit into n_fft={self.n_fft}.")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise KitError(
                f"f_min={self.f_min} and f_max={self.f_max} must lie in this order "
                f"between 0 and half the sample rate, {self.sample_rate / 2} Hz."
            )
        if self.scale == "log" and not self.f_min:
            raise KitError("scale=log cannot begin at f_min=0: frequency 0 has no logarithm.")
        if 0 < self.second_n_fft < self.frame_length:
            raise KitError(f"second_n_fft={self.second_n_fft} is shorter than frame_length={self.frame_length}.")

    @classmethod
    def published(cls):
        """The recipe of the published solution, number by number."""
        return cls()

    @classmethod
    def best(cls):
        """The kit's own recipe: the published features and network, trained in another way, by folds of songs.

        Few songs and many wrong labels are learned by heart in a few epochs; all that is changed here works against
        that. An epoch shows two seconds of a clip and is that much shorter, so there are more of them in the same time.
        """
        return cls(
            split="songs",
            standardise=True,
            epochs=13,
            lr=1e-3,
            weight_decay=1e-2,
            schedule="one_cycle",
            label_smoothing=0.05,
            mixup=0.3,
            crop=200,
            time_mask=30,
            band_mask=8,
            ema_decay=0.99,
        )

    @classmethod
    def named(cls, name):
        """The recipe called `name`: 'published' or 'best'."""
        recipes = {"published": cls.published, "best": cls.best}
        if name not in recipes:
            raise KitError(f"there is no recipe {name!r}; choose one of {', '.join(recipes)}.")
        return recipes[name]()

    @classmethod
    def from_dict(cls, values):
        """The recipe with these choices, such as `part` gave them; what is not among them is as published."""
        _refuse_unknown(values)
        return cls(**values)

    def having(self, **changes):
        """The same recipe with other values.

        Raises
        ------
        KitError
            If a name is unknown (the sentence lists the names there are) or a value has the wrong type.
        """
        _refuse_unknown(changes)
        return dataclasses.replace(self, **changes)

    def having_settings(self, settings):
        """The same recipe with other values, given as text.

        Parameters
        ----------
        settings : iterable of str
            ``name=value`` each, as on the command line.
        """
        pairs = dict(_name_and_text(setting) for setting in settings)
        _refuse_unknown(pairs)
        return self.having(**{name: _parsed(_FIELDS[name], text) for name, text in pairs.items()})

    def part(self, part):
        """The choices of one part as a dict; 'member' includes 'features', since a member depends on both."""
        parts = {"features": ("features",), "member": ("features", "member")}[part]
        return {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self) if each.metadata.get("part") in parts
        }

    def hash(self, part):
        """Twelve hexadecimal digits that change when a choice of this part changes."""
        return digest(self.part(part))

    @property
    def channels(self):
        """Spectra that a network sees, each a channel."""
        return 2 if self.second_n_fft else 1

    @property
    def samples(self):
        """Samples of a clip at the recipe's rate."""
        return round(self.seconds * self.sample_rate)


_FIELDS = {each.name: each for each in dataclasses.fields(Recipe)}

_RANGES = {
    "members": (1, 10_000), "sample_rate": (1_000, 192_000), "seconds": (0.05, 3_600), "preemphasis": (0, 1),
    "frame_length": (2, 2**20), "hop": (1, 2**20), "n_fft": (2, 2**20), "second_n_fft": (0, 2**20), "pool": (1, 2**20),
    "n_mels": (1, 2_048), "floor": (0, 1),
    "valid_fraction": (0.01, 0.99), "folds": (2, 1_000), "dropout": (0, 0.99), "epochs": (1, 100_000),
    "batch_size": (2, 2**16), "lr": (0, 10), "weight_decay": (0, 10), "label_smoothing": (0, 0.99),
    "focal": (0, 10), "mixup": (0, 100),
    "crop": (0, 2**20), "time_mask": (0, 2**20), "band_mask": (0, 2**20), "ema_decay": (0, 0.99999), "seed": (0, 2**31),
    "split_seed": (0, 2**31),
}


def completed(values, part):
    """The choices of a part as an earlier version of the kit wrote them: what it did not know was as published."""
    return {**Recipe.published().part(part), **values}


def _refuse_unknown(names):
    for name in names:
        if name not in _FIELDS:
            close = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise KitError(f"a recipe has no {name!r}{hint}; it has {', '.join(_FIELDS)}.")


def _name_and_text(setting):
    name, equals, text = setting.partition("=")
    if not equals:
        raise KitError(f"{setting!r} is not of the form name=value.")
    return name.strip(), text.strip()


def _typed(each, value):
    # An int will do for a float; a bool will not do for an int, though Python thinks so.
    if each.type is float and type(value) is int:
        return float(value)
    if type(value) is not each.type:
        raise _wrong_type(each, value)
    return value


def _parsed(each, text):
    words = {"true": True, "false": False}
    try:
        return words[text.lower()] if each.type is bool else each.type(text)
    except (KeyError, ValueError):
        raise _wrong_type(each, text) from None


def _wrong_type(each, value):
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return KitError(f"{each.name}={value!r} has the wrong type: it must be {kinds[each.type]}.")
