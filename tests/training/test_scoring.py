"""`from training import score`: maps by name, as arrays or in a file give one document; packages load no library."""

import json
import subprocess
import sys
from pathlib import Path

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
        ({}, "nothing"),
        ({KEYS[0]: np.zeros((7, 7)), KEYS[1]: np.zeros((8, 8))}, "all of one shape"),
        ({"names": np.array(KEYS)}, "scoring needs the arrays"),
        ({"names": np.array(KEYS), "maps": np.array(3.0)}, "a single value as maps"),
        ({"other": np.zeros((7, 7))}, "None of the 1 maps"),
        ({KEYS[0]: torch.zeros(7, 7, requires_grad=True)}, f"the map of {KEYS[0]} is a Tensor that is no array"),
    ],
)
def test_maps_that_are_none_are_refused(truth: Path, maps: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(InputError, match=said):
        score(maps, truth, format="vggss")


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
