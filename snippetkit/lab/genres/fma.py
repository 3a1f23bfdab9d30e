"""FMA as it is published: recordings, genres, artists, the suggested split, and the 518 numbers of ``features.csv``.

Defferrard et al., "FMA: A dataset for music analysis" (ISMIR 2017).
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...audio.recordings import SUFFIXES
from ...utils.errors import KitError, listed, report_os_error
from ...utils.folders import walk
from ..handcrafted import feature_names
from . import recordings

# Audio folders, smallest first, to the values of (set, subset) in tracks.csv that they contain; None is all.
_SIZES = {"fma_small": ("small",), "fma_medium": ("small", "medium"), "fma_large": None, "fma_full": None}
_COLUMNS = (("artist", "id"), ("set", "split"), ("set", "subset"), ("track", "genre_top"))
_ROWS_AT_ONCE = 4000    # of features.csv, which has 950 MB
_UNPACK = "Unpack fma_metadata.zip again."


@dataclass(frozen=True)
class Files:
    """Where the files of FMA are.

    Attributes
    ----------
    tracks : Path
        ``tracks.csv``.
    features : Path or None
        ``features.csv``.
    size : str
        'fma_small', or another name of an audio folder.
    folder : Path
        The folder that was searched.
    audio : dict
        Number of a track to its Path.
    """

    tracks: Path
    features: Path | None
    size: str
    folder: Path
    audio: dict


def find(folder):
    """Find FMA's files in a folder, however deep they are.

    Of several audio folders, such as ``fma_small`` and ``fma_medium``, the smallest is used.

    Returns
    -------
    Files or None
        None if there is neither ``fma_metadata/tracks.csv`` nor an audio folder of FMA.

    Raises
    ------
    KitError
        If one of the two is missing.
    """
    folder, tracks, audio = Path(folder), [], {}
    for place, files in walk(folder):
        if place.name == "fma_metadata":
            tracks += [path for path in files if path.name == "tracks.csv"]
        if re.fullmatch(r"\d{3}", place.name) and (sizes := [part for part in place.parts if part in _SIZES]):
            found = {int(path.stem): path for path in files
                     if re.fullmatch(r"\d{6}", path.stem) and path.suffix.lower() in SUFFIXES}
            audio.setdefault(sizes[-1], {}).update(found)
    if not tracks and not audio:
        return None
    size = next((name for name in _SIZES if audio.get(name)), None)
    if not tracks or size is None:
        missing = "recordings such as fma_small/000/000002.mp3" if tracks else "fma_metadata/tracks.csv"
        raise KitError(f"{folder} is a folder of FMA without {missing}. Give the folder that holds fma_metadata and "
                       "an audio folder, both unpacked.")
    features = tracks[0].with_name("features.csv")
    return Files(tracks[0], features if features.exists() else None, size, folder, audio[size])


def read_recordings(files, *, seconds=recordings.SECONDS, jobs=-1):
    """Read FMA's recordings; missing, damaged and short ones are left out, and so are tracks without a top genre.

    Parameters
    ----------
    files : Files
    seconds : float
        Required length of a recording; longer ones are cut.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Recordings
        With `part`, and with `numbers` if there is ``features.csv``.

    Raises
    ------
    KitError
        If a table cannot be read, or fewer than two genres are left.
    """
    tracks = read_tracks(files.tracks, _SIZES[files.size])
    numbers = read_features(files.features, tracks.index) if files.features else None
    root = next(iter(files.audio.values())).parents[1]
    paths = [files.audio.get(i, root / f"{i // 1000:03d}" / f"{i:06d}.mp3") for i in tracks.index]
    there = [path for i, path in zip(tracks.index, paths) if i in files.audio]
    faults = dict(zip(there, recordings.find_faults(there, seconds=seconds, jobs=jobs)))
    faults |= {path: f"{path.name} is missing." for path in set(paths) - set(there)}
    if numbers is not None:
        lacks = ~np.isfinite(numbers).all(axis=1)
        faults |= {path: f"{path.name} has no complete row in {files.features.name}."
                   for path, lack in zip(paths, lacks) if lack and not faults[path]}
    rows = [row for row, path in enumerate(paths) if not faults[path]]
    labels, names = pd.factorize(tracks["genre_top"].iloc[rows], sort=True)
    if len(names) < 2:
        others = [fault for fault in faults.values() if fault]
        why = f" ({len(others)} are left out: {listed(others, most=1)})" if others else ""
        raise KitError(f"{root} has {len(rows)} usable recordings of {len(names)} genres{why}. Unpack the audio and "
                       "fma_metadata.zip again, or choose fewer seconds.")
    return recordings.Recordings(
        paths=[paths[row] for row in rows], labels=labels.astype(np.int64), names=list(names),
        groups=pd.factorize(tracks["id"].iloc[rows])[0], part=tracks["split"].to_numpy()[rows],
        faults={path.relative_to(files.folder): faults[path] for path in paths if faults[path]},
        numbers=None if numbers is None else numbers[rows],
    )


def read_tracks(path, subsets=None):
    """Read ``tracks.csv``, which has two header rows.

    Parameters
    ----------
    path : path-like
    subsets : collection of str or None
        Values of (set, subset) to keep; None keeps all.

    Returns
    -------
    DataFrame
        Indexed by the number of the track: ``id`` of the artist, ``split`` as in `recordings.PARTS`, ``subset``,
        ``genre_top``. Tracks without a top genre are left out.

    Raises
    ------
    KitError
        If the file cannot be read, a column is missing, or a split is unknown.
    """
    header, skip = _read_header(path, 2)
    columns = _find_columns(path, header, _COLUMNS)
    (table,) = _read_body(path, skip, columns, dtype=str, keep_default_na=False)
    table.columns = [name for _, name in _COLUMNS]
    _refuse_duplicates(path, table)
    table = table[table["genre_top"].str.strip().ne("")]
    table = table if subsets is None else table[table["subset"].isin(subsets)]
    if table.empty:
        kind = f" of subset {listed(subsets)}" if subsets else ""
        raise KitError(f"{path} has no tracks{kind} with a top genre. {_UNPACK}")
    if unknown := sorted(set(table["split"]) - set(recordings.PARTS)):
        raise KitError(f"{path}: the split {unknown[0]!r} of track {table.index[table['split'] == unknown[0]][0]} is "
                       f"not one of {', '.join(recordings.PARTS)}. {_UNPACK}")
    nobody = table["id"].str.strip().eq("")
    table["id"] = table["id"].where(~nobody, "track " + table.index.astype(str))
    return table.assign(split=table["split"].map(recordings.PARTS.index)).sort_index()


def read_features(path, tracks):
    """Read ``features.csv``, which has three header rows.

    Parameters
    ----------
    path : path-like
    tracks : sequence of int
        Numbers of the tracks.

    Returns
    -------
    ndarray, shape (tracks, 518), float32
        Columns in the order of `handcrafted.feature_names`; NaN for a track that is not in the file.

    Raises
    ------
    KitError
        If the file cannot be read, or a column is missing.
    """
    header, skip = _read_header(path, 3)
    columns, chunks = _find_columns(path, header, feature_names()), []
    for chunk in _read_body(path, skip, columns, dtype=np.float32, chunksize=_ROWS_AT_ONCE):
        chunks.append(chunk[chunk.index.isin(tracks)])
    table = pd.concat(chunks)
    _refuse_duplicates(path, table)
    return table.reindex(tracks).to_numpy(np.float32)


def _refuse_duplicates(path, table):
    if table.index.has_duplicates:
        raise KitError(f"{path} has track {table.index[table.index.duplicated()][0]} twice. {_UNPACK}")


def _read_header(path, rows):
    """The names of all columns, as tuples, and the number of lines above the first track."""
    try:
        with report_os_error(f"{path} cannot be read", _UNPACK), open(path, encoding="utf-8-sig", newline="") as file:
            lines = [line for _, line in zip(range(rows + 1), csv.reader(file))]
    except (ValueError, csv.Error) as error:
        raise KitError(f"{path} is not a readable CSV file ({error}). {_UNPACK}") from error
    if len(lines) <= rows:
        raise KitError(f"{path} has {len(lines)} lines, fewer than FMA's {rows} header rows and a track. {_UNPACK}")
    # pandas writes the name of the index into a row of its own
    return list(zip(*lines[:rows])), rows + (not lines[rows][0].strip().isdecimal())


def _find_columns(path, header, wanted):
    if missing := [", ".join(name) for name in wanted if name not in header]:
        raise KitError(f"{path} lacks {len(missing)} columns, such as ({missing[0]}); its {len(wanted[0])} header rows "
                       f"must be FMA's. {_UNPACK}")
    return [header.index(name) for name in wanted]


def _read_body(path, skip, columns, *, dtype, **options):
    """Yield tables of these columns, in their order, indexed by the number of the track."""
    types = {0: str, **dict.fromkeys(columns, dtype)}
    options |= {"header": None, "skiprows": skip, "usecols": list(types), "dtype": types, "encoding": "utf-8-sig"}
    try:
        with report_os_error(f"{path} cannot be read", _UNPACK):
            tables = pd.read_csv(path, **options)
            for table in [tables] if isinstance(tables, pd.DataFrame) else tables:
                is_number = table[0].str.fullmatch(r"\d{1,6}").fillna(False).astype(bool)
                if not is_number.all():
                    raise KitError(f"{path}: {table.loc[~is_number, 0].iloc[0]!r} is not the number of a track. "
                                   f"{_UNPACK}")
                yield table.set_index(table[0].astype(np.int64))[columns]
    except ValueError as error:     # pandas' own errors are ValueErrors
        raise KitError(f"{path} is not a readable CSV file ({str(error).strip()}). {_UNPACK}") from error
