"""From folders of material to a library: what there is, what of it can be used, and which side it is on."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import InputError
from pipeline.compose.files import Rejection, Unusable
from pipeline.compose.finding import NO_CLASS, Item, Stage, find_material
from pipeline.compose.material import Ready, ready_background, ready_object, ready_recording
from pipeline.compose.object_images import ObjectImage
from pipeline.compose.pieces import CutOut, Library, Scene, Shelf
from pipeline.compose.places import group_by_colours, related_order
from pipeline.compose.recordings import Recording
from pipeline.compose.settings import Settings
from pipeline.compose.sides import SIDES, Divided, Member, Side, divide
from pipeline.sources.walk import readable
from pipeline.synth.folder import Workers
from pipeline.synth.surroundings import homes, places_wanted

FEWEST = 2  # photographs, and recordings, a class needs, one a side
Sides = Mapping[tuple[Stage, ...], Divided]
STAGES_DIVIDED: tuple[tuple[Stage, ...], ...] = (("image", "background"), ("audio",))  # which may share a file


@dataclass(frozen=True)
class Collection:
    """A library and what to say of it. `split`: how the sides were made, for corpus.json."""

    library: Library
    items: Mapping[int, Item]
    foreign: list[str]
    split: dict[str, Any]
    rejected: list[Rejection]
    digest: str

    def sources_of(self, scene: Scene) -> list[dict[str, Any]]:
        """The files a scene is made of, a row each."""
        used = [(thing.image, "image", None) for thing in scene.things if thing.image is not None]
        used += [(number, "audio", None) for thing in scene.things for number in thing.recordings]
        used += [(scene.background, "background", scene.place)] if scene.background is not None else []
        clip = {"key": scene.key, "split": scene.split}
        return [clip | {"role": role, "place": place} | self._described(number) for number, role, place in used]

    def _described(self, number: int) -> dict[str, Any]:
        item = self.items[number]
        return {"label": item.label or None, "file": readable(item.file), "source": readable(item.source)}


def collect(
    images: Path, audio: Path, backgrounds: Path | None, settings: Settings, scratch: Path, at_work: Workers
) -> Collection:
    """Find the material, keep it ready in `scratch`, and divide it. InputError when it makes no corpus."""
    items, rejected = find_material(images, audio, backgrounds)
    ready, unusable = _made_ready(items, scratch, at_work)
    items = [item for item in items if item.number in ready]
    items, divided, small = _divided(items, ready, settings.seed)
    rejected = sorted([*rejected, *unusable, *small], key=lambda each: (each.stage, each.path, each.reason))
    _check(items, divided, images, audio, rejected)
    return _arranged(items, ready, divided, rejected, settings)


def _made_ready(items: Sequence[Item], scratch: Path, at_work: Workers) -> tuple[dict[int, Ready], list[Rejection]]:
    ready: dict[int, Ready] = {}
    rejected = []
    for item, answer in zip(items, at_work.shown("material", partial(_ready, scratch), items, "files"), strict=True):
        if isinstance(answer, Ready):
            ready[item.number] = answer
        else:
            rejected.append(answer)
    return ready, rejected


def _ready(scratch: Path, item: Item) -> Ready | Rejection:
    target = scratch / f"{item.number}.npy"
    try:
        match item.found:
            case ObjectImage():
                return ready_object(target, item.found)
            case Recording():
                return ready_recording(target, item.path)
            case _:
                return ready_background(target, item.path)
    except Unusable as error:
        return Rejection(str(item.path), item.stage, error.reason, error.message)


def _divided(items: Sequence[Item], ready: Mapping[int, Ready], seed: int) -> tuple[list[Item], Sides, list[Rejection]]:
    """Without classes of which one side would see, or hear, nothing."""
    kept, rejected = list(items), []
    while True:
        divided = {
            stages: divide([_member(item, ready) for item in kept if item.stage in stages], seed)
            for stages in STAGES_DIVIDED
        }
        small = _lacking(kept, divided)
        if not small:
            return kept, divided, rejected
        rejected += [_too_small(item) for item in kept if item.label in small]
        kept = [item for item in kept if item.label not in small]


def _lacking(items: Sequence[Item], divided: Sides) -> set[str]:
    there = {(item.stage, item.label) for item in items}
    unheard = {label for stage, label in there if stage == "image" and ("audio", label) not in there}
    one_sided = {label for each in divided.values() for label in each.one_sided}
    return (one_sided | unheard) - {NO_CLASS}


def _too_small(item: Item) -> Rejection:
    said = (
        f"its class has fewer than {FEWEST} usable images or recordings that can lie on different sides; those of one "
        "photograph, of one recording or of equal content lie on the same"
    )
    return Rejection(str(item.path), item.stage, "class_too_small", said)


def _check(items: Sequence[Item], divided: Sides, images: Path, audio: Path, rejected: Sequence[Rejection]) -> None:
    usable = {item.label for item in items if item.stage == "image"}
    if len(usable) < 2:
        worst = Counter(f"{each.stage} {each.reason}" for each in rejected).most_common(3)
        why = ", ".join(f"{count} of {reason}" for reason, count in worst)
        example = next((f" ({each.path}: {each.message})" for each in rejected), "")
        raise InputError(
            f"--pictures {images} and --sounds {audio} leave {len(usable)} usable classes, and two are needed, "
            f"each with {FEWEST} photographs and {FEWEST} recordings at least. Left out were {why}{example}. Give more "
            "files."
        )

    scenery = sum(item.stage == "background" for item in items)
    one_sided = any(NO_CLASS in each.one_sided for each in divided.values())
    if one_sided or (not scenery and any(each.stage == "background" for each in rejected)):
        raise InputError(
            f"--backgrounds leaves {scenery} usable images, and {FEWEST} of different photographs are needed, one for "
            "training clips and one for test clips. Give more, or leave the option out."
        )


def _arranged(
    items: Sequence[Item], ready: Mapping[int, Ready], divided: Sides, rejected: list[Rejection], settings: Settings
) -> Collection:
    seen = sorted({item.label for item in items if item.stage == "image"})
    side = {number: each for one in divided.values() for number, each in one.side.items()}
    places = _places(items, ready, side, len(seen), settings.seed)
    order = related_order({label: _mean_sound(label, items, ready) for label in seen})
    shelves = {each: _shelf([item for item in items if side[item.number] == each], ready, places) for each in SIDES}
    library = Library(shelves, homes(order, sorted(shelves["train"].places)))
    foreign = sorted({item.label for item in items if item.stage == "audio"} - set(seen))
    split = _split_described(divided, items, side)
    digest = hashlib.sha256(
        "\n".join(
            f"{item.stage} {item.label} {item.file} {ready[item.number].digest} {item.source}" for item in items
        ).encode("utf-8", "surrogateescape")  # names of files may hold any byte
    ).hexdigest()
    return Collection(library, {item.number: item for item in items}, foreign, split, rejected, digest)


def _member(item: Item, ready: Mapping[int, Ready]) -> Member:
    source, content = f"source {item.source}", f"content {ready[item.number].digest}"
    if item.of_collection:
        return Member(item.number, item.label, (content,), (source,))
    return Member(item.number, item.label, (source, content))


def _places(
    items: Sequence[Item], ready: Mapping[int, Ready], side: Mapping[int, Side], classes: int, seed: int
) -> dict[int, int]:
    """The place of each background, by its number."""
    found = [item for item in items if item.stage == "background"]
    if not found:
        return {}
    sides = [side[item.number] for item in found]
    folders = [item.file.rpartition("/")[0] for item in found]
    whole = [
        name
        for name in sorted(set(folders))
        if {s for s, f in zip(sides, folders, strict=True) if f == name} == set(SIDES)
    ]
    if len(whole) > 1:
        groups = [whole.index(name) if name in whole else 0 for name in folders]
    else:
        colours = np.array([ready[item.number].features for item in found])
        groups = group_by_colours(colours, sides, places_wanted(classes), seed)
    return {item.number: group for item, group in zip(found, groups, strict=True)}


def _mean_sound(label: str, items: Sequence[Item], ready: Mapping[int, Ready]) -> np.ndarray:
    """Its mean spectrum, whatever its loudness."""
    spectra = [ready[i.number].features for i in items if i.stage == "audio" and i.label == label]
    mean = np.mean(spectra, axis=0)
    return mean - mean.mean()


def _shelf(items: Sequence[Item], ready: Mapping[int, Ready], places: Mapping[int, int]) -> Shelf:
    images: dict[str, list[CutOut]] = defaultdict(list)
    audio: dict[str, list[int]] = defaultdict(list)
    at: dict[int, list[int]] = defaultdict(list)
    for item in items:
        if item.stage == "image":
            images[item.label].append(CutOut(item.number, *ready[item.number].size))
        elif item.stage == "audio":
            audio[item.label].append(item.number)
        else:
            at[places[item.number]].append(item.number)
    sounds = {label: found for label, found in audio.items() if label in images}
    foreign = {label: found for label, found in audio.items() if label not in images}
    drawn = {place: [] for place in range(places_wanted(len(images)))}
    return Shelf(dict(images), sounds, foreign, dict(at) or drawn)


def _split_described(divided: Sides, items: Sequence[Item], side: Mapping[int, Side]) -> dict[str, Any]:
    counts = Counter((item.stage, side[item.number]) for item in items)
    by_file = {
        " and ".join(stages): [label or "backgrounds" for label in one.by_file] for stages, one in divided.items()
    }
    return {
        "rule": "no recording and no photograph is on both sides; files of one source or of equal content go together",
        "divided file by file": by_file,
        "files": {f"{stage}, {each}": counts[stage, each] for stage, each in sorted(counts)},
    }
