"""The `index` command: `index embed` (shards -> embeddings), `index build-knn` (embeddings -> neighbours) and
`index random-knn` (shards -> random lists, a control).

Reads what `pipeline ingest` wrote, writes what `training` reads, each in its default place.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from index.device import AUTO, device_number
from index.encoders import DESCRIPTOR, MODULES, open_encoder
from manifests.commands.counting import counted, have
from manifests.commands.freed_memory import keep_freed_memory
from pipeline.console import progress, run_app, summary

if TYPE_CHECKING:
    import numpy as np

    from index.embed import Encoders
    from index.embeddings import Embeddings
    from pipeline.shards.store import ShardStore


SHARDS, EMBEDDINGS, NEIGHBOURS, RANDOM = Path("shards"), Path("embeddings"), Path("knn"), Path("knn-random")
IMAGE_ENCODERS, AUDIO_ENCODERS = (", ".join(MODULES[modality]) for modality in ("image", "audio"))

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Stage 2: shards to embeddings to nearest neighbours.",
)


class Backend(StrEnum):
    """What runs the search."""

    FAISS = "faiss"
    TORCH = "torch"


ClipList = Annotated[
    str | None,
    typer.Option(
        "--list",
        "--clips",
        help="Clips of this list in place of a split, as data.train_list of a run: a file, or a known name.",
    ),
]
Shards = Annotated[
    list[Path] | None, typer.Option(help="Folder written by `pipeline ingest`, shards if none; repeatable.")
]
ImageWeights = Annotated[Path | None, typer.Option(help="Its weights: a file; for clip and embeddings a folder.")]
AudioWeights = Annotated[Path | None, typer.Option(help="Its weights: a file; for clap and embeddings a folder.")]
Lists = Annotated[Path, typer.Option(help="Folder with the released lists, at any depth.")]


@app.command()
def embed(
    *,
    image_encoder: Annotated[str, typer.Option(help=f"For images: {IMAGE_ENCODERS}.")] = DESCRIPTOR,
    image_weights: ImageWeights = None,
    audio_encoder: Annotated[str, typer.Option(help=f"For sounds: {AUDIO_ENCODERS}.")] = DESCRIPTOR,
    audio_weights: AudioWeights = None,
    shards: Shards = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = EMBEDDINGS,
    split: Annotated[str, typer.Option(help="Split whose clips are embedded.")] = "train",
    clips: ClipList = None,
    lists: Lists = Path("lists"),
    device: Annotated[str, typer.Option(help="Where networks run: auto, cpu, cuda or cuda:N.")] = AUTO,
) -> None:
    """Compute one image and one audio vector per clip. The descriptor needs no weights, networks theirs.

    pretrained reads a file of `training pretrain`; embeddings takes the vectors of a folder, as `training embed` writes
    one. yamnet, vggsound, wav2clip and clap hear the waveform that `pipeline ingest --audio context` keeps beside the
    shards.
    """
    from index.arrays import EMBEDDINGS as KIND
    from index.arrays import check_replaceable
    from index.embed import Encoders, differences
    from pipeline.shards.joined import open_shards

    check_replaceable(out, KIND, {"--shards": shards or SHARDS})
    device_number(device)  # a name that is none is refused also where no network runs
    encoders = Encoders(
        open_encoder("image", image_encoder, image_weights, device),
        open_encoder("audio", audio_encoder, audio_weights, device),
    )
    store = open_shards(shards or SHARDS)
    chosen, rows = _chosen(store, split, clips, lists)
    changes = differences(store, encoders, chosen, rows, out)
    if _to_make(out, changes, f"the {encoders.version} embeddings of {chosen} of {store.folder}"):
        _embed(store, encoders, chosen, rows, out)


def _to_make(out: Path, changes: list[str] | None, asked: str) -> bool:
    """Whether `out` differs from what is asked for; says so of a finished folder."""
    if changes == []:
        print(f"{out} already holds {asked}: nothing to do.")
    elif changes:
        print(f"rebuilding {out}: {', '.join(changes)}", flush=True)
    return changes != []


def _chosen(store: "ShardStore", split: str, clips: str | None, lists: Path) -> "tuple[str, np.ndarray]":
    """What is chosen, as meta.json will name it, and its rows: the list's clips when one is given."""
    from index.embed import rows_of_list, rows_of_split
    from manifests.catalogue import find_list

    if clips is None:
        return split, rows_of_split(store.table, split)
    listed = find_list(clips, lists)
    return f"{listed.name} {listed.sha256[:12]}", rows_of_list(store, listed)


