"""A folder of songs becomes a fingerprint index on disk, which grows with the folder and identifies recordings."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from lab.sounds import MELODIES, RATE, melody, noisy

from snippetkit.__main__ import main
from snippetkit.lab.identify.answers import UNKNOWN
from snippetkit.lab.identify.folder import IndexedSongs
from snippetkit.utils.errors import KitError


@pytest.fixture
def folder(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for name in "abc":
        soundfile.write(songs / f"{name}.wav", MELODIES[name], RATE)
    return songs


def fragment(name):
    return noisy(MELODIES[name][RATE : 8 * RATE])


def test_a_recording_is_identified_and_an_unknown_one_is_not(folder, tmp_path):
    songs = IndexedSongs(folder, tmp_path / "index.npz")
    answer = songs.answer(fragment("b"))
    assert answer.title == next(iter(answer.top)) == "b"
    assert [(seconds, title) for seconds, title, _ in answer.over_time] == [(5.0, "b")]
    unknown = songs.answer(noisy(melody(20, 8)))
    assert unknown.title == UNKNOWN and unknown.describe().startswith("unknown song: no song has 12 pairs")
    assert songs.answer(np.zeros(6 * RATE, np.float32)).over_time == [(5.0, UNKNOWN, 0)]


def test_the_index_grows_with_the_folder_and_forgets_what_is_gone(folder, tmp_path):
    path = tmp_path / "index.npz"
    assert IndexedSongs(folder, path).index.names == list("abc")
    made = path.stat().st_mtime_ns
    assert IndexedSongs(folder, path).index.names == list("abc") and path.stat().st_mtime_ns == made
    soundfile.write(folder / "d.wav", MELODIES["d"], RATE)
    grown = IndexedSongs(folder, path)
    assert grown.index.names == list("abcd") and grown.answer(fragment("d")).title == "d"
    soundfile.write(folder / "a.wav", melody(30, 14), RATE)     # another song under an old name
    (folder / "c.wav").unlink()
    changed = IndexedSongs(folder, path)
    assert changed.index.names == list("abd")
    assert changed.answer(fragment("a")).title == changed.answer(fragment("c")).title == UNKNOWN


def test_an_index_whose_record_is_older_is_made_anew(folder, tmp_path, capsys):
    path = tmp_path / "index.npz"
    IndexedSongs(folder, path)
    older = path.with_suffix(".json").read_text()
    soundfile.write(folder / "d.wav", MELODIES["d"], RATE)
    IndexedSongs(folder, path)
    path.with_suffix(".json").write_text(older)     # as if the process was killed before it wrote the record
    assert sorted(IndexedSongs(folder, path).index.names) == list("abcd")
    assert "not in the index" not in "".join(capsys.readouterr())


def test_recordings_without_a_fingerprint_are_named_and_not_decoded_again(folder, tmp_path, capsys, monkeypatch):
    (folder / "broken.mp3").write_text("no music\n" * 99)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    assert IndexedSongs(folder, tmp_path / "index.npz").index.names == list("abc")
    assert "2 recordings are not in the index" in (output := "".join(capsys.readouterr()))
    assert "broken.mp3" in output and "silent" in output
    with monkeypatch.context() as patch:
        patch.setattr("snippetkit.lab.identify.folder.parallel_map", None)
        assert IndexedSongs(folder, tmp_path / "index.npz").index.names == list("abc")
    assert "2 recordings are not in the index" in "".join(capsys.readouterr())
    soundfile.write(folder / "silent.wav", MELODIES["d"], RATE)
    assert IndexedSongs(folder, tmp_path / "index.npz").index.names == ["a", "b", "c", "silent"]


def test_two_recordings_of_a_name_are_refused(folder, tmp_path):
    soundfile.write(folder / "a.flac", MELODIES["a"], RATE)
    with pytest.raises(KitError, match="several recordings named .*. Rename or remove some"):
        IndexedSongs(folder, tmp_path / "index.npz")


def test_the_command_identifies_by_a_folder_of_songs(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("snippetkit.lab.identify.folder.runs_folder", lambda: tmp_path / "runs")
    recording = tmp_path / "recording.wav"
    soundfile.write(recording, fragment("c"), RATE)
    result = CliRunner().invoke(main, ["identify", str(recording), "--songs", str(folder)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[1] == "c" and int(lines[0].split()[0]) >= 12 and lines[-1].startswith("over time: after 5")
    assert (tmp_path / "runs" / "songs-songs.npz").exists()
    table = tmp_path / "table.csv"
    result = CliRunner().invoke(main, ["identify", str(folder), "--songs", str(folder), "--out", str(table)])
    assert result.exit_code == 0 and "pairs_1" in table.read_text()
