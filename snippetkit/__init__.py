"""Classify 3-second music snippets by their singers: no voice, one male voice, one female voice, or more than one.

Importing the package imports none of its modules, so it takes no time. What a notebook needs has a name here, which is
imported when it is first used.

Examples
--------
>>> import snippetkit as sk
>>> sk.Recipe.published().n_mels
40
"""

from importlib import import_module

__version__ = "0.1.0"

# Name to its module and its name there; a module of its own has no second name.
_NAMES = {
    "Recipe": ("recipe", "Recipe"),
    "SnippetDataset": ("dataset", "SnippetDataset"),
    "figures": ("figures", None),
    "load": ("prediction.predictor", "Predictor"),
    "log_mel": ("features.extraction", "log_mel_of"),
    "models": ("models", None),
}


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = _NAMES[name]
    found = import_module(f".{module}", __name__)
    return getattr(found, inside) if inside else found


def __dir__():
    return [*globals(), *_NAMES]
