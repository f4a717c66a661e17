"""The `pipeline` command: videos in, shards out. Options and words only; the work is in the modules it names."""

from pathlib import Path
from typing import Annotated

import typer

from manifests.errors import InputError
from manifests.truth import USUAL_FORMAT, format_help
from pipeline.console import run_app
from pipeline.media.front_ends import DEFAULT, front_end_names

Workers = Annotated[int | None, typer.Option(min=1, help="Local worker processes. Default: one per core.")]
Surroundings = Annotated[float, typer.Option(min=0, max=1, help="How likely a class appears in its own surroundings.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Stage 1 of sound source localization: turn videos into training shards.",
)


def main() -> None:
    """Console script."""
    run_app(app, "pipeline")


@app.command()
def ingest(
    context: typer.Context,
    src: Annotated[
        list[str],
        typer.Option(
            help="Folder of videos (loose or in tar files) or of images and audio, here or s3://bucket/folder; may "
            "be given several times."
        ),
    ],
    out: Annotated[
        str,
        typer.Option(help="Folder for the shards, here or s3://; the same command continues an unfinished one."),
    ] = "shards",
    meta: Annotated[
        list[Path] | None,
        typer.Option(help="Label list (vggsound.csv and others, csv or json). Without it, one in --src is."),
    ] = None,
    moment: Annotated[
        str,
        typer.Option(help="Moment to keep: annotated (5 s, for VGGSound names), centre, or seconds from the start."),
    ] = "annotated",
    moments: Annotated[
        Path | None, typer.Option(help="List of several clips of each video (ytid,start): one at each second it gives.")
    ] = None,
    short_side: Annotated[
        int, typer.Option(min=0, help="Pixels of the stored frame's short side; 0 keeps the source's.")
    ] = 256,
    shard_clips: Annotated[
        int | None, typer.Option(min=1, help="Clips per shard. Default: chosen from the corpus.")
    ] = None,
    audio: Annotated[
        str | None, typer.Option(help="context: also store the waveform around the moment (FLAC), beside the shards.")
    ] = None,
    audio_rate: Annotated[int, typer.Option(min=1000, help="Hz of that waveform.")] = 16000,
    audio_seconds: Annotated[float, typer.Option(min=0.1, help="At most so many seconds of it.")] = 10.0,
    frames: Annotated[int, typer.Option(min=0, help="Also store so many images, spread over the clip.")] = 0,
    proposals: Annotated[
        bool,
        typer.Option("--proposals", help="Also store Selective Search boxes of the image (needs the extra proposals)."),
    ] = False,
    burst: Annotated[
        int, typer.Option(min=0, help="Also store so many consecutive images around the moment; 2 give optical flow.")
    ] = 0,
    burst_rate: Annotated[float, typer.Option(min=0.1, help="Of these, so many a second.")] = 25.0,
    workers: Workers = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Running Dask scheduler, tcp://host:port, instead of local.")
    ] = None,
    decoder: Annotated[str, typer.Option(help="pyav (in process, fast) or ffmpeg (the binary).")] = "pyav",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a clip's decoder is given up.")] = 60.0,
    front_end: Annotated[
        str,
        typer.Option(help=f"Spectrogram; a released model may need another. One of {', '.join(front_end_names())}."),
    ] = DEFAULT,
    max_reject_fraction: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Fail (exit 1) when more than this share of the inputs is rejected.")
    ] = 1.0,
) -> None:
    """Decode every clip once and write shards, a manifest and the list of rejects."""
    from manifests.commands.together import check_together
    from pipeline.ingest import IngestRequest, run_ingest
    from pipeline.jobs.options import DECODERS, IngestOptions, checked_audio, known, parse_moment
    from pipeline.shards.companion import Wanted
    from pipeline.storage.remote import place

    check_together(context, audio_rate="audio", audio_seconds="audio", burst_rate="burst")
    options = IngestOptions(
        short_side=short_side,
        moment=parse_moment(moment),
        front_end=known("--front-end", front_end, front_end_names()),
        decoder=known("--decoder", decoder, DECODERS),
        shard_clips=shard_clips,
        companions=Wanted(
            *checked_audio(audio, audio_rate, audio_seconds), frames, proposals, burst, burst_rate if burst else 0.0
        ),
    )
    asked = tuple(map(place, src)), place(out), options, tuple(meta or ()), workers, scheduler, max_reject_fraction
    run_ingest(IngestRequest(*asked, timeout, moments))


