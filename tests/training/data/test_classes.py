"""Classes as numbers: of the clips that are trained on, alone or in groups."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_shards

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.data.classes import classes_of

LABELS = ["cat", "dog", None, "car", "cat"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> ShardStore:
    frame, audio = np.zeros((32, 32, 3), np.uint8), np.zeros((257, 300), np.float16)
    clips = [MadeClip(f"clip{number:07d}_000000", frame, audio, label) for number, label in enumerate(LABELS)]
    return ShardStore.open(write_shards(tmp_path_factory.mktemp("labelled") / "shards", clips, short_side=32))


def test_numbers_follow_the_alphabet_of_the_selected_clips(labelled: ShardStore) -> None:
    found = classes_of(labelled, np.array([True, True, False, False, True]))
    assert found.names == ("cat", "dog")
    assert found.of_row.tolist() == [0, 1, -1, -1, 0]


def test_a_clip_without_a_label_is_named(labelled: ShardStore) -> None:
    with pytest.raises(
        InputError,
        match=r"1 of the 5 training clips have no label, first clip0000002_000000, .*`pipeline ingest --meta LIST`",
    ):
        classes_of(labelled, np.ones(5, bool))


def test_labels_are_put_together_in_groups(labelled: ShardStore, tmp_path: Path) -> None:
    groups, selected = tmp_path / "groups.csv", np.array([True, True, False, True, True])
    groups.write_text("label,group\ncat,animal\ndog,animal\ncar,vehicle\n")
    found = classes_of(labelled, selected, groups)
    assert found.names == ("animal", "vehicle")
    assert found.of_row.tolist() == [0, 0, -1, 1, 0]
    groups.write_text("label,group\ncat,animal\n")
    with pytest.raises(InputError, match="no group of 2 labels"):
        classes_of(labelled, selected, groups)
    groups.write_text("cat,animal\n")
    with pytest.raises(InputError, match="label,group"):
        classes_of(labelled, selected, groups)


def test_labels_of_folders_that_macos_took_apart_have_their_group(tmp_path: Path) -> None:
    frame, audio = np.zeros((32, 32, 3), np.uint8), np.zeros((257, 300), np.float16)
    label = unicodedata.normalize("NFD", "kätzchen")
    store = ShardStore.open(write_shards(tmp_path / "s", [MadeClip("a", frame, audio, label)], short_side=32))
    (tmp_path / "groups.csv").write_text("label,group\nkätzchen,animal\n")
    assert classes_of(store, np.array([True]), tmp_path / "groups.csv").names == ("animal",)
