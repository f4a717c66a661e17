"""Reference values of released evaluators, beside the repository; tests that need them skip where they are absent."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_values import SOURCES, load
from places import LISTS, needed

from manifests.annotations import Annotation
from training.evaluation.truth import weight_maps


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Interpolating a few small maps on every core is slower than on one, and the machine may be shared."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    """ "made" always, "released" where the values of the original code are present."""
    return request.param


@pytest.fixture(scope="session")
def golden(source: str) -> Callable[[str], Any]:
    """`golden("golden_edge.json")`: a reference file's content."""
    return partial(load, source)


@pytest.fixture(scope="session")
def released() -> Callable[[str], Any]:
    """As `golden`, of the original code alone: for what only its accidents can show."""
    return partial(load, "released")


@pytest.fixture(scope="session")
def metadata(source: str) -> Callable[[str], Path]:
    """`metadata("vggss/vggss.json")`: path of our miniature of a list, or of the released one."""

    def find(name: str) -> Path:
        return needed(LISTS[source] / name)

    return find


@pytest.fixture(scope="session")
def scenes(golden: Callable) -> dict[str, list[Annotation]]:
    """The 64 reference scenes as VGG-SS and as Flickr-SoundNet annotations."""
    scene = golden("golden_scene.json")
    vggss, flickr = [], []
    for name, boxes, opinions in zip(
        scene["names"], scene["vggss_boxes_normalised"], scene["flickr_boxes_256"], strict=True
    ):
        vggss.append(Annotation(name, None, tuple(map(tuple, boxes))))
        every = (tuple(value / 256 for value in box) for annotator in opinions for box in annotator)
        flickr.append(Annotation(name, None, tuple(every), consensus=2))
    return {"vggss": vggss, "flickr": flickr}


@pytest.fixture(scope="session")
def weights(scenes: dict[str, list[Annotation]]) -> dict[str, np.ndarray]:
    """Truth maps (64, 224, 224) of the reference scenes by annotation style."""
    return {style: weight_maps(annotations) for style, annotations in scenes.items()}


@pytest.fixture(scope="session")
def values(golden: Callable[[str], Any]) -> Any:
    """What the evaluators of 2023 to 2025 say; a file of tests about others has its own."""
    return golden("golden_listening.json")


@pytest.fixture(scope="session")
def arrays(golden: Callable[[str], Any]) -> Any:
    """What they were given."""
    return golden("golden_listening.npz")
