"""The `training` command and its subcommands, from `run` to `protocols`: options and help; the work is elsewhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from manifests.commands.freed_memory import keep_freed_memory
from manifests.files.content import read_content
from manifests.truth import USUAL_FORMAT, format_help
from pipeline.console import first_of, progress, run_app, summary
from training.export.command import export
from training.listings import configs, methods, protocols
from training.localize.cli import localize
from training.processes.liveness import end_with_launcher, of_launcher
from training.processes.thread_policy import threads_soon_sleep
from training.serve.command import serve
from training.shared_options import Device, Shards, View

app = typer.Typer(
    help="Train sound source localizers on shards, score them, show them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FORMATS = format_help()


class Pool(StrEnum):
    """How an image becomes one vector."""

    MEAN = "mean"
    MAP = "map"


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="a YAML file, or the name of a packaged config")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value ...; seeds=0..5 for six runs")
    ] = None,
    runs: Annotated[Path, typer.Option(help="where run folders are made")] = Path("runs"),
    device: Device = "auto",
) -> None:
    """Train a run, or resume it; a finished one is left alone."""
    from training.run_folders.asked_config import asked_config
    from training.settings.files import config_in_words, once_each

    path = asked_config(config)
    if of_launcher("RANK", 0) == 0:  # before torch is loaded, which takes half a minute on a busy machine
        print(f"config: {config_in_words(path)}", flush=True)
    from training.loop.named import load_named
    from training.loop.start import start
    from training.run_folders.files import DONE
    from training.run_folders.seeds import per_seed

    several = [(own, load_named(path, own)) for own in per_seed(once_each(overrides or ()))]
    for number, (own, described) in enumerate(several):
        with first_of(len(several) - number):
            folder, trained = start(described, runs, device, own)
        took = read_content(folder / DONE).text().strip()
        summary("trained" if trained else "already finished", {"run": folder, "took": took})


@app.command()
def status(
    run: Annotated[Path, typer.Argument(help="a run folder, finished or not, or runs/<name> when it holds one")],
) -> None:
    """Say how far a run is, how fast it goes and when it will end."""
    from training.status import status as read

    summary("status", read(run))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="a finished run folder, or runs/<name>: each of its seeds")],
    truth: Annotated[
        Path | None, typer.Option(help="annotations of the test set; default: as the run's config says")
    ] = None,
    format: Annotated[str | None, typer.Option(help=f"of the annotations: {FORMATS}")] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="csv of silent pairs (Extended sets); of --list, those of its images")
    ] = None,
    clips: Annotated[
        list[Path] | None, typer.Option("--list", "--clips", help="list of a part, e.g. heard classes; repeatable")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="csv name,video,audio: the clips that make each sample")] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="csv category,clip: sounds of single instruments (music_*) or of classes (avss)"),
    ] = None,
    test_set: Annotated[str | None, typer.Option(help="name of the test set in results")] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="name from `training protocols`, repeatable; default: those of the config or test set"),
    ] = None,
    shards: Shards = None,
    listen: Annotated[
        bool, typer.Option("--listen", help="also show images with four other sounds, under vssl and vssl_textbook")
    ] = False,
    controls_seed: Annotated[
        str, typer.Option(help="of foreign sounds; 0..9 draws them ten times, which are scored together")
    ] = "0",
    threshold_set: Annotated[
        str | None, typer.Option(help="name of the validation set's results, for vssl_validated and onscreen_validated")
    ] = None,
    weights: Annotated[str, typer.Option(help="last, or best: of the best epoch on the validation clips")] = "last",
    view: View = None,
    device: Device = "auto",
) -> None:
    """Score a run on a test set: one row per sample, floors and ceiling beside every number; of seeds their mean."""
    from training.distributed import ranks
    from training.evaluate import EvaluationRequest
    from training.evaluate_seeds import evaluate_seeds
    from training.evaluation.protocols import seeds_variant

    asked = tuple(protocol or ())
    request = EvaluationRequest(
        truth, format, negatives, tuple(clips or ()), pairs, references, test_set, asked, shards, view, listen,
        seeds_variant(controls_seed), threshold_set,
    )  # fmt: skip
    with ranks(device) as process:
        evaluate_seeds(run, request, weights, process)
        process.barrier()


@app.command()
def score(
    maps: Annotated[
        Path,
        typer.Option(
            help="maps.npz: names (N,), maps (N, h, w), optionally object_maps, confidence, view, shown; each map "
            "under its clip's name; or embeddings"
        ),
    ],
    truth: Annotated[Path, typer.Option(help="annotations, in the format named")],
    format: Annotated[str, typer.Option(help=FORMATS)] = USUAL_FORMAT,
    protocol: Annotated[
        list[str] | None, typer.Option(help="protocol name, ezvsl if none; repeat it for a file for each")
    ] = None,
    out: Annotated[Path, typer.Option(help="JSON file to write; of several protocols <out>.<protocol>.json")] = Path(
        "scores.json"
    ),
    negatives: Annotated[Path | None, typer.Option(help="csv of silent pairs, named <video>+<audio> in maps")] = None,
    clips: Annotated[
        Path | None, typer.Option("--list", "--clips", help="list that narrows the test set, e.g. its heard classes")
    ] = None,
    test_set: Annotated[str | None, typer.Option(help="name of the test set in the result")] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="weight of the map against object_maps")] = 0.4,
    temperature: Annotated[
        float, typer.Option(min=0, help="what the maps' cosines were divided by (SLAVC's range)")
    ] = 1,
    seed: Annotated[int, typer.Option(help="of the random floor and the intervals")] = 0,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="score predicted_boxes (M, 4), predicted_owner (M,) in place of maps")
    ] = False,
) -> None:
    """Score heat maps that any program wrote, exactly as this one's own."""
    from training.evaluation.printing import table
    from training.score_file import asked, check_given, outputs, replaced, score_file

    options = {"negatives": negatives, "clips": clips, "test_set": test_set, "alpha": alpha, "seed": seed}
    places = outputs(asked(protocol, boxes), out)
    check_given(maps, truth, format, places, negatives=negatives, clips=clips)
    with progress("scoring", len(places), "protocols") as advance:
        for name, path in places.items():
            earlier = replaced(path)
            found = score_file(maps, truth, format, name, path, temperature=temperature, **options)
            advance(1)
            print(table(found))
            print(f"scores: {path}{earlier}")


