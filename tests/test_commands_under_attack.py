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
from attacked_desk import TESTED, complaint, lay_out, run, state_of
from damage import DAMAGE

SOME = 4  # damages tried with a file and a command by default
PRETRAIN = ("training", "pretrain", "--src", "objects", "--blocks", "1,1", "--width", "4", "--image-size", "16",
            "--epochs", "1", "--batch-size", "2", "--out", "made/w.safetensors")  # fmt: skip
TRAIN = ("training", "run", "tiny.yaml", "name=other", "--runs", "made", "--device", "cpu")
WITH_NEIGHBOURS = (*TRAIN, "method={name: ezvsl, positives: [own, image], dimension: 8}")
EVALUATE = ("training", "evaluate", "runs/tiny", "--device", "cpu")
REPORT = ("training", "report", "runs/tiny", "--shards", "shards", "--out", "made")
COMPARE = ("training", "compare", "runs/tiny")
COMPOSE = ("pipeline", "compose", "--pictures", "cutouts", "--sounds", "sounds", "--out", "made/composed",
           "--clips", "4", "--workers", "1")  # fmt: skip
STATUS = ("training", "status", "runs/tiny")
EMBED = ("training", "embed", "runs/tiny", "--out", "made/embeddings", "--device", "cpu")
INSPECT, SPLITS = ("pipeline", "inspect", "shards"), ("pipeline", "splits")


def scored(truth: str, format: str, *more: str) -> tuple[str, ...]:
    line = ("training", "score", "--maps", "maps.npz", "--truth", truth, "--format", format, "--out", "made/s.json")
    return (*line, *more)


COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "maps.npz": (scored("vggss.json", "vggss"), scored("vggss.json", "vggss", "--protocol", "slavc_relative")),
    "vggss.json": (scored("vggss.json", "vggss"), EVALUATE, (*SPLITS, "vggss.json")),
    "own.parquet": (scored("own.parquet", "parquet"),),
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
    ),
    "tiny.yaml": (TRAIN,),
    "shards/index.json": (INSPECT, EVALUATE, TRAIN),
    "shards/manifest.parquet": (INSPECT, EVALUATE, TRAIN),
    "shards/rejects.parquet": (INSPECT,),
    "shards/shard-000000.tar": (INSPECT, TRAIN),
    "shards/shard-000001.tar": (EVALUATE, REPORT),
    "knn/image.npy": (WITH_NEIGHBOURS,),
    "knn/keys.parquet": (WITH_NEIGHBOURS,),
    "knn/meta.json": (WITH_NEIGHBOURS,),
    "objects/a/0.jpg": (PRETRAIN,),
    "cutouts/a/0.png": (COMPOSE,),
    "sounds/a/0.wav": (COMPOSE,),
    "runs/config.yaml": (EVALUATE, REPORT, COMPARE),
    "runs/data.json": (EVALUATE, REPORT, TRAIN, STATUS),
    "runs/weights.safetensors": (EVALUATE, EMBED),
    "runs/environment.json": (REPORT,),
    "runs/metrics.jsonl": (REPORT, COMPARE, STATUS),
    "runs/evaluation/boxes.ezvsl.json": (EVALUATE, REPORT, COMPARE),
    "runs/evaluation/boxes.ezvsl.parquet": (EVALUATE, REPORT),
    "runs/evaluation/boxes.maps.npz": (REPORT,),
}  # fmt: skip
CASES = [(name, line) for name, lines in COMMANDS.items() for line in lines]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk with a run that was trained and scored."""
    desk = lay_out(tmp_path_factory.mktemp("attacked") / "desk")
    for line in ("training run tiny.yaml --device cpu", "training evaluate runs/tiny --device cpu"):
        ended = run(*line.split(), at=desk)
        assert ended.code == 0, ended
    (desk / "src").mkdir()
    (desk / "made").mkdir()
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
            ended = run(*line, at=copy)
            wrong = complaint(ended) or _changed(before, state_of(copy), line)
        if wrong:
            failures.append(f"{name}, {damage}: {wrong}")
    assert not failures, "\n".join(failures)


def _changed(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], line: tuple[str, ...]
) -> str | None:
    """A file that is neither an output nor unchanged."""
    own = ("made/", *(("runs/",) if "runs/tiny" in line else ()))  # a result stands in its run's folder
    touched = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    strange = sorted(name for name in touched if not name.startswith(own))
    leftovers = [name for name in after if ".tmp" in name or ".partial" in name]
    return f"changed {strange}, left behind {leftovers}" if strange or leftovers else None


def part_of(number: int) -> list[str]:
    names = list(DAMAGE)
    return [names[(5 * number + 7 * step) % len(names)] for step in range(SOME)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}: {' '.join(line[:2])}" for name, line in CASES])
def test_a_command_keeps_its_promise_over_a_damaged_file(number: int, desk: Path) -> None:
    hold(desk, *CASES[number], part_of(number))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}: {' '.join(line[:2])}" for name, line in CASES])
def test_the_same_over_every_damage(number: int, desk: Path) -> None:
    hold(desk, *CASES[number], list(DAMAGE))


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
