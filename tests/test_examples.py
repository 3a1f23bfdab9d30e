"""The examples in the docstrings of the kit, run by doctest."""

import doctest
import importlib

import pytest

from snippetkit.utils.paths import project_folder

MODULES = [
    ".".join(path.relative_to(project_folder()).with_suffix("").parts)
    for path in sorted((project_folder() / "snippetkit").rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_give_the_results_that_they_show(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted and not results.failed
