"""Several clips of one video: `pipeline ingest --moments LIST`, a clip for each second that the list gives of a video.

A row names a clip as `<id>_<start>` or by columns of id and start (`ytid,start`; vggsound.csv). The start is the second
whose image is kept, without its fraction. Long videos such as MUSIC's (`<id>_0_1000.mp4`, or `<id>.mp4`) become clips
`<id>_<second>` of the source `<id>`. What a row says of label and split counts more than what labels say of its video.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from manifests.clip_lists.layouts import read_clip_list
from manifests.clip_lists.rows import WHOLE_VIDEO, ClipLabel
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.keys import named_clip
from pipeline.sources.listing import Clip, stem_key


@dataclass(frozen=True)
class Moments:
    """The rows of a list by video id, in file order; `path` is for people."""

    path: Path
    of_video: Mapping[str, Sequence[ClipLabel]]

    def clips(self, listed: Iterable[Clip]) -> list[Clip]:
        """A clip for each moment of a video, the video itself where no row names it. InputError where none does."""
        listed = list(listed)
        found = [clip for clip in listed if self._rows(clip)]
        if not found:
            raise InputError(
                f"--moments {self.path} names no video of the sources; its first is {next(iter(self.of_video))!r}, the "
                f"first there {stem_key(listed[0])!r}. Give rows of id and second, such as "
                f"{stem_key(listed[0]).removesuffix(WHOLE_VIDEO)},13."
            )
        return [made for clip in listed for made in self._of_video(clip)]

    def describe(self, listed: Sequence[Clip]) -> Iterator[str]:
        """What became of the rows and videos, in a line."""
        videos = [clip for clip in listed if self._rows(clip)]
        absent = self.of_video.keys() - set(map(_video, videos))
        yield (
            f"moments: {self.path} gives {sum(len(self._rows(clip)) for clip in videos)} of {len(videos)} videos"
            + (f"; {len(listed) - len(videos)} that it does not name stay one clip each" * (len(listed) > len(videos)))
            + (f"; {len(absent)} it lists are absent, such as {min(absent)}" if absent else "")
        )

    def _rows(self, clip: Clip) -> Sequence[ClipLabel]:
        return self.of_video.get(_video(clip), ()) if clip.audio is None else ()

    def _of_video(self, clip: Clip) -> Iterator[Clip]:
        if not (rows := self._rows(clip)):
            yield clip
        for row in rows:
            name = named_clip(row.key)
            own = {"key": name.key, "source_id": name.source_id, "start_known": True}
            told = {"label": row.label or clip.label, "split": row.split or clip.split}
            yield replace(clip, **own, **told, moment=float(name.start_seconds or 0))


def read_moments(path: Path) -> Moments:
    """Read the list. InputError for one that names no clip, or a clip without its second."""
    of_video: dict[str, list[ClipLabel]] = defaultdict(list)
    rows = {row.key: row for row in read_clip_list(read_content(path)).rows}
    for row in rows.values():
        name = named_clip(row.key)
        if name.start_seconds is None:
            raise InputError(
                f"--moments {path} names {row.key!r}, which is no YouTube id with a second. A video that is cut into "
                "several clips is named by an id of eleven letters, digits, _ or -, which tells its clips' keys from "
                "files called so; rename others. Give id and second in every row, such as ytid,start in a first line "
                "and AbCdEfGh_-1,13 below."
            )
        of_video[name.source_id].append(row)
    if not of_video:
        raise InputError(f"--moments {path} names no clip. Give a video's id and a second in every row.")
    return Moments(path, of_video)


def _video(clip: Clip) -> str:
    return stem_key(clip).removesuffix(WHOLE_VIDEO)
