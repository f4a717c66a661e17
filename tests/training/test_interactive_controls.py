"""IS3 asked whether a run listens: an image with two sounds has controls of each, not of the other one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import train_tiny

from manifests.errors import InputError
from manifests.files.checksums import KEY
from manifests.sound_draws import OFF_SCREEN, SWAPPED
from pipeline.shards.store import ShardStore
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import left_out_in_words
from training.export.folder import Wanted, export
from training.runs import LoadedRun

IMAGES = ("bell_drum_0", "bell_drum_1", "bell_owl_2", "drum_owl_3", "owl_saw_4")


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return train_tiny(tmp_path_factory.mktemp("interactive"), shards, evaluation={"batch_size": 4})


@pytest.fixture
def asked(store: ShardStore, tmp_path: Path) -> EvaluationRequest:
    """Five images of two sounds each, every sound a clip of its own; only `saw` sounds once."""
    keys, entries, lines = iter(store.keys), [], ["name,video,audio"]
    for image in IMAGES:
        video = next(keys)
        for target in image.split("_")[:2]:
            entries.append({"image": f"{image}_{target}.jpg", "audio": "x", "gt_box": [10, 10, 100, 120]})
            lines.append(f"{image}_{target},{video},{next(keys)}")
    (tmp_path / "is3.json").write_text(json.dumps(entries))
    (tmp_path / "is3.csv").write_text("\n".join(lines))
    files = {"truth": tmp_path / "is3.json", "pairs": tmp_path / "is3.csv"}
    return EvaluationRequest(format="is3", protocols=("vssl",), **files)


def test_a_swapped_sound_is_of_the_class_that_sounds_and_an_off_screen_one_of_none_in_the_image(
    run: LoadedRun, asked: EvaluationRequest
) -> None:
    (result,) = evaluate(run, asked)
    path = run.folder / "evaluation" / f"{result.summary['test_set']}.controls.npz"
    with np.load(path) as arrays:
        names, given = arrays["names"].tolist(), {kind: arrays[f"{kind}_of"].tolist() for kind in (SWAPPED, OFF_SCREEN)}
    heard = {name: name.rsplit("_", 1)[1] for name in names}
    swapped = dict(zip(names, given[SWAPPED], strict=True))
    assert {name: heard.get(other) for name, other in swapped.items()} == heard | {"owl_saw_4_saw": None}
    assert all(name != other for name, other in swapped.items())
    assert result.summary["controls"][SWAPPED]["without"] == ["owl_saw_4_saw"]
    for name, other in zip(names, given[OFF_SCREEN], strict=True):
        assert not other or heard[other] not in name.split("_")


def test_results_with_sounds_swapped_within_an_image_are_made_again(
    run: LoadedRun, asked: EvaluationRequest, tmp_path: Path
) -> None:
    (result,) = evaluate(run, asked)
    path = run.folder / "evaluation" / f"{result.summary['test_set']}.vssl.json"
    written = json.loads(path.read_text()).items()
    before: dict[str, Any] = {name: one for name, one in written if name not in ("swapped_by", KEY)}
    assert not left_out_in_words(result.summary)
    assert "drawn by all classes of an image" in left_out_in_words(before)[0]
    path.write_text(json.dumps(before))
    with pytest.raises(InputError, match=r"of an earlier version: .*vssl\.json has swapped sounds that"):
        export(run, Wanted(tmp_path / "exported"))
    assert evaluate(run, asked)[0].summary["swapped_by"] == "label"


@pytest.mark.parametrize("with_pairs", [True, False])
def test_shards_that_hold_none_of_it_are_told_with_what_was_wanted(
    run: LoadedRun, asked: EvaluationRequest, tmp_path: Path, with_pairs: bool, replaced: Callable[[Path], Path]
) -> None:
    """A sample that pairs name is no clip: the clips are said, and nobody is told to give the pairs that he gave."""
    pairs = replaced(asked.pairs) if with_pairs and asked.pairs else None
    with pytest.raises(InputError) as refused:
        evaluate(run, replace(asked, pairs=pairs))
    said = str(refused.value)
    assert ("elsewhere_" in said) is with_pairs
    assert ("--shards" in said) is with_pairs
    assert ("give --pairs" in said) is not with_pairs


@pytest.fixture
def replaced(tmp_path: Path) -> Callable[[Path], Path]:
    """The same pairs of clips that are in no shards."""

    def write(pairs: Path) -> Path:
        first, *rows = pairs.read_text().splitlines()
        others = (f"{row.split(',')[0]},elsewhere_{at},heard_{at}" for at, row in enumerate(rows))
        path = tmp_path / "elsewhere.csv"
        path.write_text("\n".join([first, *others]))
        return path

    return write
