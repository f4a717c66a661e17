"""The full truth of a clip, one row per object, seen or not, sounding or not: `truth.parquet`.

The corpus's lists say only what the real data sets would say; this table says the rest, for tests, for diagnosis, and
for the formats of other data sets.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from pipeline.storage.files import replacing
from pipeline.synth.render import Sight, sights
from pipeline.synth.scene import MOMENT, MOMENT_FRAME, Scene

TRUTH_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("source_id", pa.string()),
        ("split", pa.string()),
        ("kind", pa.string()),  # ordinary, off_screen (what sounds is not in the image), silent (nothing sounds)
        ("label", pa.string()),  # of the clip
        ("width", pa.int32()),  # of the frame, pixels
        ("height", pa.int32()),
        ("moment", pa.float64()),  # seconds
        ("frame", pa.int32()),  # index of the frame shown at the moment
        ("object", pa.int32()),  # in painting order: later ones cover earlier ones
        ("object_label", pa.string()),
        ("sounding", pa.bool_()),
        ("gain", pa.float64()),  # relative to the clip's loudest object; 0 = silent
        ("on_screen", pa.bool_()),  # some of it can be seen at the moment
        ("visible_share", pa.float64()),  # of the object's own pixels, not hidden by others or by the frame's edge
        ("x1", pa.float64()),  # box tight around the visible pixels, shares of the frame; null when not on screen
        ("y1", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
    ]
)
Row = dict[str, Any]
NO_BOX = (None, None, None, None)


class Object(Protocol):
    """What the truth says of an object whatever it is made of."""

    @property
    def label(self) -> str: ...
    @property
    def sounding(self) -> bool: ...
    @property
    def gain(self) -> float: ...


class Described(Protocol):
    """What the truth says of a clip whatever it is made of. Sizes in pixels; `things` in painting order."""

    @property
    def key(self) -> str: ...
    @property
    def source_id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def things(self) -> Sequence[Object]: ...


def truth_rows(scene: Scene) -> list[Row]:
    """One TRUTH_SCHEMA row for every object of a drawn scene."""
    return rows_of(scene, sights(scene))


def rows_of(scene: Described, seen: Sequence[Sight]) -> list[Row]:
    """One TRUTH_SCHEMA row for every object of a scene, of which `seen` says what can be seen."""
    clip = {
        "key": scene.key,
        "source_id": scene.source_id,
        "split": scene.split,
        "kind": scene.kind,
        "label": scene.label,
        "width": scene.width,
        "height": scene.height,
        "moment": MOMENT,
        "frame": MOMENT_FRAME,
    }
    rows = []
    for number, (thing, sight) in enumerate(zip(scene.things, seen, strict=True)):
        visible = {"on_screen": sight.box is not None, "visible_share": sight.visible_share}
        heard = {"object_label": thing.label, "sounding": thing.sounding, "gain": thing.gain}
        corners = dict(zip(("x1", "y1", "x2", "y2"), sight.box or NO_BOX, strict=True))
        rows.append(clip | {"object": number} | heard | visible | corners)
    return rows


def write_truth(path: Path, rows: Iterable[Row]) -> None:
    """Write the table, rows in the order given."""
    import pyarrow.parquet as pq

    with replacing(path) as handle:
        pq.write_table(pa.Table.from_pylist(list(rows), TRUTH_SCHEMA), handle)
