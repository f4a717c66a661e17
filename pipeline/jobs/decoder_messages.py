"""What the worker and its decoder process say to each other about a clip."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClipToDecode:
    """All that decoding needs of a clip: `file` and the place inside it (see `pipeline.sources.listing.Clip`), and the
    moment: seconds after the clip's start, "annotated" or "centre". With `audio`, another file, `file` is an image."""

    file: str
    size: int
    moment: float | str
    member: str | None = None
    position: int = 0
    offset: int | None = None
    audio: str | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether the clip lies in an archive that can only be read from its beginning."""
        return self.member is not None and self.offset is None


@dataclass(frozen=True)
class DecodedMembers:
    """What decoding makes of a clip: `members` of its record and of its companions by name, all but the record's json,
    and what that one will say of times, sizes and bytes."""

    facts: dict[str, object]
    members: dict[str, bytes]
