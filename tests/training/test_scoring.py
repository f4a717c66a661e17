"""`from training import score`: maps by name, as arrays or in a file give one document; packages load no library."""

import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from manifests.errors import InputError
from training import score
from training.score_file import score_file

KEYS = [f"clip{number:07d}_000030" for number in range(3)]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "vggss.json"
    entries = [{"file": key, "class": "dog", "bbox": [[0.1, 0.2, 0.6, 0.7]]} for key in KEYS]
    path.write_text(json.dumps(entries))
    return path


def test_every_form_of_maps_gives_the_numbers_of_the_command(truth: Path, tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7), dtype=np.float32)
    arrays = {"names": np.array(KEYS), "maps": maps}
    np.savez(tmp_path / "maps.npz", **arrays)
    told = score_file(tmp_path / "maps.npz", truth, "vggss", "ezvsl", tmp_path / "scores.json")
    for given in (tmp_path / "maps.npz", arrays, dict(zip(KEYS, maps, strict=True))):
        found = score(given, truth, "ezvsl", format="vggss")
        assert [row["iou"] for row in found["rows"]] == [row["iou"] for row in told["rows"]]
        assert (found["ciou50"], found["n_scored"]) == (told["ciou50"], 3)


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({}, "The maps are nothing: give one map"),
        (
            {KEYS[0]: np.zeros((7, 7)), KEYS[1]: np.zeros((8, 8))},
            f"{KEYS[1]} \\(8, 8\\): give one map",
        ),
        ({f"c{at}": np.zeros((7, 7 + at)) for at in range(4)}, r"c2 \(7, 9\), \.\.\.: give one map"),
        ({KEYS[0]: np.zeros((7, 7)), KEYS[1]: np.zeros((7, 7, 3))}, f"{KEYS[1]} looks like a coloured picture"),
        ({KEYS[0]: np.zeros((7, 7, 3))}, "They look like coloured pictures of maps: colours do not say"),
        ({"names": KEYS, "maps": np.zeros((3, 7, 9, 4))}, "They look like coloured pictures of maps: colours do not"),
        ({"names": KEYS, "maps": np.zeros((3, 7, 9, 2))}, "grey pictures with transparency"),
        ({"names": KEYS, "maps": np.zeros((3, 7, 9, 1))}, r"Write maps\[\.\.\., 0\]"),
        ({"names": KEYS, "maps": np.zeros((3, 1, 7, 9))}, r"Write maps\[:, 0\]"),
        ({"names": KEYS, "maps": np.zeros((3, 3, 7, 9))}, "such as music_duet. If they are coloured pictures, colours"),
        ({"names": KEYS, "maps": np.zeros((3, 2, 7, 9))}, r"such as music_duet\.$"),
        ({"names": np.array(KEYS)}, "scoring needs the arrays"),
        ({"names": np.array(KEYS), "maps": np.array(3.0)}, "a single value as maps"),
        ({"other": np.zeros((7, 7))}, "None of the 1 maps"),
        ({KEYS[0]: [[1.0], [1.0, 2.0]]}, f"the array of {KEYS[0]} is a list that is no array"),
        ({"names": np.array([KEYS]), "maps": np.zeros((1, 7, 7))}, "The names are <U18 of shape"),
        ({"names": np.array([b"\xff"]), "maps": np.zeros((1, 7, 7))}, "bytes and not UTF-8"),
        ({"names": KEYS, "maps": np.full((3, 7, 7), np.float32(1e31))}, "does not fit float32"),
        ({KEYS[0]: torch.zeros(7, 7, device="meta")}, f"the array of {KEYS[0]} is a Tensor that is no array"),
        ({KEYS[0]: np.ma.masked_less(np.eye(7), 0.5)}, f"the array of {KEYS[0]} has masked numbers"),
        ({f"clip{at}": np.eye(7) for at in range(3000)} | {"names": KEYS}, "clip0.{,250}; scoring needs the arrays"),
    ],
)
def test_maps_that_are_none_are_refused(truth: Path, maps: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(InputError, match=said):
        score(maps, truth, format="vggss")


@pytest.mark.parametrize("protocol", ["ezvsl", "slavc_relative", "lvs", "kaist", "adaptive", "avsbench", "sspl"])
def test_the_largest_maps_and_every_temperature_give_finite_numbers(truth: Path, protocol: str) -> None:
    maps = np.random.default_rng(0).uniform(-1e30, 1e30, (3, 7, 7)).astype(np.float32)
    for temperature in (1e-6, 1e4):
        found = score({"names": KEYS, "maps": maps}, truth, protocol, format="vggss", temperature=temperature)
        assert json.dumps(found, allow_nan=False)


LOST = [
    lambda maps: maps + 1e6,
    lambda maps: maps + 1e9,
    lambda maps: maps * 1e-60,
    lambda maps: maps * 1e-44,
    lambda maps: (maps * 1000).astype(np.int64) + 2**40,
    lambda maps: (maps * 1000).astype(np.int64) - 2**40,
    lambda maps: (maps * 1000).astype(np.uint64) + np.uint64(2**63),
    lambda maps: np.longdouble(maps) + 1e9,
]
KEPT = [
    lambda maps: maps + 100,
    lambda maps: maps * 1e-30,
    lambda maps: (maps * 2**62).astype(np.int64),
    lambda maps: (maps * 2**63).astype(np.uint64),
    lambda maps: np.float64(np.float32(maps + 1e6)),  # nothing is lost: its maker had float32
    lambda maps: np.full_like(maps, 0.1) + maps * 1e-16,  # a constant map that was rounded
    lambda maps: maps * np.array([1, 1, 1e-60])[:, None, None],  # one that is 0 beside the others
    lambda maps: np.where(maps > 0.5, 2**24 + 2, 0),
]


def test_maps_that_float32_cannot_tell_apart_are_refused_and_others_kept(truth: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7))
    for change in LOST:
        with pytest.raises(InputError, match="differences of its pixels would be lost"):
            score({"names": KEYS, "maps": change(maps)}, truth, format="vggss")
    for change in KEPT:
        assert score({"names": KEYS, "maps": change(maps)}, truth, format="vggss")["n_scored"] == 3


