"""Leaks of test clips into training: found, left out, stored with the run, and shown with its results."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damaged_tars import equal_clips
from shard_maker import write_shards
from tiny_run import write_tiny

from index.neighbours import Neighbours
from manifests.clip_lists.written import as_list
from manifests.errors import InputError
from manifests.splits import read_ids
from manifests.truth import read_truth
from pipeline.coverage import split_report
from pipeline.shards.store import ShardStore
from training.config import Data, load_config
from training.data.positives import Positives
from training.data.selection import select
from training.data.views import clip_random
from training.evaluate import EvaluationRequest, evaluate
from training.leakage import find_tests, own_truth
from training.loop.start import start
from training.runs import known_contents, load_run
from training.trained_on import Seen, seen_by


@pytest.fixture
def leaky(store: ShardStore, tmp_path: Path) -> Path:
    """A folder of lists whose vggss.json names eleven clips the shards call training clips, and one they lack."""
    keys = [key for key, split in zip(store.keys, store.table["split"].to_pylist(), strict=True) if split == "train"]
    entries = [
        {"file": key, "class": "dog", "bbox": [[0.1, 0.1, 0.5, 0.9]]} for key in [*keys[:11], "notthere000_000001"]
    ]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "vggss.json").write_text(json.dumps(entries))
    return tmp_path / "lists"


def written(shards: Path, lists: Path, *excluded: str) -> Path:
    return write_tiny(lists.parent, shards, data={"lists": lists, "exclude_test": excluded})


def test_the_default_leaves_the_test_clips_out_and_says_so(shards, leaky, tmp_path, capsys) -> None:
    config = load_config(written(shards, leaky, "vggss"))
    folder, _ = start(config, tmp_path / "runs", "cpu")
    shown = capsys.readouterr().out
    assert "contains 0 of the 12 clips of vggss" in shown
    stored = json.loads((folder / "overlaps.json").read_text())
    store = ShardStore.open(shards)
    rows = store.table.select(["split", "flags"]).to_pylist()
    silent = sum("silent" in (row["flags"] or ()) for row in rows if row["split"] == "train")
    assert silent
    assert f"{silent} silent clips dropped (data.drop_flagged)" in shown
    assert stored["training"]["dropped"] == {"silent": silent}
    usable = int(select(store, config.data).mask.sum())
    assert stored["training"]["clips"] + stored["training"]["left_out"] == usable
    assert 0 < stored["training"]["left_out"] <= 11
    trained = (folder / "training_clips.txt").read_text().split()
    tests = {entry["file"] for entry in json.loads((leaky / "vggss.json").read_text())}
    assert len(trained) == stored["training"]["clips"]
    assert not tests & set(trained)


def test_a_leak_that_is_allowed_is_printed_stored_and_shown_with_the_score(shards, leaky, tmp_path, capsys) -> None:
    folder, _ = start(load_config(written(shards, leaky)), tmp_path / "runs", "cpu")
    (entry,) = json.loads((folder / "overlaps.json").read_text())["tests"]
    assert not entry["excluded"]
    assert entry["shared"] == 10 or entry["shared"] == 11  # one clip may be silent
    assert f"contains {entry['shared']} of the 12 clips" in capsys.readouterr().out
    (result,) = evaluate(load_run(folder), EvaluationRequest(truth=leaky / "vggss.json", protocols=("ezvsl",)))
    assert result.summary["lists"]["training"]["test_clips_trained_on"] == entry["shared"]


MUSIC_CLIPS = ["aaaaaaaaaaa_0_1000", "aaaaaaaaaaa_000013", "aaaaaaaaaaa", "bbbbbbbbbbb_0_1000"]


@pytest.mark.parametrize("at_hand", [True, False])
def test_videos_of_annotated_frames_are_excluded_whole(shards, tmp_path, at_hand) -> None:
    """From the list among others, or the run's own test set under that name."""
    (tmp_path / "lists").mkdir()
    truth = (tmp_path / "lists" if at_hand else tmp_path) / "solotest.json"
    frames = [f"aaaaaaaaaaa_0_1000/frame_013/{number:05d}.jpg" for number in (411, 412)]
    boxes = {"bbox": [{"normbox": [0.1, 0.1, 0.5, 0.5], "category_id": 1}]}
    truth.write_text(json.dumps(dict.fromkeys(frames, boxes)))
    own = (f"evaluation.truth={truth}", "evaluation.format=music", "evaluation.test_set=music_solo")
    config = load_config(written(shards, tmp_path / "lists", "music_solo"), own)
    tests = find_tests(config, own_truth(config)).known_as(MUSIC_CLIPS)
    assert tests.banned == set(MUSIC_CLIPS[:3])
    test_set = read_truth(truth, "music").test_set
    assert Seen(("aaaaaaaaaaa_000013",)).against(test_set)["test_videos_trained_on"] == 1