@app.command()
def inspect(
    path: Annotated[
        str, typer.Argument(help="A source folder (what would ingest do?) or a shard folder (what is in it?).")
    ],
    meta: Annotated[list[Path] | None, typer.Option(help="Label list to try on a source folder.")] = None,
) -> None:
    """Show what was recognised in a source folder and why, or what a shard folder holds."""
    from pipeline.inspection import inspect_path
    from pipeline.storage.remote import place

    inspect_path(place(path), tuple(meta or ()))


@app.command()
def annotate(
    truth: Annotated[Path | None, typer.Option(help="Annotations: a file, or a folder of them.")] = None,
    format: Annotated[str, typer.Option(help=f"{format_help()}.")] = USUAL_FORMAT,
    shards: Annotated[str, typer.Option(help="Shard folder that gets the annotations of its clips.")] = "shards",
    flow: Annotated[
        bool, typer.Option("--flow", help="Store the optical flow of shards with --burst (needs the extra proposals).")
    ] = False,
    proposals: Annotated[
        Path | None, typer.Option(help="Store region proposals that any program made, in a form of --format.")
    ] = None,
) -> None:
    """Store a corpus's boxes and pixel masks beside its shards, how what they show moves, or region proposals."""
    from pipeline.annotate import annotate as store_truth
    from pipeline.console import summary
    from pipeline.flow import store_flow
    from pipeline.given_proposals import store_proposals
    from pipeline.storage.remote import place

    if truth is None and proposals is None and not flow:
        raise InputError("Name annotations with --truth, boxes with --proposals, or give --flow.")
    if truth is not None:
        summary(f"annotations beside {shards}", store_truth(place(shards), truth, format))
    if flow:
        summary(f"optical flow beside {shards}", store_flow(place(shards)))
    if proposals is not None:
        summary(f"proposals beside {shards}", store_proposals(place(shards), proposals, format))


@app.command()
def export(
    format: Annotated[
        str, typer.Option(help="parquet (image and audio columns for datasets) or energon (tars with .nv-meta).")
    ],
    shards: Annotated[list[str] | None, typer.Option(help="Shard folder, repeatable; shards if none.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; the same command continues an unfinished one.")] = Path(
        "exported-shards"
    ),
    clips: Annotated[int, typer.Option(min=1, help="Clips per file at most.")] = 1000,
) -> None:
    """Write shards in the forms that other programs read, by split."""
    from pipeline.console import summary
    from pipeline.exchange.export import run_export
    from pipeline.storage.remote import place

    summary("exported", run_export(format, [place(each) for each in shards or ["shards"]], out, clips))


