"""What notebooks and the command line are given, as the type that a parameter has.

papermill reads ``-p data 2024`` as a number, ``-p songs None`` as None, and lists from YAML.
"""

import os

from .errors import KitError


def text(value):
    """The text of a parameter: "" for None; the entries of a list or mapping are separated by spaces.

    Examples
    --------
    >>> text(2024), text(None), text(["epochs=3", "lr=0.1"]), text({"epochs": 3})
    ('2024', '', 'epochs=3 lr=0.1', 'epochs=3')
    """
    if isinstance(value, dict):
        value = [f"{name}={text(each)}" for name, each in value.items()]
    if isinstance(value, (list, tuple)):
        return " ".join(map(text, value))
    return "" if value is None else str(value)


def path(value):
    """The path of a parameter as text, with ``~`` expanded; "" for None.

    Raises
    ------
    KitError
        If it is not UTF-8, as everything that a notebook contains.
    """
    value = os.path.expanduser(text(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise KitError(f"the name {os.fsencode(value)} is not UTF-8, as notebooks need. Rename it.") from None
    return value


def paths(value):
    """Several paths: a list, or text in which commas separate them."""
    parts = value if isinstance(value, (list, tuple)) else map(str.strip, text(value).split(","))
    return [path(part) for part in parts if text(part)]


def number(name, value, kind=float):
    """The number of a parameter, 0 for None.

    Parameters
    ----------
    name : str
        For the message.
    value : number, str or None
    kind : type
        float, or int for a whole number.

    Raises
    ------
    KitError

    Examples
    --------
    >>> number("members", "3", int), number("neighbours", None)
    (3, 0.0)
    """
    try:
        result = kind(value or 0)
        if isinstance(value, bool) or not result == float(value or 0):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise KitError(f"{name}={value!r} is not a {'whole ' if kind is int else ''}number.") from None
    return result


def flag(name, value):
    """The truth of a parameter: papermill passes ``true`` and ``false`` on as words."""
    values = {"true": True, "1": True, "false": False, "0": False, "": False}
    if text(value).lower() not in values:
        raise KitError(f"{name}={value!r} is not true or false.")
    return values[text(value).lower()]