@app.command()
def embed(
    run: Annotated[Path, typer.Argument(help="a finished run folder, or runs/<name> when it holds one")],
    out: Annotated[Path, typer.Option(help="where the arrays go")] = Path("embeddings"),
    pool: Annotated[
        Pool, typer.Option(help="images: the run's own vector (mean), or their cells weighted by its map")
    ] = Pool.MEAN,
    shards: Shards = None,
    device: Device = "auto",
) -> None:
    """Embed the training clips with a trained run, for `index build-knn`."""
    from index.encoders.torch_device import pick_device
    from training.embed import embed as write
    from training.runs import load_run, open_run_shards

    loaded = load_run(run, pick_device(device))
    count, written = write(loaded, open_run_shards(loaded, shards), out, pool is Pool.MAP)
    summary("embedded" if written else "already finished", {"run": loaded.folder, "clips": count, "embeddings": out})


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="evaluated run folders (or runs/<name>)")],
    test_set: Annotated[str | None, typer.Option(help="only this test set")] = None,
    protocol: Annotated[str | None, typer.Option(help="only this protocol")] = None,
) -> None:
    """Print runs beside one another and beside published numbers, a table per test set and protocol."""
    from training.report.comparison import as_text, chosen, comparisons
    from training.report.results import read_run, run_titles
    from training.run_folders.finished import given_runs

    folders, unfinished = given_runs(runs)
    read = [read_run(folder) for folder in folders]
    for table in chosen(comparisons(read, run_titles(read), True, unfinished), read, test_set, protocol):
        print(as_text(table), end="\n\n")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="evaluated run folders (or runs/<name>)")],
    shards: Annotated[
        list[Path] | None,
        typer.Option(help="shard folder with the gallery's images, repeatable; default: the runs' own"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the page")] = Path("report"),
) -> None:
    """Write one static page that opens offline: tables, learning curves, gallery with sound."""
    from training.report.page import size_in_words, write_report
    from training.run_folders.finished import given_runs

    folders, unfinished = given_runs(runs)
    page, without = write_report(folders, shards, out, unfinished)
    facts = {"page": page.resolve(), "size": size_in_words(page.stat().st_size)}
    summary("report", facts | ({"gallery": without} if without else {}))


app.command()(localize)


app.command()(export)
app.command()(serve)


@app.command()
def separate(
    run: Annotated[Path, typer.Argument(help="a finished run of pixelplayer, or runs/<name> when it holds one")],
    clip: Annotated[list[str], typer.Option(help="key of a clip; give two or more, whose sounds are mixed")],
    out: Annotated[Path, typer.Option(help="folder for the WAV files")] = Path("separated"),
    shards: Shards = None,
    device: Device = "auto",
) -> None:
    """Mix the sounds of clips, and write what each clip's image takes out of the mixture."""
    from index.encoders.torch_device import pick_device
    from training.runs import load_run, open_run_shards
    from training.separate import separate as write

    loaded = load_run(run, pick_device(device))
    gained = write(loaded, open_run_shards(loaded, shards), clip, out)
    summary("separated", {key: f"{decibels:+.1f} dB" for key, decibels in gained.items()} | {"sounds": out})


@app.command()
def pretrain(
    src: Annotated[Path, typer.Option(help="images as <label>/<name>.jpg")],
    out: Annotated[Path, typer.Option(help="weight file to write")] = Path("pretrained.safetensors"),
    blocks: Annotated[str, typer.Option(help="residual blocks per stage")] = "2,2,2,2",
    width: Annotated[int, typer.Option(help="channels of the first stage")] = 64,
    image_size: Annotated[int, typer.Option(help="side of the square images, pixels")] = 224,
    epochs: Annotated[int, typer.Option(help="passes over the images")] = 10,
    batch_size: Annotated[int, typer.Option(help="images of a step")] = 64,
    learning_rate: Annotated[float, typer.Option(help="of AdamW, at its highest")] = 1e-3,
    seed: Annotated[int, typer.Option(help="of weights, order, augmentation and what is held out")] = 0,
) -> None:
    """Train an image trunk to classify labelled images: the stand-in where ImageNet weights cannot be had."""
    from training.pretrain import check_place, checked_options
    from training.pretrain import pretrain as fit

    check_place(src, out)
    if out.is_file():
        summary("already finished", {"weights": out})
        return
    encoder = {"blocks": [part.strip() for part in blocks.split(",")], "width": width}
    shape = {"encoder": encoder, "image_size": image_size, "batch_size": batch_size}
    options = checked_options(**shape, epochs=epochs, learning_rate=learning_rate, seed=seed)
    summary("pretrained", {"weights": out, **fit(src, out, options)})


@app.command("import-checkpoint")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="the authors' released file, or SSPL's folder of files")],
    release: Annotated[
        str, typer.Option("--from", help="ezvsl, slavc, lvs, fnac, sslalignment, ssltie, sspl or sspl_without_pcm")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value ...")] = None,
    runs: Annotated[Path, typer.Option(help="where run folders are made")] = Path("runs"),
    front_end: Annotated[str | None, typer.Option(help="spectrogram of your shards, if not the authors'")] = None,
) -> None:
    """Turn a released checkpoint into a run that `training evaluate` takes."""
    from training.import_checkpoint import import_checkpoint as make
    from training.settings.files import once_each

    summary("imported", {"run": make(release, file, runs, once_each(overrides or ()), front_end)})


for listing in (methods, configs, protocols):
    app.command()(listing)


def main() -> None:
    """Entry point of the console script."""
    end_with_launcher()
    threads_soon_sleep()
    keep_freed_memory()
    run_app(app, "training")
