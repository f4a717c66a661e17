"""Loose sounds and images on the way from the walk to `frames_and_audio`, which says what belongs together."""

from dataclasses import dataclass, field


@dataclass
class Apart:
    """Loose sounds and images of one source. Clips dumped as images repeat the same names by the million, so the
    names of a folder are shared with those of every like folder."""

    audio_files: list[str] = field(default_factory=list)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _folder: str = ""
    _shared: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def add_image(self, relative: str) -> None:
        """Images come folder by folder, as the walk meets them."""
        folder, _, name = relative.rpartition("/")
        if folder != self._folder:
            self.close()
            self._folder = folder
        self._names.append(name)

    def close(self) -> None:
        """No more images of the current folder; a folder met again (its files around its subfolders) goes on."""
        if self._names:
            names = (*self.folders.get(self._folder, ()), *self._names)
            self.folders[self._folder] = self._shared.setdefault(names, names)
            self._names = []
