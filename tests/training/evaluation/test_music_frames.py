"""MUSIC frames that a detector found nothing in: never scored, and counted under every protocol and list."""

import json
from pathlib import Path

import numpy as np
import pytest

from manifests.errors import InputError
from training import score

EMPTY = ("AbCdEfGh_00_0_1000/frame_001/00031.jpg", "AbCdEfGh_01_0_1000/frame_000/00001.jpg")
FRAMES = tuple(
    f"AbCdEfGh_{video:02d}_0_1000/frame_{at:03d}/{30 * at + 1:05d}.jpg" for video in (0, 1) for at in (0, 1, 2)
)


@pytest.fixture
def solos(tmp_path: Path) -> Path:
    box = {"normbox": [0.1, 0.2, 0.5, 0.6], "category_id": 1}
    path = tmp_path / "solotest.json"
    path.write_text(json.dumps({key: {"bbox": [] if key in EMPTY else [box]} for key in FRAMES}))
    return path


def arrays(protocol: str) -> dict[str, np.ndarray]:
    maps = np.random.default_rng(0).normal(size=(len(FRAMES), 7, 7)).astype(np.float32)
    found = {"names": np.array(FRAMES), "maps": maps}
    if protocol == "noprior_music":
        return found | {"owner": np.arange(len(FRAMES))}
    if protocol == "music_duet":
        return found | {"maps": maps[:, None], "categories": np.array(["cello"])}
    if protocol == "retrieval":
        return {"names": found["names"], "image_embeddings": maps[:, 0], "audio_embeddings": maps[:, 1]}
    return found | (
        {f"maps_{name}": maps[::-1] for name in ("silence", "noise", "offscreen")} if "vssl" in protocol else {}
    )


PROTOCOLS = ("dsol", "avgn_relative", "avgn_absolute", "kaist", "adaptive_masks", "vssl", "music_duet", "noprior_music",
             "retrieval")  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_they_are_counted_under_every_protocol_and_list(solos: Path, tmp_path: Path, protocol: str) -> None:
    """A list may hold them, as one of all frames of a video does: it narrows what is counted, too."""
    found = score(arrays(protocol), solos, protocol, format="music")
    assert (found["n_expected"], found["n_scored"], found["n_without_boxes"]) == (4, 4, 2)
    (tmp_path / "list.txt").write_text("\n".join(FRAMES[:3]))
    part = score(arrays(protocol), solos, protocol, format="music", clips=tmp_path / "list.txt")
    assert (part["n_expected"], part["n_scored"], part["n_without_boxes"]) == (2, 2, 1)


def test_a_list_without_any_box_or_with_frames_of_no_annotation_is_refused(solos: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    given = {"format": "music", "clips": listed}
    listed.write_text("\n".join(EMPTY))
    with pytest.raises(InputError, match=r"no box in any of the 2 frames of .*list\.txt"):
        score(arrays("dsol"), solos, "dsol", **given)
    listed.write_text("\n".join((*FRAMES, "AbCdEfGh_09_0_1000/frame_000/00001.jpg")))
    with pytest.raises(InputError, match=r"1 of the 7 clips of .*list\.txt are not annotated"):
        score(arrays("dsol"), solos, "dsol", **given)