def test_half_precision_and_a_map_with_nan_are_told_without_a_warning(truth: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7)).astype(np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score({"names": KEYS, "maps": maps}, truth, format="vggss")["n_scored"] == 3
        for value in (np.nan, np.inf):
            broken = maps.astype(np.float64)
            broken[1, 2, 3:5] = value, -value
            with pytest.raises(InputError, match=f"map of {KEYS[1]} holds NaN or infinity"):
                score({"names": KEYS, "maps": broken}, truth, format="vggss")


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", np.nan), ("temperature", np.inf), ("temperature", 1e-45), ("alpha", np.nan)]
)
def test_numbers_beyond_their_range_are_refused(truth: Path, option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{option} is"):
        score({"names": KEYS, "maps": np.zeros((3, 7, 7))}, truth, format="vggss", **{option: value})


def test_texts_may_be_bytes_and_arrays_lists(truth: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7))
    expected = score({"names": KEYS, "maps": maps}, truth, format="vggss")["rows"]
    stored = {"names": np.array([key.encode() for key in KEYS]), "maps": maps.tolist(), "view": np.array(b"squash")}
    assert score(stored, truth, format="vggss")["rows"] == expected


def test_maps_of_any_kind_of_number_are_taken(truth: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7)) > 0.5
    tensor = torch.from_numpy(maps)

    def rows(given: Any) -> list[dict[str, Any]]:
        return score(dict(zip(KEYS, given, strict=True)), truth, format="vggss")["rows"]

    expected = rows(maps.astype(np.float32))
    for given in (maps, np.ma.array(maps), tensor, tensor.bfloat16(), tensor.float().requires_grad_(), tensor.byte()):
        assert rows(given) == expected
    controlled = {"names": KEYS, "maps": maps, "maps_silence": maps, "object_maps": maps}
    assert score(controlled, truth, "vssl", format="vggss")["n_scored"] == 3


