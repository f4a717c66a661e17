"""Which settings and contents make a run another one, and which are only where something lies or how it is scored."""

from pathlib import Path

import pytest
import yaml

from training.config import RunConfig, load_config
from training.run_folders.identity import PLACES, differences, digest, settings
from training.runs import find_run

CONTENTS = {"shards": "a", "training_clips": "b", "image_weights": "imagenet", "audio_weights": "none"}


def given(*overrides: str) -> RunConfig:
    return load_config("ezvsl.yaml", overrides)


@pytest.mark.parametrize(
    "override",
    [
        "seed=5",
        "evaluation.test_set=other",
        "evaluation.protocols=[lvs]",
        "validation={truth: there.json}",
        "log_every=1",
        "published=[fnac]",
        "data.shards=elsewhere",
        "data.neighbours=elsewhere",
        "data.lists=elsewhere",
        "data.train_list=a_copy.txt",
        "encoders.image.weights=there.safetensors",
    ],
)
def test_scores_and_places_are_no_part_of_a_run(override: str) -> None:
    assert digest(given(override), CONTENTS) == digest(given(), CONTENTS)
    assert differences(given(), CONTENTS, given(override), CONTENTS) == []


@pytest.mark.parametrize(
    "override", ["method.temperature=0.05", "method.matching=mean", "optim.epochs=21", "data.k=7", "data.split=all"]
)
def test_whatever_trains_is(override: str) -> None:
    assert digest(given(override), CONTENTS) != digest(given(), CONTENTS)
    (found,) = differences(given(), CONTENTS, given(override), CONTENTS)
    assert found.startswith(override.partition("=")[0])


@pytest.mark.parametrize("name", CONTENTS)
def test_another_content_is_another_run(name: str) -> None:
    other = CONTENTS | {name: "other"}
    assert digest(given(), other) != digest(given(), CONTENTS)
    assert differences(given(), CONTENTS, given(), other) == [f"the content of {' or '.join(PLACES[name])}"]


def test_a_content_nobody_stored_is_compared_by_its_place() -> None:
    unknown = {name: content for name, content in CONTENTS.items() if name != "image_weights"}
    assert differences(given(), unknown, given(), CONTENTS) == []
    moved = given("encoders.image.weights=there.safetensors")
    assert differences(given(), unknown, moved, CONTENTS) == ["the content of encoders.image.weights"]


def test_defaults_of_the_method_are_settings() -> None:
    assert settings(given())["method.matching"] == "max"
    assert not any(key in settings(given()) for keys in PLACES.values() for key in keys)


@pytest.mark.parametrize("negatives", ["mean", "masked"])
def test_an_option_younger_than_a_run_means_what_the_run_did(negatives: str, tmp_path: Path) -> None:
    """HardPos pooled negatives by their mean before it had an option for it, whose default is another."""
    config = load_config("hardpos.yaml", (f"method.negatives={negatives}",))
    stored = config.model_dump(mode="json")
    del stored["method"]["negatives"]
    old = tmp_path / "hardpos" / "0123abcd-s0"
    old.mkdir(parents=True)
    (old / "config.yaml").write_text(yaml.safe_dump(stored))
    folder, (said,) = find_run(tmp_path, config, {})
    assert (folder == old) == (negatives == "mean")
    assert ("method.negatives (mean there, masked here)" in said) == (negatives == "masked")
