"""Whatever lies on the desk, a command ends with 0, 1 or 2 and one paragraph, and changes nothing but its output.

Commands run in this process, at a copy of a desk on which one file was damaged. By default a part of the damages is
tried with each file, another part with each command; `make test-all` tries all.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from attacked_corpora import TRUNKS
from attacked_desk import TESTED, complaint, lay_out, run, run_apart, state_of
from costs import LONG, unsaid
from damage import DAMAGE

from index.cli import app as index_app
from pipeline.cli import app as pipeline_app
from training.cli import app as training_app

SOME = 2  # damages tried with a file and a command by default
PRETRAIN = ("training", "pretrain", "--src", "objects", "--blocks", "1,1", "--width", "4", "--image-size", "16",
            "--epochs", "1", "--batch-size", "2", "--out", "made/w.safetensors")  # fmt: skip
TRAIN = ("training", "run", "tiny.yaml", "name=other", "--runs", "made", "--device", "cpu")
WITH_NEIGHBOURS = (*TRAIN, "method={name: ezvsl, positives: [own, image], dimension: 8}")
EVALUATE = ("training", "evaluate", "runs/tiny", "--device", "cpu")
REPORT = ("training", "report", "runs/tiny", "--shards", "shards", "--out", "made")
COMPARE = ("training", "compare", "runs/tiny")
COMPOSE = ("pipeline", "compose", "--pictures", "cutouts", "--sounds", "sounds", "--out", "made/composed",
           "--clips", "4", "--workers", "1")  # fmt: skip
COLLAGE = ("pipeline", "collage", "--src", "solos", "--out", "made/collages", "--clips", "2", "--workers", "1")
STATUS = ("training", "status", "runs/tiny")
LOCALIZE = ("training", "localize", "runs/tiny", f"src/{TESTED[0]}.mp4", "--out", "made/o.mp4", "--device", "cpu")
IMPORT = ("training", "import-checkpoint", "release.pth", "--from", "ezvsl", "--runs", "made", *TRUNKS)
EXPORT = ("training", "export", "runs/tiny", "--out", "made/model")
INDEX_EMBED = ("index", "embed", "--out", "made/embeddings")
EMBED_PRETRAINED = (*INDEX_EMBED, "--image-encoder", "pretrained", "--image-weights", "pretrained.safetensors")
BUILD_KNN = ("index", "build-knn", "--k", "3", "--out", "made/knn")
RANDOM_KNN = ("index", "random-knn", "--k", "3", "--out", "made/drawn")
ANNOTATE = ("pipeline", "annotate", "--truth", "own.parquet", "--format", "parquet")
INDEX_EXPORT = ("index", "export", "embeddings", "--out", "made/e.parquet")
PARQUET = ("pipeline", "export", "--format", "parquet", "--out", "made/exported")
ENERGON = ("pipeline", "export", "--format", "energon", "--out", "made/exported")
SYNTH = ("pipeline", "synth", "--out", "made/synth", "--clips", "2", "--workers", "1")
INGEST = ("pipeline", "ingest", "--src", "src", "--meta", "vggsound.csv", "--out", "made/shards", "--workers", "1")
EMBED = ("training", "embed", "runs/tiny", "--out", "made/embeddings", "--device", "cpu")
INSPECT, SPLITS = ("pipeline", "inspect", "shards"), ("pipeline", "splits")


def scored(truth: str, format: str, *more: str) -> tuple[str, ...]:
    line = ("training", "score", "--maps", "maps.npz", "--truth", truth, "--format", format, "--out", "made/s.json")
    return (*line, *more)


COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "maps.npz": (scored("vggss.json", "vggss"), scored("vggss.json", "vggss", "--protocol", "slavc_relative")),
    "vggss.json": (scored("vggss.json", "vggss"), EVALUATE, (*SPLITS, "vggss.json")),
    "own.parquet": (scored("own.parquet", "parquet"), ANNOTATE),
    "s4_box.json": (scored("s4_box.json", "avsbench_s4"), scored("s4_box.json", "is3")),
    "solotest.json": (scored("solotest.json", "music"),),
    "ave.txt": (scored("ave.txt", "ave"),),
    f"flickr/{TESTED[0]}.xml": (scored("flickr", "flickr"),),
    f"s4_data/gt_masks/test/dog/{TESTED[0]}/{TESTED[0]}_1.png": (scored("s4_data", "avsbench_s4"),),
    "synthetic/0.npy": (scored("synthetic", "music"),),
    "pairs.csv": (scored("vggss.json", "vggss", "--negatives", "pairs.csv"), (*EVALUATE, "--pairs", "pairs.csv")),
    "vggsound.csv": (
        scored("vggss.json", "vggss", "--list", "vggsound.csv"), (*SPLITS, "vggsound.csv"),
        ("pipeline", "inspect", "src", "--meta", "vggsound.csv"), (*TRAIN, "data.train_list=vggsound.csv"),
        (*INDEX_EMBED, "--list", "vggsound.csv"), (*RANDOM_KNN, "--list", "vggsound.csv"),
    ),
    "tiny.yaml": (TRAIN,),
    "shards/index.json": (INSPECT, EVALUATE, TRAIN, INDEX_EMBED, BUILD_KNN),
    "shards/manifest.parquet": (INSPECT, EVALUATE, TRAIN, RANDOM_KNN, ANNOTATE, PARQUET),
    "shards/rejects.parquet": (INSPECT,),
    "shards/shard-000000.tar": (INSPECT, TRAIN, INDEX_EMBED),
    "shards/shard-000001.tar": (EVALUATE, REPORT, ANNOTATE, PARQUET, ENERGON),
    "shards/truth.parquet": (INSPECT, ANNOTATE),
    "embeddings/image.npy": (BUILD_KNN, INDEX_EXPORT),
    "embeddings/keys.parquet": (BUILD_KNN, INDEX_EXPORT),
    "embeddings/meta.json": (BUILD_KNN, INDEX_EMBED[:2]),
    "knn/image.npy": (WITH_NEIGHBOURS,),
    "knn/keys.parquet": (WITH_NEIGHBOURS,),
    "knn/meta.json": (WITH_NEIGHBOURS,),
    "objects/a/0.jpg": (PRETRAIN,),
    "pretrained.safetensors": (EMBED_PRETRAINED,),
    "release.pth": (IMPORT,),
    f"src/{TESTED[0]}.mp4": (LOCALIZE, ("pipeline", "inspect", "src")),
    "cutouts/a/0.png": (COMPOSE,),
    "solos/truth.parquet": (COLLAGE,),
    "solos/frames/train_____a_000000.jpg": (COLLAGE,),
    "solos/audio/train_____b_000000.wav": (COLLAGE,),
    "made/synth/options.json": (SYNTH,),
    "sounds/a/0.wav": (COMPOSE,),
    "runs/config.yaml": (EVALUATE, REPORT, COMPARE),
    "runs/data.json": (EVALUATE, REPORT, TRAIN, STATUS, LOCALIZE, EXPORT),
    "runs/weights.safetensors": (EVALUATE, EMBED, LOCALIZE, EXPORT),
    "runs/environment.json": (REPORT,),
    "runs/metrics.jsonl": (REPORT, COMPARE, STATUS),
    "runs/evaluation/boxes.ezvsl.json": (EVALUATE, REPORT, COMPARE),
    "runs/evaluation/boxes.ezvsl.parquet": (EVALUATE, REPORT),
    "runs/evaluation/boxes.maps.npz": (REPORT,),
}  # fmt: skip
# Commands that read no file of anybody's, or are attacked elsewhere.
NOT_HERE = {
    "training configs": "prints its own files",
    "training methods": "prints its own pages",
    "training protocols": "prints its own pages",
    "training separate": "reads runs and shards as `training embed` does",
    "training serve": "opens runs as `training localize` does, and serves until it is stopped",
    "pipeline ingest": "test_ingest_keeps_its_promise_over_every_damage",
}
RESUMED = "made/.exported.partial/"  # what `pipeline export` goes on from
APART = {BUILD_KNN[:2], INGEST[:2]}  # a process of their own: FAISS is never loaded beside torch, Dask starts others
WRITTEN = {  # what a command may change besides its --out
    "training evaluate": ("runs/",), "pipeline annotate": ("shards/truth",), "index embed": ("embeddings/",),
}  # fmt: skip
IDLE = {EVALUATE, EXPORT, SYNTH, ("index", "embed")}  # what they make is there, or takes no time
COSTLY = {
    (*EVALUATE, "--test-set", "again"),
    (*EXPORT, "--format", "torch-export"),
    ("pipeline", "synth", "--out", "made/more", *SYNTH[4:]),
}
CASES = [(name, line) for name, lines in COMMANDS.items() for line in lines]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk with a run that was trained and scored."""
    desk = lay_out(tmp_path_factory.mktemp("attacked") / "desk")
    (desk / "made").mkdir()
    train = ("training", "run", "tiny.yaml", "--device", "cpu")
    for line in (train, EVALUATE, ("index", "embed"), ANNOTATE, SYNTH, (*PRETRAIN[:-1], "pretrained.safetensors")):
        ended = run(*line, at=desk)
        assert ended.code == 0, ended
    return desk


