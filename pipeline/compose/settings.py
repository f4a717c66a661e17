"""What a user may choose of a composed corpus."""

from dataclasses import asdict, dataclass

from manifests.errors import InputError

VERSION = 1  # of how scenes are composed: other clips under the same seed need another number


@dataclass(frozen=True)
class Settings:
    """Shares are of all clips, 0 to 1. The defaults are near VGG-SS: mostly one object that dominates.

    several: clips in which two or three objects sound. distractors: clips with silent objects of other classes,
    smaller than what sounds. interactive: test clips in which a silent object is as large as the one that sounds, for
    scores that ask one image for several sounds. off_screen: the sound is of something not in the image. silent: no
    sound. surroundings: how likely a class appears before its own backgrounds. spread: objects stand anywhere they
    fit, where the first of a clip is else as near the middle as VGG-SS's are. video: mp4 with moving objects, in place
    of images and audio.
    """

    clips: int = 400
    seed: int = 0
    several: float = 0.11
    distractors: float = 0.2
    interactive: float = 0.1
    off_screen: float = 0.05
    silent: float = 0.03
    surroundings: float = 0.8
    spread: bool = False
    video: bool = False

    def checked(self) -> "Settings":
        """Itself. InputError when a value makes no corpus."""
        if self.clips < 1:
            raise InputError(
                f"--clips {self.clips}: a corpus needs at least one clip; a first try works well with 200."
            )
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: seeds are whole numbers from 0 on.")
        for name in ("several", "distractors", "interactive", "off_screen", "silent", "surroundings"):
            if not 0 <= getattr(self, name) <= 1:
                option = name.replace("_", "-")
                raise InputError(f"--{option} {getattr(self, name)}: a share lies between 0 and 1.")
        if self.off_screen + self.silent > 1:
            raise InputError("--off-screen and --silent together are more than all clips. Give smaller shares.")
        return self

    def described(self) -> dict[str, object]:
        """As options.json holds them; without `middles` all objects are spread, as in folders made before it."""
        chosen = asdict(self)
        middles = {} if chosen.pop("spread") else {"middles": "vggss"}
        return {"version": VERSION, **chosen, **middles}
