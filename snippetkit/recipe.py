"""Every choice of a run as one frozen dataclass of plain scalars, with three named instances.

The constants of the task (16 kHz, 299 frames, 40 bands) are defined here and nowhere else.
"""

import dataclasses
import difflib
import re
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points

from .utils.artifacts import digest
from .utils.errors import KitError

NETWORKS = "networks"   # the kind of members that are networks on log-mel features
OVER_TIME = "_frames"   # the end of the name of a view that keeps time
# The group of entry points by which other packages add models; see `models.build`.
MODEL_PLUGINS = "snippetkit.models"

# Frames and bands below which a model's layers have nothing left to pool; 1 and 1 for the others.
_SMALLEST_INPUTS = {"cnn3": (8, 8), "densenet121": (29, 29)}


def _field(part, default, meaning, *between, choices=(), plugins=""):
    """A field with its default, its meaning and unit, and its lowest and highest value or its choices."""
    metadata = {"part": part, "meaning": meaning, "between": between, "choices": choices, "plugins": plugins}
    return dataclasses.field(default=default, metadata=metadata)


# of the run, of the features, of a network on log-mel features, of a classifier on pretrained features, of any member,
# of any member on views
_run, _features, _member, _classifier, _both, _view = (
    partial(_field, part) for part in ("run", "features", "member", "classifier", "both", "view")
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The choices of a run. Some change the features, the others change a member of the ensemble.

    Raises
    ------
    KitError
        If a value has the wrong type or is out of range, or two values contradict each other.
    """

    members: int = _run(20, "networks in the ensemble", 0, 10_000)
    classifiers: str = _run("", "views of members on pretrained features, joined by +; kinds separated by commas")
    sequence_members: int = _run(5, "members of a kind on views over time", 1, 10_000)

    # features
    separator: str = _features("torch", "what removes the music", choices=("torch", "spleeter", "none"))
    fast_separation: bool = _features(False, "separate in half precision")
    sample_rate: int = _features(16_000, "Hz, of the sound", 1_000, 192_000)
    seconds: float = _features(3.0, "seconds, length of a clip", 0.05, 3_600)
    length: str = _features(
        "strict", "of other clips: fit cuts or pads by 0.1 s, any by any time", choices=("strict", "fit", "any")
    )
    preemphasis: float = _features(0.97, "factor a in y[t] = x[t] - a x[t-1]", 0, 1)
    frame_length: int = _features(400, "samples, 25 ms as published", 2, 2**20)
    hop: int = _features(160, "samples, 10 ms as published", 1, 2**20)
    pool: int = _features(1, "frames, averaged into one in dB", 1, 2**20)
    window: str = _features("hamming", "window of a frame", choices=("hamming", "hann"))
    n_fft: int = _features(1024, "samples, length of the FFT", 2, 2**20)
    second_n_fft: int = _features(0, "samples, frame and FFT of a second channel; 0: one channel", 0, 2**20)
    scale: str = _features("mel", "spacing of the bands", choices=("mel", "log"))
    n_mels: int = _features(40, "bands, on either scale", 1, 2_048)
    f_min: float = _features(0.0, "Hz, lower end of the bands", 0, 2**20)
    f_max: float = _features(8_000.0, "Hz, upper end of the bands", 0, 2**20)
    floor: float = _features(0.0, "least energy in a band; 0: only zeros are replaced", 0, 1)

    # data
    split: str = _both("random", "how the validation set is drawn", choices=("random", "songs"))
    valid_fraction: float = _both(0.3, "share of the clips, with split=random", 0.01, 0.99)
    folds: int = _both(5, "with split=songs: member i validates on fold i % folds", 2, 1_000)
    split_seed: int = _both(8, "seed of the split", 0, 2**31)
    standardise: bool = _member(False, "each band to mean 0 and deviation 1 (training set)")

    # model
    model: str = _member(
        "resnet34", "network on log-mel features", plugins=MODEL_PLUGINS,
        choices=("resnet34", "resnet18", "resnet50", "densenet121", "cnn3", "alexnet", "dense"),
    )
    dropout: float = _member(0.2, "before the last layer", 0, 0.99)

    # training
    epochs: int = _member(10, "passes over the training set", 1, 100_000)
    batch_size: int = _member(32, "clips", 2, 2**16)
    lr: float = _member(3e-4, "learning rate, the highest of the schedule", 0, 10)
    weight_decay: float = _member(1e-5, "of AdamW", 0, 10)
    schedule: str = _member("cosine_restarts", "of the learning rate", choices=("cosine_restarts", "one_cycle"))
    label_smoothing: float = _member(0.0, "share of the target that all classes share", 0, 0.99)
    class_weights: bool = _member(False, "weight the loss so that all classes count the same")
    oversample: bool = _member(False, "show clips of rare classes more often")
    focal: float = _member(0.0, "exponent of the focal loss; 0: cross-entropy", 0, 10)
    mixup: float = _member(0.0, "alpha of the Beta distribution; 0: off", 0, 100)
    crop: int = _member(0, "frames of a random crop; 0: whole clips", 0, 2**20)
    time_mask: int = _member(0, "frames, widest mask of SpecAugment; 0: off", 0, 2**20)
    band_mask: int = _member(0, "bands, widest mask of SpecAugment; 0: off", 0, 2**20)
    ema_decay: float = _member(0.0, "moving average of the weights per step; 0: off", 0, 0.99999)
    precision: str = _both("auto", "auto: the fastest of the device", choices=("auto", "fp32", "bf16", "fp16"))
    seed: int = _member(0, "member i starts from seed + i", 0, 2**31)

    # classifiers
    views: str = _classifier("", "views of a kind, joined by +; empty: log-mel features")
    semitones: float = _view(0.0, "views are also of clips that are so much faster and slower; 0: off", 0, 12)
    duets: int = _view(0, "sums of two clips with one voice, for training, as more than one voice", 0, 100_000)
    components: int = _classifier(512, "principal components that are kept", 1, 2**20)
    width: float = _classifier(0.5, "factor in the kernel exp(-width d² / mean squared length)", 0, 1_000)
    ridge: float = _classifier(0.25, "added to the diagonal of the kernel", 1e-9, 1e9)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        if self.frame_length > self.n_fft:
            raise KitError(f"frame_length={self.frame_length} is longer than n_fft={self.n_fft}.")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise KitError(
                f"f_min={self.f_min} must be below f_max={self.f_max}, and f_max at most half the sample rate, "
                f"{self.sample_rate / 2} Hz."
            )
        if self.scale == "log" and not self.f_min:
            raise KitError("scale=log needs f_min above 0: the logarithm of 0 is undefined.")
        if 0 < self.second_n_fft < self.frame_length:
            raise KitError(f"second_n_fft={self.second_n_fft} is shorter than frame_length={self.frame_length}.")
        if self.class_weights and self.oversample:
            raise KitError("class_weights and oversample both correct the class imbalance. Choose one.")
        self._require_size()
        names = [views.split("+") for views in self.classifiers.split(",")] if self.classifiers else []
        if not all(map(all, names)) or len({frozenset(views) for views in names}) < len(names):
            raise KitError(
                f"classifiers={self.classifiers} is invalid. Join the views of a classifier by +, separate classifiers "
                "by commas, and name each once."
            )
        for views in [*names, self.views.split("+")]:
            if len({name.endswith(OVER_TIME) for name in views}) > 1:
                raise KitError(f"{'+'.join(views)}: all views of a kind must end in {OVER_TIME}, or none.")
        if self.separator == "none" and "_vocals" in self.classifiers + self.views:
            raise KitError(
                "views of the vocals need them separated. Leave separator=none out, or go without classifiers: set "
                "classifiers= too."
            )
        if self.fast_separation and self.separator != "torch":
            raise KitError(f"fast_separation works with separator=torch only, not with {self.separator}.")

    @classmethod
    def published(cls):
        """The recipe of the published solution; all values are the same."""
        return cls()

    @classmethod
    def best(cls):
        """The kit's own recipe: what pretrained networks hear in vocals and mixture, and the published networks.

        Models on pretrained features are also trained on clips that are faster and slower, and on sums of two voices.
        """
        # none on the mixture alone: other speeds and duets make such a classifier worse
        kinds = ",".join([_ALL, _VOCALS, _OVER_TIME])
        return cls(split="songs", members=5, classifiers=kinds, semitones=1.0, duets=1000)

    @classmethod
    def quick(cls):
        """Classifiers on pretrained features of vocals and mixture; no network is trained."""
        return cls(split="songs", members=0, classifiers=",".join([_ALL, _VOCALS, "musicnn_mixture"]))

    @classmethod
    def named(cls, name):
        """The recipe with this name: 'published', 'best' or 'quick'."""
        recipes = {"published": cls.published, "best": cls.best, "quick": cls.quick}
        if name not in recipes:
            raise KitError(f"there is no recipe {name!r}. Choose one of {', '.join(recipes)}.")
        return recipes[name]()

    def with_values(self, **values):
        """The same recipe with other values.

        Raises
        ------
        KitError
            If a name is unknown (the message lists the valid ones) or a value is invalid.

        Examples
        --------
        >>> Recipe.published().with_values(n_mels=64).n_mels
        64
        """
        for name in values:
            if name not in _FIELDS:
                close = difflib.get_close_matches(name, _FIELDS, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise KitError(f"a recipe has no {name!r}{hint}. It has {', '.join(_FIELDS)}.")
        return dataclasses.replace(self, **values)

    def with_settings(self, settings):
        """The same recipe with other values, given as text.

        Parameters
        ----------
        settings : iterable of str
            Each ``name=value``, as on the command line.

        Raises
        ------
        KitError
            If a setting has another form; as `with_values`.

        Examples
        --------
        >>> Recipe.published().with_settings(["epochs=3"]).epochs
        3
        """
        values = {}
        for setting in settings:
            name, equals, text = map(str.strip, setting.partition("="))
            if not equals:
                raise KitError(f"setting {setting!r} is invalid. Write name=value.")
            values[name] = _parsed(_FIELDS[name], text) if name in _FIELDS else text
        return self.with_values(**values)

    def kinds(self):
        """The kinds of members that this recipe trains.

        Returns
        -------
        dict
            Name to Recipe: NETWORKS to the recipe itself, and the views of each further kind to its own recipe. Of a
            classifier there is one member per fold (with a random split, one member), of networks on views over time
            there are ``sequence_members``. These have a training of their own, `_SEQUENCE`: epochs, learning rate,
            augmentation and so on are not those of this recipe.

        Raises
        ------
        KitError
            If there are none.
        """
        if not (self.members or self.classifiers):
            raise KitError("members=0 and no classifiers: there is nothing to train.")
        kinds = {NETWORKS: self} if self.members else {}
        for views in filter(None, self.classifiers.split(",")):
            kind = dataclasses.replace(self, members=1, classifiers="", views=views)
            if kind.is_network:
                kinds[views] = dataclasses.replace(kind, members=self.sequence_members, **_SEQUENCE)
            else:   # fitted at once, and always with the same result, so another member of a fold adds nothing
                kinds[views] = dataclasses.replace(kind, members=self.folds if self.split == "songs" else 1)
        return kinds

    @property
    def is_network(self):
        """Whether a member is trained epoch by epoch; otherwise it is a classifier that is fitted at once."""
        return not self.views or self.views.endswith(OVER_TIME)

    def views_of_classifiers(self):
        """Names of the views that the classifiers use, each once, in order."""
        return list(dict.fromkeys(name for name in re.split("[+,]", self.classifiers) if name))

    def part(self, part):
        """The choices of one part as a dict: 'features', or 'member', which includes the features.

        The part of a member of a classifier has the fields of classifiers, that of a network the fields of networks;
        one on views over time has its views instead of a model.
        """
        kinds = ("member" if self.is_network else "classifier", "both", *(["view"] if self.views else []))
        parts = {"features": ("features",), "member": ("features", *kinds)}[part]
        values = {name: getattr(self, name) for name, field in _FIELDS.items() if field.metadata["part"] in parts}
        if self.views and self.is_network and part == "member":
            values |= {"views": self.views}
            del values["model"]     # is that of log-mel features
        return values

    def describe(self):
        """Every choice as a dict of ``name``, ``value``, ``meaning`` and ``allowed``: a range or choices, as text."""
        rows = []
        for name, field in _FIELDS.items():
            between = [f"{bound:.10g}" for bound in field.metadata["between"]]
            allowed = ["true", "false"] if field.type is bool else field.metadata["choices"]
            rows.append({
                "name": name, "value": getattr(self, name), "meaning": field.metadata["meaning"],
                "allowed": " to ".join(between) or ", ".join(allowed),
            })
        return rows

    def hash(self, part):
        """Twelve hexadecimal digits that change when a choice of this part changes."""
        return digest(self.part(part))

    def _require_size(self):
        """Refuse features that are too small for the model."""
        smallest = smallest_input(self.model)
        frames = min(self.crop, self.frames) or self.frames
        if frames < smallest[0] or self.n_mels < smallest[1]:
            raise KitError(
                f"model={self.model} needs {smallest[0]} frames and {smallest[1]} bands or more. This recipe gives it "
                f"{frames} and {self.n_mels}: change seconds, hop, pool, crop or n_mels, or choose another model."
            )

    @property
    def frames(self):
        """Frames of a clip; `filterbank.shape_of` counts those of any signal."""
        return max(1, (1 + max(0, -(-(self.samples - self.frame_length) // self.hop))) // self.pool)

    @property
    def channels(self):
        """Channels of the input: spectra; on views, speeds."""
        return len(self.speeds) if self.views else 1 + (self.second_n_fft > 0)

    @property
    def speeds(self):
        """Semitones by which clips of views are faster; that of the clip itself is first."""
        return (0.0, self.semitones, -self.semitones) if self.semitones else (0.0,)

    @property
    def samples(self):
        """Samples of a clip at the recipe's rate."""
        return round(self.seconds * self.sample_rate)


# Another training, for networks on the mixture and for small data: few songs and noisy labels let a network overfit
# within a few epochs, and these choices are meant to reduce that. An epoch uses two of the three seconds of each clip.
# A ResNet18 is not measurably worse than a ResNet34 there, and takes a quarter of its time.
LIGHT_TRAINING = {
    "standardise": True, "model": "resnet18", "epochs": 6, "lr": 1e-3, "weight_decay": 1e-2, "schedule": "one_cycle",
    "label_smoothing": 0.05, "mixup": 0.3, "crop": 200, "time_mask": 30, "band_mask": 8, "ema_decay": 0.99,
}
# views of kinds of members
_ALL = "musicnn_mixture+musicnn_vocals+voice_vocals+notes_vocals"
_VOCALS = "musicnn_vocals+voice_vocals"
_OVER_TIME = "+".join(f"{network}_vocals{OVER_TIME}" for network in ("musicnn", "voice", "notes"))

# Networks on views over time; they see 48 frames of some thousand channels, so they need little training.
_SEQUENCE = {
    "dropout": 0.4, "standardise": True, "epochs": 12, "batch_size": 64, "lr": 2e-3,
    "weight_decay": 2e-2, "schedule": "one_cycle", "label_smoothing": 0.05, "mixup": 0.3, "ema_decay": 0.99,
    "crop": 0, "time_mask": 0, "band_mask": 0, "class_weights": False, "oversample": False, "focal": 0.0,
}

_FIELDS = {field.name: field for field in dataclasses.fields(Recipe)}


def load_plugin(model):
    """The callable that an installed package registers under this name, or None.

    Raises
    ------
    KitError
        If it cannot be imported.
    """
    for plugin in entry_points(group=MODEL_PLUGINS, name=model):
        try:
            return plugin.load()
        except ModuleNotFoundError as error:
            raise KitError(f"model {model!r} cannot be imported ({error}). Install it again.") from error
    return None


def smallest_input(model):
    """Frames and bands that a model needs; a plugin states them in its attribute ``smallest_input``."""
    if model in _FIELDS["model"].metadata["choices"]:   # no search of the installed packages, which takes 10 ms
        return _SMALLEST_INPUTS.get(model, (1, 1))
    return getattr(load_plugin(model), "smallest_input", (1, 1))


def _checked(field, value):
    """The value of a field, with the field's type."""
    # An int is accepted for a float. A bool is not accepted for an int, although bool is a subclass of int.
    if field.type is float and type(value) is int:
        value = float(value)
    if type(value) is not field.type:
        raise _wrong_type(field, value)
    name, choices, plugins = field.name, field.metadata["choices"], field.metadata["plugins"]
    if choices and value not in choices:
        choices += tuple(sorted(entry_points(group=plugins).names)) if plugins else ()
        if value not in choices:
            raise KitError(f"{name}={value!r} is unknown. Choose one of {', '.join(choices)}.")
    low, high = field.metadata["between"] or (value, value)
    if not low <= value <= high:
        raise KitError(f"{name}={value} is out of range. It must be between {low} and {high}.")
    return value


def _parsed(field, text):
    try:
        return {"true": True, "false": False}[text.lower()] if field.type is bool else field.type(text)
    except (KeyError, ValueError):
        raise _wrong_type(field, text) from None


def _wrong_type(field, value):
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return KitError(f"{field.name}={value!r} has the wrong type. It must be {kinds[field.type]}.")