@contextlib.contextmanager
def damaged(desk: Path, name: str, damage: str) -> Iterator[Path]:
    """A copy of the desk with one file damaged."""
    copy = desk.with_name("copy")
    shutil.copytree(desk, copy)
    try:
        room, _, inside = name.partition("/")
        path = next((copy / "runs/tiny").glob("*-s0")) / inside if room == "runs" else copy / name
        DAMAGE[damage](path)
        yield copy
    finally:
        shutil.rmtree(copy)


def hold(desk: Path, name: str, line: tuple[str, ...], damages: list[str]) -> None:
    failures = []
    for damage in damages:
        with damaged(desk, name, damage) as copy:
            before = state_of(copy)
            ended = (run_apart if line[:2] in APART else run)(*line, at=copy)
            wrong = complaint(ended) or _changed(before, state_of(copy), line)
        if wrong:
            failures.append(f"{name}, {damage}: {wrong}")
    assert not failures, "\n".join(failures)


def _changed(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], line: tuple[str, ...]
) -> str | None:
    """A file that is neither an output nor unchanged."""
    own = ("made/", *WRITTEN.get(" ".join(line[:2]), ()))
    touched = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    strange = sorted(name for name in touched if not name.startswith(own))
    leftovers = [name for name in after if ".tmp" in name or (".partial" in name and not name.startswith(RESUMED))]
    return f"changed {strange}, left behind {leftovers}" if strange or leftovers else None


