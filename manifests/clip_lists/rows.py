"""What a list of clips says, whatever its layout: the rows, and the words by which columns and splits are known."""

from dataclasses import dataclass, field

from manifests.errors import InputError
from manifests.keys import clip_key, folders_of

SPELLINGS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
SPLIT_OF_WORD = {word: split for split, words in SPELLINGS.items() for word in words}
SPLIT_WORDS = frozenset(SPLIT_OF_WORD)
VIDEO_IDS = ("ytid", "youtube_id", "video_id", "id")
NAME_FIELDS = ("file", "file_name", "filename", "video", "key", "name", "video_id", "image", "path", "clip")
LABEL_FIELDS = ("class", "label", "category", "labels", "positive_labels")
SPLIT_FIELDS = ("split", "subset")
MAYBE_SPLIT_FIELDS = ("set", "partition", "fold", "phase", "usage")  # where every word in them is a split
OWN_HEADER = "key"  # of lists that this project writes
WHOLE_VIDEO = "_0_1000"
KNOWN_FORMATS = (
    "vggsound.csv (ytid,start_seconds,label,split without a header), AudioSet's segments (YTID, start_seconds, "
    "end_seconds, positive_labels) and strong labels, two columns `<id>_<start>.mp4,label`, with a third for the "
    "split, one column of ids, a csv with a header that names its columns (file, label, split; Hugging Face's "
    "metadata.csv too), AVE's Annotations.txt (Category&ytid&quality&start&end), a json list of objects with `file` "
    "and `class`, MUSIC's json of ids by instrument, a json object {id: label} or {id: object}, or one of "
    "columns or of lists by split"
)


class DoubtfulList(InputError):
    """A list of a known layout that says two things of one clip, of which nobody knows which counts."""


def normal_split(named: str | None) -> str | None:
    """A split as it is stored and shown: `Training` is no split beside `train`. None where none is named; other words
    as they are."""
    return SPLIT_OF_WORD.get(named.lower(), named) if named else None


@dataclass(frozen=True, slots=True)
class ClipLabel:
    """What a list says about one clip; `label` and `split` are None where the list does not say. `folders` are those
    the list names the clip in, which tell clips of one name apart."""

    key: str
    label: str | None = None
    split: str | None = None
    folders: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "split", normal_split(self.split))

    @classmethod
    def named(cls, text: str, label: str | None = None, split: str | None = None) -> "ClipLabel":
        """Of the clip that `text` names: a file with or without its folders and suffix, or a key."""
        return cls(clip_key(text), label, split, folders_of(text))


@dataclass(frozen=True)
class ClipList:
    """Rows in file order, and the `layout` recognised; `headers` counts header lines, `splits`: rows can have a split.
    `doubt`: why the labels must not be used, None where they are certain."""

    layout: str
    rows: tuple[ClipLabel, ...]
    headers: int = 0
    splits: bool = False
    doubt: str | None = None
