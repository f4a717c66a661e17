"""Images and sounds without a partner: a loss that is named where pairs lie, elsewhere just other files."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from pipeline.sources.pairs import ONE_OF_MANY, MatchedFiles, Pair, folder_of, join_key, parts_of, suffixes_of

_ROOT = "."  # the source itself, as a path writes it


def settle_the_lonely(
    lonely: Sequence[tuple[str, str]], audio_files: Mapping[str, list[str]], result: MatchedFiles
) -> None:
    """Where pairs lie a file without a partner is a loss and named, and so is an image whose sound is another's or
    cannot be told; elsewhere it is just another file."""
    _settle_images(lonely, audio_files, result)
    used = {pair.audio for pair in result.pairs}
    tops = {_tops(pair)[1] for pair in result.pairs}
    for audio in sorted(each for group in audio_files.values() for each in group if each not in used):
        if _is_below(folder_of(audio), tops):
            result.lonely_audio.append(audio)
        else:
            result.unused += suffixes_of([audio])


def _settle_images(
    lonely: Sequence[tuple[str, str]], audio_files: Mapping[str, list[str]], result: MatchedFiles
) -> None:
    places = _PlacesOfPairs(result.pairs)
    images, folders = set(), set()
    for folder, name in lonely:
        image, home = str(PurePosixPath(folder, name)), str(PurePosixPath(folder))
        loss = places.loss(home, name)
        if loss == home or (loss is None and join_key(home) in audio_files):
            folders.add(home)
        elif loss == image or join_key(name) in audio_files:
            images.add(image)
        else:
            result.unused += suffixes_of([name])
    result.lonely_images += sorted(folders | {image for image in images if folder_of(image) not in folders})


class _PlacesOfPairs:
    """Where the images of all pairs lie, which tells what an image without a sound is: a loss or just another file."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        in_own_folder = [pair for pair in pairs if _is_in_own_folder(pair)]
        homes = {_home(pair) for pair in pairs} - {_ROOT}
        self._with_images = homes | {folder_of(pair.image) for pair in pairs}
        self._with_own_folders = homes | {_home(pair) for pair in in_own_folder}
        self._tops = {_tops(pair)[0] for pair in pairs} - {()}
        self._tops_of_own_folders = {_tops(pair)[0] for pair in in_own_folder} - {()}

    def loss(self, folder: str, name: str) -> str | None:
        """The image itself; its folder, where clips have folders of their own; None where no pair lies."""
        image = str(PurePosixPath(folder, name))
        if folder in self._with_images:
            return image
        if self._is_a_clips_own(folder):
            return folder
        return image if _is_below(folder, self._tops) else None

    def _is_a_clips_own(self, folder: str) -> bool:
        beside_others = folder_of(folder) in self._with_own_folders
        return folder != _ROOT and (beside_others or _is_below(folder, self._tops_of_own_folders))


def _tops(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of all images and of all sounds, `frames` and `audio`: the first in which the two paths differ,
    or the source's first folder where image and audio lie together."""
    images, audio = parts_of(_home(pair)), parts_of(folder_of(pair.audio))
    same = [a == b for a, b in zip(images, audio, strict=False)]
    end = 1 if images == audio else [*same, False].index(False) + 1
    return images[:end], audio[:end]


def _is_below(folder: str, tops: Collection[tuple[str, ...]]) -> bool:
    """Whether it is one of `tops` or inside; the source itself is the top of its own files only."""
    parts = parts_of(folder)
    return any(parts[:end] in tops for end in range(min(1, len(parts)), len(parts) + 1))


def _home(pair: Pair) -> str:
    """The folder that holds the images of all clips: beside the image, or one above a clip's own folder."""
    folder = PurePosixPath(pair.image).parent
    return str(folder.parent if _is_in_own_folder(pair) else folder)


def _is_in_own_folder(pair: Pair) -> bool:
    folder = folder_of(pair.image)
    return pair.naming == ONE_OF_MANY or (pair.number is not None and join_key(folder) == join_key(pair.audio))