def part_of(number: int) -> list[str]:
    names = list(DAMAGE)
    return [names[(5 * number + 7 * step) % len(names)] for step in range(SOME)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}: {' '.join(line[:2])}" for name, line in CASES])
def test_a_command_keeps_its_promise_over_a_damaged_file(number: int, desk: Path) -> None:
    hold(desk, *CASES[number], part_of(number)[: 1 if CASES[number][1][:2] in APART else SOME])


@pytest.mark.parametrize("line", sorted({line for _, line in CASES} | COSTLY), ids=" ".join)
def test_a_command_on_a_sound_desk_does_its_work(line: tuple[str, ...], desk: Path, monkeypatch) -> None:
    """Without that no refusal below would be worth anything. Annotations of other clips are read, and then refused.

    No work is short here, so what each costs is said.
    """
    for name in ("LONG", "MEASURED", "FIRST_ALONE"):
        monkeypatch.setattr(f"pipeline.remaining.{name}", 0.0)
    copy, apart = Path(shutil.copytree(desk, desk.with_name("sound"))), line[:2] in APART
    ended = (run_apart if apart else run)(*line, at=copy)
    shutil.rmtree(copy)
    read_alone, command = line[:2] == ("training", "score") or "--pairs" in line, " ".join(line[:2])
    assert ended.code in ((0, 2) if read_alone else (0,)), ended
    if ended.code == 0 and command in LONG and line not in IDLE:
        assert unsaid(command, ended.err, told=not apart) is None, ended.err