def test_a_file_may_hold_each_map_under_its_clip_s_name(truth: Path, tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((3, 7, 7))
    np.savez(tmp_path / "maps.npz", **dict(zip(KEYS, maps, strict=True)))
    expected = score({"names": KEYS, "maps": maps}, truth, format="vggss")["rows"]
    assert score(tmp_path / "maps.npz", truth, format="vggss")["rows"] == expected


def test_an_archive_with_two_arrays_of_a_name_is_refused(truth: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "maps.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name twice
        for name, array in (("names", np.array(KEYS)), ("maps", np.zeros((3, 7, 7))), ("maps", np.ones((3, 7, 7)))):
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)
    with pytest.raises(InputError, match=r"cannot be read as maps \(it holds 'maps' twice\)"):
        score(tmp_path / "maps.npz", truth, format="vggss")


def test_maps_and_truth_in_each_other_s_place_are_told(truth: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "maps.npz", names=KEYS, maps=np.ones((3, 7, 7)))
    with pytest.raises(InputError, match="Maps are what `training score --maps` takes"):
        score(truth, tmp_path / "maps.npz")
    with pytest.raises(InputError, match=r"It is JSON, as annotations are, which --truth takes\. Write it with numpy"):
        score(truth, truth)
    np.save(tmp_path / "maps.npy", np.ones((3, 7, 7)))
    with pytest.raises(InputError, match=r"It is an array of numpy \(.npy\)\. Write it with numpy\.savez"):
        score(tmp_path / "maps.npy", truth)


def test_parts_of_frames_in_pixels_are_refused(truth: Path) -> None:
    given = {"names": KEYS, "maps": np.zeros((3, 7, 7)), "view": "centre_crop"}
    for part in ([20, 0, 200, 224], [0.5, 0.0, 0.25, 1.0]):
        with pytest.raises(InputError, match="as fractions from 0 to 1"):
            score(given | {"shown": np.tile(part, (3, 1))}, truth, format="vggss")
    assert score(given | {"shown": np.tile([0.2, 0.0, 0.8, 1.0], (3, 1))}, truth, format="vggss")["n_scored"] == 3


def test_embeddings_of_any_size_are_ranked_and_others_refused(truth: Path) -> None:
    given = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    for factor in (1.0, 1e30, 1e-30, 1e200):
        arrays = {"names": KEYS, "image_embeddings": np.float64(given) * factor, "audio_embeddings": given}
        found = score(arrays, truth, "retrieval", format="vggss")
        assert found["scores"]["image_to_audio"]["R@1"] == found["floors"]["chance_class"]["R@1"] == 1.0  # one class
    zero = given * np.array([[1], [0], [1]])
    with pytest.raises(InputError, match=f"In audio_embeddings 1 of 3 .* {KEYS[1]}: they are like"):
        score({"names": KEYS, "image_embeddings": given, "audio_embeddings": zero}, truth, "retrieval", format="vggss")
    for wrong in (np.full((3, 8), "a"), given + 1j, given[0]):
        with pytest.raises(InputError, match="give numbers of shape"):
            score(
                {"names": KEYS, "image_embeddings": given, "audio_embeddings": wrong},
                truth, "retrieval", format="vggss",
            )  # fmt: skip


def test_packages_offer_their_names_and_load_nothing_before() -> None:
    program = (
        "import sys, training, index, pipeline\n"
        "assert not {'torch', 'numpy', 'pyarrow', 'av'} & set(sys.modules), 'something heavy was loaded'\n"
        "from index import Neighbours\nfrom pipeline import ShardStore\n"
        "assert Neighbours.__module__ == 'index.neighbours' and ShardStore.__module__ == 'pipeline.shards.store'\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    training.absent\nexcept AttributeError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "module 'training' has no attribute 'absent'" in said
