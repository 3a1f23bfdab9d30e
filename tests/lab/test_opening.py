"""What notebook 07 is asked for and cannot have is a sentence before anything is made."""

import pytest

from snippetkit.lab.singers import opening
from snippetkit.lab.singers.opening import open_study
from snippetkit.utils.errors import KitError


@pytest.fixture(autouse=True)
def nothing_is_missing(monkeypatch):
    monkeypatch.setattr(opening, "_PACKAGES", ())


@pytest.mark.parametrize("asked, sentence", [
    ({"networks": "resnet18 vgg"}, "there is no model 'vgg'"),
    ({"networks": "lab.crn"}, "there is no model 'lab.crn'; choose one of .*lab.crnn"),
    ({"networks": "lab.wave"}, "lab.wave takes samples and is trained on them in any case"),
    ({"kinds": "MFCC, mfcc"}, "there is no input 'mfcc'; choose some of constant-Q"),
    ({"versions": -1}, "versions=-1 is no number of changed versions; give 0 or more"),
    ({"recording": "nowhere.mp3"}, "there is no recording nowhere.mp3"),
    ({"judged": 9}, "judged=9 is no number of folds to judge everything in; give 1 to 5"),
    ({"judged": "all"}, "judged='all' is no number of folds"),
    ({"judged": 0}, "judged=0 is no number of folds"),
    ({"judged": 3}, "judged=3, but no member holds out fold 2; judge in fewer folds, or train more members"),
    ({"run": "nowhere"}, "nowhere is no work folder with finished members"),
])
def test_what_cannot_be_had_is_a_sentence(asked, sentence, tmp_path):
    with pytest.raises(KitError, match=sentence):
        open_study(tmp_path, out=tmp_path / "out", **asked)
    assert not list(tmp_path.rglob("*.*"))


def test_a_run_is_asked_for_its_clips_and_nothing_is_made_in_it(tmp_path):
    done = tmp_path / "run" / "members" / "member_00" / "done.json"
    done.parent.mkdir(parents=True)
    done.write_text("{}")
    for data, sentence in (("", "say where the clips are that .*run was made from"), ("/nope", "no data folder /nope")):
        with pytest.raises(KitError, match=sentence):
            open_study(data, tmp_path / "run", tmp_path / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [done]