@app.command()
def splits(
    lists: Annotated[list[str] | None, typer.Argument(help="Clip lists: files, or names such as vggss_144k.")] = None,
    shards: Annotated[
        list[Path] | None, typer.Option(help="Shard folder, or several; default: shards/ where it is.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Test set, file or name. Default: every known one under --lists.")
    ] = None,
    folder: Annotated[Path, typer.Option("--lists", help="Folder with the released lists, at any depth.")] = Path(
        "lists"
    ),
    out: Annotated[Path | None, typer.Option(help="JSON file that names every missing and shared clip.")] = None,
) -> None:
    """Say which clips of a list the shards hold, which are missing, and which leak from a test set."""
    from pipeline.coverage import split_report

    default = Path("shards")
    if not lists and not shards and not default.is_dir():
        raise InputError("Name a list (a file, or for example vggss_144k), or a shard folder with --shards.")
    split_report(lists or [], shards or ([default] if default.is_dir() else None), test or [], folder, out)


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder for the corpus.")] = Path("synth"),
    clips: Annotated[int, typer.Option(min=1, help="Videos to make.")] = 400,
    seed: Annotated[int, typer.Option(help="Same seed, same images and audio.")] = 0,
    surroundings: Surroundings = 0.8,
    distractors: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share with smaller silent objects. Default: 0.2.")
    ] = None,
    rivals: Annotated[
        bool, typer.Option("--rivals", help="Silent objects as large as what sounds, in place of --distractors.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Make a synthetic corpus of real video files whose sounding objects are known."""
    from pipeline.jobs.cluster import available_cores
    from pipeline.synth.corpus import write_corpus
    from pipeline.synth.settings import chosen

    write_corpus(out, clips, seed, workers or available_cores(), chosen(surroundings, distractors, rivals))


@app.command()
def compose(
    pictures: Annotated[
        Path,
        typer.Option(help="Images of objects: cut-outs or photographs, in folders, or as VOC or COCO lay them out."),
    ],
    sounds: Annotated[Path, typer.Option(help="Recordings: folders of classes, or ESC-50, AudioSet and their like.")],
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Photographs without the objects. Default: backgrounds/ beside the images, or drawn."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the corpus.")] = Path("composed"),
    clips: Annotated[int, typer.Option(min=1, help="Clips to make.")] = 400,
    seed: Annotated[int, typer.Option(help="Same seed and material, same images and audio.")] = 0,
    several: Annotated[float, typer.Option(min=0, max=1, help="Share of clips with several sources.")] = 0.11,
    distractors: Annotated[float, typer.Option(min=0, max=1, help="Share with smaller silent objects.")] = 0.2,
    interactive: Annotated[
        float, typer.Option(min=0, max=1, help="Share of test clips with a silent object as large as the source.")
    ] = 0.1,
    off_screen: Annotated[float, typer.Option(min=0, max=1, help="Share whose sound is of nothing seen.")] = 0.05,
    silent: Annotated[float, typer.Option(min=0, max=1, help="Share without a sound.")] = 0.03,
    surroundings: Surroundings = 0.8,
    spread: Annotated[
        bool, typer.Option("--spread", help="Objects anywhere they fit; else near the middle, as in VGG-SS.")
    ] = False,
    video: Annotated[bool, typer.Option("--video", help="Videos with moving objects, not images and audio.")] = False,
    workers: Workers = None,
) -> None:
    """Compose a corpus of real images and real recordings whose sounding objects are known."""
    from pipeline.compose.corpus import MaterialFolders, write_composed
    from pipeline.compose.settings import Settings
    from pipeline.jobs.cluster import available_cores

    settings = Settings(clips, seed, several, distractors, interactive, off_screen, silent, surroundings, spread, video)
    write_composed(out, MaterialFolders(pictures, sounds, backgrounds), settings, workers or available_cores())


@app.command()
def collage(
    src: Annotated[
        Path, typer.Option(help="Folder of pipeline synth or compose, or shards of solo videos, with --audio context.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the collages.")] = Path("collages"),
    clips: Annotated[int, typer.Option(min=1, help="Collages to make.")] = 400,
    seed: Annotated[int, typer.Option(help="Same seed and source, same collages.")] = 0,
    lists: Annotated[
        list[Path] | None, typer.Option("--list", help="Clips that collages may be made of; repeatable. Default: all.")
    ] = None,
    gains: Annotated[
        tuple[float, float] | None, typer.Option(help="Both sounds between these. Default: one 1, the other 0.5 to 1.")
    ] = None,
    jitter: Annotated[float, typer.Option(min=0, help="Sounds are shifted by at most so many seconds.")] = 0.0,
    workers: Workers = None,
) -> None:
    """Put four clips into one image and mix two of their sounds, as MUSIC-Synthetic does."""
    from pipeline.compose.collage import Mixing, write_collages
    from pipeline.jobs.cluster import available_cores

    write_collages(src, out, clips, seed, workers or available_cores(), lists or (), Mixing(gains, jitter))