def _embed(store: "ShardStore", encoders: "Encoders", split: str, rows: "np.ndarray", out: Path) -> None:
    from index.embed import embed as embed_rows
    from index.embed import without_split

    with progress("embed", 2 * len(rows), "vectors") as advance:
        embed_rows(store, rows, encoders=encoders, split=split, out=out, advance=advance)
    clips = f"{len(rows):,} of {len(store):,} in the shards"
    facts = {"encoder": encoders.version, "split": split, "clips": clips}
    if unnamed := without_split(store.table):
        facts["without a split"] = f"{counted(unnamed, 'clip')}, counted as train"
    summary(f"embeddings written to {out}", facts)


@app.command("build-knn")
def build_knn(
    *,
    k: Annotated[int, typer.Option(min=1, help="Neighbours per clip.")] = 1000,
    embeddings: Annotated[
        Path | None, typer.Option(help="Folder of embeddings; the default one is made from the shards when missing.")
    ] = None,
    shards: Annotated[list[Path] | None, typer.Option(help="Shards the embeddings belong to; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = NEIGHBOURS,
    device: Annotated[str, typer.Option(help="Where to search: auto, cpu, cuda or cuda:N.")] = AUTO,
    backend: Annotated[Backend, typer.Option(help="What searches; both find the same neighbours.")] = Backend.FAISS,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the search; by default all.")] = None,
    recall: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of true neighbours to find. Below 1: FAISS IVF, on the CPU.")
    ] = 1.0,
) -> None:
    """Find the k nearest neighbours of every clip by cosine, by image and by sound: exactly, unless --recall says less.

    A clip and the other clips of its video are never neighbours. For millions of clips, --recall 0.95 finds that share
    of them in a fraction of the time; what was really found is measured and printed.
    """
    from index.approximate import check_means
    from index.arrays import NEIGHBOURS as KIND
    from index.arrays import check_replaceable, differences
    from index.knn import KnnRequest, Means, build
    from index.search import search_device

    check_replaceable(out, KIND, {"--embeddings": embeddings or EMBEDDINGS, "--shards": shards or SHARDS})
    device_number(device)
    if recall < 1:
        check_means(backend, device)
    vectors, checked = _matching_embeddings(embeddings, shards)
    request = KnnRequest.of(vectors, k, recall)
    changes = differences(out, request.as_meta())
    if not _to_make(out, changes, f"these neighbours (k = {k}, same embeddings)"):
        return
    print(*_told_apart(vectors), sep="", end="", flush=True)
    means = Means(backend, search_device(backend, device) if recall == 1 else "cpu", threads)
    with progress("build-knn", 2 * len(vectors), "queries") as advance:
        meta = build(vectors, request, means, out, advance)
    summary(f"neighbours written to {out}", _facts(meta, vectors, checked))


@app.command("random-knn")
def random_knn(
    *,
    k: Annotated[int, typer.Option(min=1, help="Clips per list.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed gives other lists.")] = 0,
    shards: Shards = None,
    split: Annotated[str, typer.Option(help="Split whose clips are drawn.")] = "train",
    clips: ClipList = None,
    lists: Lists = Path("lists"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = RANDOM,
) -> None:
    """Draw k random clips for every clip in place of neighbours: HardPos's control (hardpos_random.yaml).

    A clip and the other clips of its video are never drawn, nor is one of another split.
    """
    from index.arrays import NEIGHBOURS as KIND
    from index.arrays import check_replaceable, differences
    from index.random_neighbours import build, request
    from pipeline.shards.joined import open_shards

    check_replaceable(out, KIND, {"--shards": shards or SHARDS})
    store = open_shards(shards or SHARDS)
    chosen, rows = _chosen(store, split, clips, lists)
    wanted = request(k, seed, chosen, store.manifest_sha256)
    table = store.table.take(rows)
    changes = differences(out, wanted, table["key"].to_pylist())
    if not _to_make(out, changes, f"these lists (k = {k}, seed {seed}, same shards)"):
        return
    with progress("random-knn", 2 * len(rows), "lists") as advance:
        meta = build(table, wanted, out, advance)
    facts = {"clips": _clips(meta), "k": k, "seed": seed}
    summary(f"random lists written to {out}", facts | _agreement(meta))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder of embeddings or of neighbours.")],
    out: Annotated[Path | None, typer.Option(help="Parquet file to write. Default: the folder's name.parquet.")] = None,
) -> None:
    """Write embeddings or neighbours as one Parquet file, for other programs."""
    from index.exchange import export as write

    summary("exported", write(folder, out or Path(f"{folder.absolute().name}.parquet")))


def _matching_embeddings(folder: Path | None, shards: list[Path] | None) -> "tuple[Embeddings, str]":
    """Open the embeddings, made first when they are the default ones and missing; says how they were checked.

    Shards that were not named and are not there are not needed: embeddings may have been copied from elsewhere.
    """
    from index.embed import Encoders, not_embedded, rows_of_split
    from index.embeddings import Embeddings
    from pipeline.shards.joined import open_shards

    place = folder or EMBEDDINGS
    if folder is None and not place.exists():
        store = open_shards(shards or SHARDS)
        print(f"no {place} yet: first the {DESCRIPTOR} embeddings of the training split of {store.folder}", flush=True)
        encoders = Encoders(*(open_encoder(modality, DESCRIPTOR) for modality in MODULES))
        _embed(store, encoders, "train", rows_of_split(store.table, "train"), place)
    vectors = Embeddings.open(place)
    if not shards and not SHARDS.exists():
        return vectors, f"not compared with shards (no {SHARDS} here)"
    store = open_shards(shards or SHARDS)
    vectors.check_made_from(store.manifest_sha256, store.folder)
    if absent := not_embedded(store, vectors):
        named = f"of the split {vectors.meta['split']}"
        print(
            f"{have(absent, f'clip {named}', f'clips {named}')} no embedding in {place}, and so no "
            "neighbours: an earlier version counted them to no split. Repeat the command that made the embeddings.",
            flush=True,
        )
    return vectors, f"made from {store.folder}"


def _told_apart(vectors: "Embeddings") -> Iterator[str]:
    """A line for images or sounds that all have one vector."""
    from index.embeddings import all_alike

    for modality in MODULES:
        if all_alike(getattr(vectors, modality)):
            yield (
                f"warning: all {len(vectors):,} clips of {vectors.folder} have the same {modality} vector, so their "
                f"neighbours by {modality} say nothing. Embed them by another encoder or other weights.\n"
            )


def _facts(meta: Mapping[str, object], vectors: "Embeddings", checked: str) -> dict[str, object]:
    asked = "" if meta["recall_asked"] is None else f", {meta['recall_asked']} asked for"
    facts = {
        "clips": _clips(meta),
        "k": meta["k"],
        "embeddings": f"{vectors.folder} ({meta['encoder']}), {checked}",
        "search": f"{meta['index']}, {meta['seconds']} s",
        "recall": f"{meta['recall_against_exact']:.4f}{asked}, on {meta['recall_rows']} rows against exact arithmetic",
    }
    return facts | _agreement(meta)


def _clips(meta: Mapping[str, object]) -> str:
    return f"{meta['count']:,}, split {meta['split']}, up to {meta['largest_source']} of one video"


def _agreement(meta: Mapping[str, Any]) -> dict[str, str]:
    """Share of neighbours that carry their clip's label, beside what random neighbours would reach."""
    chance = meta["label_agreement_by_chance"]
    if chance is None:
        return {}
    return {
        f"label agreement, {modality}": ", ".join(f"{share:.3f} at {depth}" for depth, share in shares.items())
        + f" (by chance {chance:.3f})"
        for modality, shares in meta["label_agreement"].items()
    }


def main() -> None:
    """Entry point of the console script."""
    keep_freed_memory()
    run_app(app, "index")