def test_training_clips_of_any_name_are_read_back_as_lists_are(tmp_path) -> None:
    """And those of earlier versions, one a line whatever their names, as before."""
    keys = ["Hello, World", "# 2", "file", "#3", "a,b", "AbCdEfGh_-1_000030 take 2", *(f"plain {n}" for n in range(10))]
    made = [replace(clip, key=key) for clip, key in zip(equal_clips(16), sorted(keys), strict=True)]
    shards = write_shards(tmp_path / "shards", made, [16])
    (tmp_path / "mine.txt").write_text(as_list(keys))
    options = (f"data.train_list={tmp_path / 'mine.txt'}", "data.drop_flagged=[]", "optim.batch_size=4")
    folder, _ = start(load_config(write_tiny(tmp_path, shards), options), tmp_path / "runs", "cpu")
    known, listed = known_contents(folder), folder / "training_clips.txt"
    assert set(seen_by(folder).clips) == set(keys)
    assert read_ids(listed).known_as(keys).ids == seen_by(folder).clips
    listed.write_text("".join(f"{key}\n" for key in seen_by(folder).clips))
    assert (set(seen_by(folder).clips), known_contents(folder)) == (set(keys), known)


def test_a_list_that_is_not_there_is_said_aloud(shards, tmp_path, capsys) -> None:
    (tmp_path / "lists").mkdir()
    folder, _ = start(load_config(written(shards, tmp_path / "lists", "vggss")), tmp_path / "runs", "cpu")
    assert "NOT CHECKED: vggss was not found" in capsys.readouterr().out
    assert json.loads((folder / "overlaps.json").read_text())["not_found"] == ["vggss"]
    with pytest.raises(InputError, match="neither a file nor a known list"):
        find_tests(load_config(written(shards, tmp_path / "lists", "vgss")))


def test_a_training_list_decides_over_the_split_and_says_what_the_shards_lack(shards, leaky, store, tmp_path, capsys):
    splits = dict(zip(store.keys, store.table["split"].to_pylist(), strict=True))
    chosen = [*sorted(splits, key=splits.get)[:3], *sorted(splits, key=splits.get)[-17:]]
    assert {splits[key] for key in chosen} == {"train", "test"}
    listed = tmp_path / "chosen.txt"
    listed.write_text("".join(f"{key}.mp4\n" for key in [*chosen, "notthere000_000001"]))
    options = (f"data.train_list={listed}", "data.drop_flagged=[]", "optim.batch_size=4")
    folder, _ = start(load_config(written(shards, leaky), options), tmp_path / "runs", "cpu")
    assert "20 of the 21 clips of chosen are in the shards" in capsys.readouterr().out
    assert set((folder / "training_clips.txt").read_text().split()) == set(chosen)
    assert json.loads((folder / "overlaps.json").read_text())["list"]["missing"] == ["notthere000_000001"]


def test_a_known_training_list_that_is_not_at_hand_is_asked_for(shards, leaky, tmp_path) -> None:
    config = load_config(written(shards, leaky, "vggss"), ("data.train_list=vggss_10k",))
    with pytest.raises(
        InputError, match=r"data.train_list: the list vggss_10k is not under .* `data.train_list=null` trains"
    ):
        start(config, tmp_path / "runs", "cpu")


def test_only_clips_of_the_run_are_drawn_as_neighbours(store, knn) -> None:
    neighbours = Neighbours.open(knn, store.manifest_sha256)
    key = neighbours.keys[0]
    near = [neighbours.keys[place] for place in neighbours.image[0]]
    others = set(neighbours.keys) - set(near)
    positives = Positives(store, neighbours, frozenset({"neighbours"}), {*others, near[0]})
    drawn = {positives._drawn(neighbours.image, key, clip_random(0, epoch, key)) for epoch in range(20)}
    assert drawn == {store.row_of(near[0])}
    with pytest.raises(InputError, match="exclude_test"):
        Positives(store, neighbours, frozenset({"neighbours"}), others).draw(key, clip_random(0, 0, key))


def test_splits_finds_misses_and_leaks(shards, leaky, store, tmp_path, capsys) -> None:
    report = split_report([str(leaky / "vggss.json")], shards, ["vggss"], leaky, tmp_path / "report.json")
    listed, held = report["lists"]
    assert (listed["found"], listed["missing"], listed["contains"]) == (11, ["notthere000_000001"], [])
    assert held["clips"] == sum(np.array(store.table["split"].to_pylist()) == "train")
    assert [len(leak["shared"]) for leak in held["contains"]] == [11]
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert "11 found, 1 missing, first notthere000_000001" in capsys.readouterr().out
    with pytest.raises(InputError, match="Get it from https"):
        split_report(["vggss_10k"], None, [], leaky)


def test_clips_without_a_split_that_are_trained_on_are_said(tmp_path: Path, capsys) -> None:
    clips = [replace(clip, split=None if number < 3 else clip.split) for number, clip in enumerate(equal_clips(24))]
    shards = write_shards(tmp_path / "shards", clips)
    store = ShardStore.open(shards)
    assert select(store, Data()).unnamed == 3
    assert select(store, Data(split="test")).unnamed == 0
    alone = [replace(clip, split=None) for clip in clips]  # then no split was meant to leave anything out
    assert select(ShardStore.open(write_shards(tmp_path / "alone", alone)), Data()).unnamed == 0
    start(load_config(write_tiny(tmp_path, shards, data={"exclude_test": []})), tmp_path / "runs", "cpu")
    assert "3 clips without a split are counted as train" in capsys.readouterr().out
