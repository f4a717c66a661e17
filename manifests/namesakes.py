"""Which clip a name means where several clips share it: one rule for lists, annotations, pairs and maps.

A file names a clip with or without its folders (`dog/001.mp4`, `001`). Ingest puts folders before a name that several
files share (`dog__001`) and leaves them out of one that is alone. A name means the clip that has its folders, or some
of them; the one clip of that name, where there is no other; and nothing where it could mean several: that is refused.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from manifests.errors import InputError
from manifests.keys import FOLDER_MARK, clip_key, folders_of, key_in_folders

NOTHING: Mapping[str, str] = MappingProxyType({})
Place = tuple[str, ...]  # folders, outermost first, and at last the key


def place_of(text: str) -> Place:
    """Folders and key of the clip that a text names."""
    return (*folders_of(text), clip_key(text))


@dataclass(frozen=True)
class Names:
    """The clips that a file names: `keys`, one for each name and in its order, with the folders in it where it names
    several of one name. `places` has the place of the keys that stand in folders there; `source` is for people."""

    keys: tuple[str, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    source: str = "a list"

    @classmethod
    def of(cls, places: Sequence[Place], source: str) -> Self:
        """From the place of every name."""
        folders: dict[str, set[Place]] = defaultdict(set)
        for *above, key in places:
            folders[key].add(tuple(above))
        keys = tuple(key_in_folders(place, key) if len(folders[key]) > 1 else key for *place, key in places)
        return cls(keys, {key: place for key, place in zip(keys, places, strict=True) if len(place) > 1}, source)

    def among(self, present: Collection[str], spelled: Mapping[str, str] = NOTHING) -> dict[str, str]:
        """What the clips meant are called among `present` keys, by own key, where that is another name; `spelled` has
        the key of each present name that is the same clip's with its folders.

        InputError for a name that several of them could have.
        """
        known, ends = set(present), _by_their_ends(key for key in present if FOLDER_MARK in key)
        if not ends and not self.places:
            return {}
        found = {key: _meant(self.places.get(key, (key,)), known, ends) for key in dict.fromkeys(self.keys)}
        if doubtful := [key for key, meant in found.items() if len(meant) > 1]:
            raise self._doubt(doubtful, found[doubtful[0]])
        names = {key: spelled.get(meant[0], meant[0]) for key, meant in found.items() if meant}
        absent = {key: self.places[key][-1] for key, meant in found.items() if not meant and key in self.places}
        times = Counter((*absent.values(), *(name for key, name in names.items() if key in self.places)))
        # the only clip of a name, or the first of several files of it, where the others came later
        names |= {key: bare for key, bare in absent.items() if bare in known and times[bare] == 1}
        return {key: name for key, name in names.items() if name != key}

    def as_in(self, other: "Names") -> list[str]:
        """What each name is called in another file, where that names the clip, too; else its own key."""
        whole = {FOLDER_MARK.join(place): key for key, place in other.places.items()}
        called = self.among({*other.keys, *whole}, whole)
        return [called.get(key, key) for key in self.keys]

    def _doubt(self, doubtful: Sequence[str], meant: Sequence[str]) -> InputError:
        name = "/".join(self.places.get(doubtful[0], doubtful[:1]))
        clips = f"{len(doubtful)} clips" if len(doubtful) > 1 else "a clip"
        return InputError(
            f"{self.source} names {clips} of which it is not certain which one is meant"
            f"{', first' if len(doubtful) > 1 else ':'} {name}: it may be {' or '.join(meant[:3])}. Name clips with "
            f"their folders there, for example {meant[0].replace(FOLDER_MARK, '/')}."
        )


def clips_named(texts: Iterable[str], source: str) -> Names:
    """What a file calls clips, read."""
    return Names.of([place_of(text) for text in texts], source)


def _by_their_ends(keys: Iterable[str]) -> dict[str, list[str]]:
    """Keys with folders by every end of them, down to the name alone."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        parts = key.split(FOLDER_MARK)
        for first in range(1, len(parts)):
            found[FOLDER_MARK.join(parts[first:])].append(key)
    return found


def _meant(place: Place, known: Collection[str], ends: Mapping[str, list[str]]) -> list[str]:
    """The keys that a place may have: with all its folders, or with the inner ones, or with further outer ones. A name
    alone has its own key, or may be any of those that ingest told apart."""
    if len(place) == 1:
        others = ends.get(place[0], [])
        return [place[0]] if place[0] in known or len(others) < 2 else others
    names = [FOLDER_MARK.join(place[first:]) for first in range(len(place) - 1)]
    return [name for name in names if name in known][:1] or ends.get(names[0], [])
