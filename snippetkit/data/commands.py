"""Commands for files of a competition: make, check, convert, sort and list them."""

import click

from ..utils.paths import PathType

_FOLDER = PathType()


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--seed", default=0, show_default=True)
def demo(folder, seed):
    """Make the demo competition in FOLDER."""
    from .demo import make

    click.echo(make(folder, seed=seed))


@click.command()
@click.argument("folder", type=_FOLDER)
def check(folder):
    """Decode every MP3 below FOLDER and list those that are not intact 3-second clips."""
    from ..audio import find_faults
    from .competition import mp3s_below

    clips = mp3s_below(folder)
    faults, _ = find_faults(clips)
    for fault in faults.values():
        click.echo(fault)
    if faults:
        raise click.ClickException(f"{len(faults)} of {len(clips)} clips are bad.")
    click.echo(f"All {len(clips)} clips are good.")


@click.command()
@click.argument("text", type=_FOLDER)
@click.argument("archive", type=_FOLDER, required=False)
def labels(text, archive):
    """Convert the label file TEXT (one number per line) to ARCHIVE, by default train_label.npz beside it."""
    from .labels import read_labels, write_labels

    archive = archive or text.with_name("train_label.npz")
    write_labels(archive, read_labels(text))
    click.echo(archive)


@click.command()
@click.argument("data", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
@click.option("--link", is_flag=True, help="Link to the clips instead of copying them.")
def sort(data, folder, link):
    """Copy the train clips of DATA into FOLDER, with one folder per class."""
    from .competition import find, sort_clips

    competition = find(data)
    sort_clips(competition.train, competition.labels, folder, classes=competition.classes, link=link)
    click.echo(folder)


@click.command("sample-submission")
@click.argument("clips", type=_FOLDER)
@click.argument("table", type=_FOLDER)
def sample_submission(clips, table):
    """Write TABLE with one row for each clip in the folder CLIPS, all with category 1."""
    import pandas as pd

    from ..utils.storage import write_table
    from .competition import clips_in

    write_table(table, pd.DataFrame({"id": list(clips_in(clips)), "category": 1}))
    click.echo(table)


COMMANDS = (check, labels, sort, sample_submission, demo)
