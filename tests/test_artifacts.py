import pytest

from snippetkit.recipe import Recipe
from snippetkit.utils.artifacts import difference, fingerprint
from snippetkit.utils.errors import KitError


def test_a_difference_is_named():
    base = Recipe.published()
    assert difference(base.part("member"), base.with_values(epochs=3).part("member")) == "epochs=10, there 3"


def test_the_fingerprint_notices_every_change_of_a_folder(tmp_path):
    one, two = tmp_path / "1.mp3", tmp_path / "2.mp3"
    one.write_bytes(bytes(5000))
    two.write_bytes(bytes(5000))
    before = fingerprint([one, two])
    assert fingerprint([one, two]) == before
    assert fingerprint([one]) != before
    assert fingerprint([two, one]) != before
    two.write_bytes(bytes(2500) + b"x" + bytes(2499))
    assert fingerprint([one, two]) != before
    with pytest.raises(KitError, match="3.mp3 cannot be read"):
        fingerprint([tmp_path / "3.mp3"])