def test_every_command_is_attacked() -> None:
    """A command that is added is attacked here, or it says where."""
    apps = {"pipeline": pipeline_app, "index": index_app, "training": training_app}
    every = {f"{name} {each}" for name, app in apps.items() for each in typer.main.get_command(app).commands}
    attacked = {" ".join(line[:2]) for _, line in CASES}
    assert every == attacked | NOT_HERE.keys()


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}: {' '.join(line[:2])}" for name, line in CASES])
def test_the_same_over_every_damage(number: int, desk: Path) -> None:
    hold(desk, *CASES[number], list(DAMAGE))


INGESTED = (
    f"src/{TESTED[0]}.mp4", "vggsound.csv", "made/shards/index.json", "made/shards/manifest.parquet",
    "made/shards/rejects.parquet", "made/shards/shard-000000.tar", "made/shards/plan/options.json",
    "made/shards/plan/*.*", "made/shards/done/*",
)  # fmt: skip


@pytest.fixture(scope="module")
def ingested(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(desk, tmp_path_factory.mktemp("ingested") / "desk"))
    assert run_apart(*INGEST, at=copy).code == 0
    return copy


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", INGESTED)
def test_ingest_keeps_its_promise_over_every_damage(name: str, ingested: Path) -> None:
    """Of what it reads, and of what it left when it is repeated."""
    found = next(path for path in sorted(ingested.glob(name)) if path.is_file())
    hold(ingested, str(found.relative_to(ingested)), INGEST, list(DAMAGE))


REFUSED = [
    "optim.epochs=[", "optim.epochs=!!python/object:os.system x", "name=../../../x", "name=/abs", "name=''", "name=.",
    'name="\\0"', f"name={'a' * 300}", "encoders.image.width=100000000", f"seed=1{'0' * 26}", f"seed=1{'0' * 5000}",
    "seed=-1", "optim.learning_rate=.nan", "optim.learning_rate=.inf", f"optim.epochs={'[' * 5000}", 'name="\\ud800"',
    "data.image_size=99999999", "data.workers=100000", "optim.x.y.z=5", "=5", "a", 'data.shards="a\\0b"', "extends=5",
    "optim.epochs={a: 1, a: 2}", "optim.epochs=&a [*a]", "encoders.image.blocks=[9999999999,1]",
    "optim.batch_size=99999999999", "encoders.image.input_pool=[99999999999,1]", "method.name=..",
    "data.shards=/dev/null", "data.train_list=/dev/zero", "encoders.image.weights=/dev/zero",
]  # fmt: skip


@pytest.mark.parametrize("override", REFUSED, ids=[ascii(override[:40]) for override in REFUSED])
def test_what_a_config_cannot_be_is_refused(override: str, desk: Path) -> None:
    before, above = state_of(desk), sorted(os.listdir(desk.parent))
    ended = run("training", "run", "tiny.yaml", override, "--runs", "made", "--device", "cpu", at=desk)
    assert complaint(ended) is None
    assert ended.code == 2, ended.err
    assert state_of(desk) == before
    assert sorted(os.listdir(desk.parent)) == above


@pytest.mark.parametrize(
    "option",
    ["--width 0", "--width 100000000", "--batch-size 0", "--batch-size 999", "--blocks a,b", "--blocks 1", "--blocks=",
     "--blocks 1,999999999999", "--learning-rate nan", "--learning-rate -1", "--learning-rate inf", "--epochs 0",
     "--image-size 0", "--image-size 99999999", "--seed 99999999999999999999999999", "--src vggss.json", "--src made",
     "--src /dev/zero", "--out nowhere/else/\0w", "--out /proc/w.safetensors"],
)  # fmt: skip
def test_what_pretrain_cannot_be_given_is_refused(option: str, desk: Path) -> None:
    ended = run(*PRETRAIN, *option.split(" "), at=desk)
    assert complaint(ended) is None
    assert ended.code in (1, 2), ended
