"""A small drawn corpus, and the clips of a larger one."""

from pathlib import Path

import pytest
from synth_seed import CLIPS, SCENES, SEED

from pipeline.synth import lists
from pipeline.synth.corpus import write_corpus
from pipeline.synth.scene import draw_scene
from pipeline.synth.truth import truth_rows


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "corpus"
    write_corpus(out, CLIPS, SEED, workers=2)
    return out


@pytest.fixture(scope="session")
def test_clips() -> list[lists.Clip]:
    indices = range(4, SCENES, 5)
    return [lists.clip_of(truth_rows(draw_scene(SEED, index))) for index in indices]
