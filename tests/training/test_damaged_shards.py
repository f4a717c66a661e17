"""Tars that are not those of the manifest, through every command that reads them: a sentence, never another clip."""

import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
import torch
from damaged_tars import DAMAGE, blank_contents, equal_clips, equal_shards, swap
from shard_maker import write_shards
from tiny_run import train_tiny, write_tiny

from index.arrays import KEYS_SCHEMA, MODALITIES, write_keys_and_meta
from index.descriptors import Descriptor
from index.neighbours import Neighbours
from manifests.errors import InputError
from pipeline.shards.joined import open_shards
from pipeline.shards.store import ShardStore
from training.config import Data, load_config
from training.data.order import Streams
from training.data.positives import Positives
from training.data.resident import ResidentSet
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader
from training.embed import embed
from training.evaluate import EvaluationRequest, evaluate
from training.loop.start import start
from training.report.page import write_report
from training.runs import load_run

TOLD = r"shard-00000[01]\.tar (is not the tar that manifest|is damaged|cannot be read).*Fetch that tar again"


def sections(truth: Path) -> dict[str, dict[str, object]]:
    return {"optim": {"batch_size": 8}, "evaluation": {"batch_size": 4, "truth": truth}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shards, their truth, and a run that was trained and evaluated on them."""
    folder = tmp_path_factory.mktemp("whole")
    store = ShardStore.open(equal_shards(folder / "shards"))
    splits = dict(zip(store.keys, store.table["split"].to_pylist(), strict=True))
    entries = [
        {"file": key, "class": "dog", "bbox": [[0.2, 0.2, 0.6, 0.6]]} for key in store.keys if splits[key] == "test"
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    run = train_tiny(folder, folder / "shards", **sections(folder / "vggss.json"))
    evaluate(run, EvaluationRequest())
    return folder


def stream_of(store: ShardStore, workers: int, positives: Positives | None = None) -> TrainingStream:
    data = Data(image_size=32, workers=workers, shuffle=4)
    return TrainingStream(store, data, select(store, data).mask, Streams(6, 1, max(1, workers)), 0, range(1), positives)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_stream_tells_every_damage(tmp_path: Path, damage: str) -> None:
    DAMAGE[damage](folder := equal_shards(tmp_path / "shards"))
    seen: dict[str, float] = {}
    with pytest.raises(InputError, match=TOLD):
        stream_into(seen, ShardStore.open(folder))
    assert all(abs(brightness - 3 * int(key.removeprefix("clip"))) < 1 for key, brightness in seen.items())


def stream_into(seen: dict[str, float], store: ShardStore) -> None:
    """Read an epoch; the brightness of each clip's image, which is three times its number."""
    for (part,) in training_loader(stream_of(store, 0)):
        seen |= dict(zip(part["key"], part["image"].float().mean(dim=(1, 2, 3)).tolist(), strict=True))


@pytest.mark.parametrize("damage", [swap, blank_contents])
def test_a_reader_process_s_sentence_has_no_traceback(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(folder := equal_shards(tmp_path / "shards"))
    with pytest.raises(InputError, match=TOLD) as caught:
        list(training_loader(stream_of(ShardStore.open(folder), 2)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["two names swapped", "blank contents", "a member lost", "packed with dates"])
def test_folders_read_together_tell_which_one(tmp_path: Path, damage: str) -> None:
    whole, folder = equal_shards(tmp_path / "whole", first=100), equal_shards(tmp_path / "shards")
    DAMAGE[damage](folder)
    store = open_shards([whole, folder])
    told = f"{folder}/{TOLD}"
    with pytest.raises(InputError, match=told):
        list(training_loader(stream_of(store, 0)))
    with pytest.raises(InputError, match=told):
        Descriptor("audio").vectors(store, range(48), lambda _: None)
    assert (store.frame(store.row_of("clip101")) == 303 % 256).all()


@pytest.mark.parametrize("damage", ["two names swapped", "blank contents", "a member lost"])
def test_clips_that_are_kept_in_memory_are_checked_too(tmp_path: Path, damage: str) -> None:
    """By reader processes: there are more than two chunks of clips."""
    DAMAGE[damage](folder := equal_shards(tmp_path / "shards", (100, 100)))
    store = ShardStore.open(folder)
    with pytest.raises(InputError, match=TOLD) as caught:
        ResidentSet(store, Data(image_size=32), np.arange(len(store)), torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_a_neighbour_in_another_tar_is_told(tmp_path: Path) -> None:
    """The clips that are streamed are whole; the one that is fetched beside them is not."""
    store = ShardStore.open(folder := equal_shards(tmp_path / "shards"))
    lists = np.array([[(row + 12) % 24] for row in range(24)], np.int32)
    neighbours = Neighbours(tmp_path, {}, store.keys, lists, lists)
    positives = Positives(store, neighbours, frozenset({"neighbours"}), store.keys)
    (step,) = list(training_loader(stream_of(store, 0, positives)))[:1]
    far = step[0]["neighbours"]["image"].float().mean(dim=(1, 2, 3)) - step[0]["image"].float().mean(dim=(1, 2, 3))
    assert far.abs().sub(36).abs().max() < 1
    DAMAGE["no tar"](folder)
    fresh = ShardStore.open(folder)
    with pytest.raises(InputError, match=r"shard-000000\.tar is not the tar"):
        Positives(fresh, neighbours, frozenset({"neighbours"}), fresh.keys).draw("clip012", Random(0))


@pytest.mark.parametrize("damage", ["two names swapped", "packed by kind", "cut off", "another moment"])
def test_every_command_says_which_tar_and_what_to_do(trained: Path, tmp_path: Path, damage: str) -> None:
    run = trained / "runs" / "tiny"
    DAMAGE[damage](folder := shutil.copytree(trained / "shards", tmp_path / "shards"))
    config = write_tiny(tmp_path, folder, **sections(trained / "vggss.json"))
    commands: dict[str, Callable[[], object]] = {
        "run": lambda: start(load_config(config), tmp_path / "runs", "cpu"),
        "evaluate": lambda: evaluate(load_run(run), EvaluationRequest(shards=folder, test_set="again")),
        "embed": lambda: embed(load_run(run), ShardStore.open(folder), tmp_path / "embeddings"),
        "index embed, image": lambda: Descriptor("image").vectors(ShardStore.open(folder), range(24), lambda _: None),
        "index embed, audio": lambda: Descriptor("audio").vectors(ShardStore.open(folder), range(24), lambda _: None),
        "report": lambda: write_report([load_run(run).folder], folder, tmp_path / "report"),
    }
    for name, command in commands.items():
        with pytest.raises(InputError) as caught:
            command()
        assert re.search(TOLD, str(caught.value)), (name, caught.value)


def test_shards_with_decomposed_names_are_used_like_any(tmp_path: Path) -> None:
    """Trained on by a list in composed names, with neighbours that were found when the names were taken as stored."""
    made = [replace(clip, key=unicodedata.normalize("NFD", f"hünd{clip.key}")) for clip in equal_clips(24)]
    store = ShardStore.open(write_shards(tmp_path / "shards", made, [12, 12]))
    composed = [unicodedata.normalize("NFC", clip.key) for clip in made]
    (tmp_path / "mine.txt").write_text("".join(f"{key}.mp4\n" for key in composed[:8]))
    data = Data(image_size=32, workers=0, shuffle=4, train_list=str(tmp_path / "mine.txt"))
    selected = select(store, data)
    assert selected.keys(store) == composed[:8]
    lists = np.array([[(row + 1) % 24] for row in range(24)], np.int32)
    facts = dict.fromkeys(("encoder", "metric", "index"), "x") | {"recall_against_exact": 1.0, "count": 24, "k": 1}
    facts |= {"manifest_sha256": store.manifest_sha256}
    (tmp_path / "knn").mkdir()
    for modality in MODALITIES:
        np.save(tmp_path / "knn" / f"{modality}.npy", lists)
    table = store.table.set_column(0, "key", pa.array([clip.key for clip in made])).select(KEYS_SCHEMA.names)
    write_keys_and_meta(tmp_path / "knn", table, facts)
    neighbours = Neighbours.open(tmp_path / "knn", store.manifest_sha256)
    positives = Positives(store, neighbours, frozenset({"neighbours"}), composed)
    stream = TrainingStream(store, data, selected.mask, Streams(4, 1, 1), 0, range(1), positives)
    for (part,) in training_loader(stream):
        assert set(part["key"]) <= set(composed[:8])
        nearer = part["neighbours"]["image"].float().mean(dim=(1, 2, 3)) - part["image"].float().mean(dim=(1, 2, 3))
        assert (nearer - 3).abs().max() < 1
