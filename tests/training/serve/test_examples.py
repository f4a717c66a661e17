"""Example clips: the ingested videos, one of a label, copied; nothing where they are gone."""

from pathlib import Path

import numpy as np
import pytest
from shard_maker import MadeClip, write_shards

from manifests.errors import InputError
from pipeline.media.front_ends import find_front_end
from training.serve.examples import find_examples
from training.serve.limits import Limits


def test_examples_are_copies_under_their_labels(examples: Path, tmp_path: Path) -> None:
    found = find_examples([examples], tmp_path, 5, 1 << 20)
    assert {each.name for each in found} == {"dog barking", "violin viola"}  # the third clip's video is gone
    for each in found:
        assert {each.video.parent, each.image.parent, each.sound.parent} == {each.video.parent}
        assert each.video.is_relative_to(tmp_path)
        assert each.video.stem == each.name
        Limits().check_video(each.video)
        Limits().check_image(each.image)
        Limits().check_audio(each.sound, find_front_end())


def test_fewer_examples_where_fewer_are_wanted_or_fit(examples: Path, tmp_path: Path) -> None:
    assert len(find_examples([examples], tmp_path, 1, 1 << 20)) == 1
    (tmp_path / "small").mkdir()
    with pytest.raises(InputError, match="not where they were ingested from"):
        find_examples([examples], tmp_path / "small", 2, 100)


def test_shards_without_their_videos_have_no_examples(tmp_path: Path) -> None:
    front_end = find_front_end()
    spectrogram = front_end.spectrogram(np.zeros(front_end.samples, np.float32))
    clips = [MadeClip(f"c{number}", np.zeros((8, 8, 3), np.uint8), spectrogram, "dog") for number in range(3)]
    shards = write_shards(tmp_path / "shards", clips)
    with pytest.raises(InputError, match="not where they were ingested from"):
        find_examples([shards], tmp_path, 2, 1 << 20)
