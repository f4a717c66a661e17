"""What happens to the tars of a shard folder: every way in which one becomes another than its manifest describes.

DAMAGE["two names swapped"](folder)    changes `folder`; a folder of `equal_clips` has tars of one size
"""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from shard_maker import MadeClip, write_shards

from pipeline.shards.store import ShardStore

FIRST, SECOND = "shard-000000.tar", "shard-000001.tar"
Members = list[tuple[str, bytes]]


def equal_clips(count: int, first: int = 0, moment: float = 5.0) -> list[MadeClip]:
    """Clips whose members have the same sizes whatever their number, so that sizes give nothing away."""
    return [
        MadeClip(
            f"clip{number:03d}",
            np.full((32, 32, 3), 3 * number % 256, np.uint8),
            np.full((257, 300), -number, np.float16),
            f"class{number % 2}",
            "test" if number % 4 == 3 else "train",
            facts={"moment": moment},
        )
        for number in range(first, first + count)
    ]


def equal_shards(folder: Path, sizes: Sequence[int] = (12, 12), first: int = 0, moment: float = 5.0) -> Path:
    """A finished folder of such clips, in tars of so many."""
    return write_shards(folder, equal_clips(sum(sizes), first, moment), sizes)


def members(tar: Path) -> Members:
    with tarfile.open(tar) as opened:
        return [(info.name, opened.extractfile(info).read()) for info in opened.getmembers()]


def pack(tar: Path, contents: Members, **how: object) -> None:
    with tarfile.open(tar, "w", **({"format": tarfile.GNU_FORMAT} | how)) as opened:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


def swap(folder: Path) -> None:
    (folder / FIRST).rename(folder / "aside")
    (folder / SECOND).rename(folder / FIRST)
    (folder / "aside").rename(folder / SECOND)


def pack_backwards(folder: Path) -> None:
    """The same clips, the last one first: of equal sizes, so every offset is that of some member."""
    clips = [members(folder / FIRST)[start : start + 3] for start in range(0, len(members(folder / FIRST)), 3)]
    pack(folder / FIRST, [member for clip in reversed(clips) for member in clip])


def pack_as_folder(folder: Path) -> None:
    """As `tar cf shard.tar -C unpacked .` names the members."""
    pack(folder / FIRST, [(f"./{name}", content) for name, content in members(folder / FIRST)])


def pack_by_kind(folder: Path) -> None:
    """All images, then all facts, then all spectrograms: as a tool that sorts by suffix does."""
    pack(folder / FIRST, sorted(members(folder / FIRST), key=lambda each: (each[0].partition(".")[2], each[0])))


def pack_with_dates(folder: Path) -> None:
    """With a header more for each member, as Python's default format writes for times that are no whole seconds."""
    pack(folder / FIRST, members(folder / FIRST), format=tarfile.PAX_FORMAT, pax_headers={"comment": "again"})


def lose_a_member(folder: Path) -> None:
    pack(folder / FIRST, [each for each in members(folder / FIRST) if each[0] != "clip005.spec.npy"])


def repeat_a_member(folder: Path) -> None:
    contents = members(folder / FIRST)
    pack(folder / FIRST, [*contents[:4], contents[3], *contents[5:]])


def replaced_by_other_clips(folder: Path) -> None:
    other = equal_shards(folder.parent / "other", first=100)
    shutil.copy(other / FIRST, folder / FIRST)


def replaced_by_another_moment(folder: Path) -> None:
    """Of the same source, ingested with another --moment: names and sizes are the same."""
    other = equal_shards(folder.parent / "other", moment=2.0)
    shutil.copy(other / FIRST, folder / FIRST)


def replaced_by_another_front_end(folder: Path) -> None:
    """With a front end whose name is as long and whose spectrograms are as large."""
    content = (folder / FIRST).read_bytes()
    own = json.loads((folder / "index.json").read_text())["front_end"].encode()
    (folder / FIRST).write_bytes(content.replace(own, own[::-1]))


def overwritten(content: Callable[[int], bytes]) -> Callable[[Path], None]:
    def overwrite(folder: Path) -> None:
        (folder / FIRST).write_bytes(content((folder / FIRST).stat().st_size))

    return overwrite


def resized(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def resize(folder: Path) -> None:
        (folder / FIRST).write_bytes(change((folder / FIRST).read_bytes()))

    return resize


def blank_contents(folder: Path) -> None:
    """Headers stand, contents are zeros: a copy of a file with holes, or a transfer that went on after a loss."""
    path = folder / FIRST
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as opened:
        for info in opened.getmembers():
            content[info.offset_data : info.offset_data + info.size] = bytes(info.size)
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "two names swapped": swap,
    "packed backwards": pack_backwards,
    "packed as a folder": pack_as_folder,
    "packed by kind": pack_by_kind,
    "packed with dates": pack_with_dates,
    "a member lost": lose_a_member,
    "a member twice": repeat_a_member,
    "other clips": replaced_by_other_clips,
    "another moment": replaced_by_another_moment,
    "another front end": replaced_by_another_front_end,
    "cut off": resized(lambda content: content[: len(content) // 2]),
    "its end cut off": resized(lambda content: content[:-512]),
    "grown": resized(lambda content: content + bytes(10240)),
    "empty": resized(lambda content: b""),
    "zeros": overwritten(bytes),
    "no tar": overwritten(lambda size: np.random.default_rng(0).bytes(size)),
    "blank contents": blank_contents,
    "missing": lambda folder: (folder / FIRST).unlink(),
}


def clips_of_first(folder: Path) -> list[str]:
    """Keys of the clips in the first tar."""
    store = ShardStore.open(folder)
    return [key for row, key in enumerate(store.keys) if store.table["shard"][row].as_py() == FIRST]
