"""Suffixes of the files clips are made of, lower case with their dot: videos, images, sounds; and what looks like one.

Operating systems and downloads leave files beside videos that are named like them (`._clip.mp4`, `clip.part.mp4`,
`@eaDir/clip.mp4/...`). `is_litter` knows them, in folders and in tars alike.
"""

import re
from pathlib import PurePosixPath

# fmt: off
MEDIA_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".xvid", ".mov", ".qt", ".flv", ".f4v", ".ts", ".mts",
    ".m2ts", ".m2t", ".3gp", ".3gpp", ".3g2", ".3gp2", ".3gpp2", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".m2p",
    ".vob", ".wmv", ".asf", ".dvr-ms", ".wtv", ".ogv", ".ogm", ".ogx", ".mxf", ".gxf", ".rm", ".rmvb", ".dv", ".amv",
    ".nut", ".nsv", ".mj2", ".ismv",
})
# fmt: on
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
AUDIO_SUFFIXES = frozenset(
    {".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"}
)
# Lists also name a clip by what others made of it: features, annotations, images and sounds that ingest does not read.
MADE_OF_CLIPS = frozenset({".mat", ".pkl", ".npy", ".npz", ".pt", ".h5", ".xml", ".gif", ".tif", ".tiff"})
# What systems and downloads leave beside files: never an input, whatever its suffix says.
LITTER_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", ".ds_store", "icon\r", ".localized", ".nomedia",
     ".directory", ".picasa.ini", "picasa.ini", ".volumeicon.icns"}
)  # fmt: skip
LITTER_BEGINNINGS = (
    "._", ".~lock.", "~lock.", "~$", "~wrl", ".nfs0", ".fuse_hidden", ".goutputstream-", ".trashed-", ".pending-",
    ".com.google.chrome.", ".com.apple.timemachine.", ".syncthing.", "~syncthing~",
)  # fmt: skip
LITTER_FOLDERS = frozenset(
    {"@eadir", "@tmp", "@recycle", "@recently-snapshot", ".@__thumb", "__macosx", ".appledouble", ".appledb",
     ".appledesktop", "#recycle", "#snapshot", "$recycle.bin", "recycler", ".trash", ".trashes", ".trashbox",
     "lost+found", ".spotlight-v100", ".fseventsd", ".documentrevisions-v100", ".temporaryitems",
     ".mobilebackups", ".ipynb_checkpoints", "system volume information", ".thumbnails", ".thumbs",
     ".rsync-partial", ".~tmp~", ".stfolder", ".stversions", ".dropbox.cache", ".tmp.drivedownload",
     ".tmp.driveupload", ".snapshot", ".snapshots", ".zfs", ".git", ".svn", ".hg", ".bzr", ".dvc", ".cache",
     "__pycache__"}
)  # fmt: skip
PARTIAL_SUFFIXES = frozenset({
    ".part", ".partial", ".crdownload", ".ytdl", ".tmp", ".temp", ".download", ".opdownload", ".aria2", ".!qb", ".!ut",
    ".filepart", ".incomplete", ".unconfirmed", ".bc!", ".jc!", ".dtapart", ".fdmdownload", ".td", ".xltd", ".icloud",
    ".!bt", ".!sync", ".bts", ".dctmp", ".lftp-pget-status", ".swp", ".swo",
})  # fmt: skip
EVERY_SUFFIX = MEDIA_SUFFIXES | IMAGE_SUFFIXES | AUDIO_SUFFIXES | MADE_OF_CLIPS

# yt-dlp's unfinished files keep the video's suffix: `clip.temp.mp4`, `clip.mp4.part-Frag7`; so do rsync's
# (`.clip.mp4.Ab3xYz`), the copies that editors keep (`clip.mp4~`), and what Windows notes of a download.
_UNFINISHED = re.compile(
    r".+\.(temp\.[a-z0-9]{2,5}|(mp4|mkv|webm|m4a|part)\.part-frag\d+(\.part)?)"
    r"|\..+\.[a-z][a-z0-9]{1,4}\.[a-z0-9]{6}|.+\.[a-z0-9]{2,5}~|#.+#|.*[:_.]zone\.identifier",
    re.IGNORECASE | re.DOTALL,
)

_PAX_HEADERS = re.compile(r"paxheaders?(\.\d+)?")  # GNU tar's have the number of its process


def is_litter(relative: str) -> bool:
    """Whether a path inside a source is what a system or a download left there, and no file of the corpus."""
    path = PurePosixPath(relative)
    name = path.name.lower()
    unfinished = path.suffix.lower() in PARTIAL_SUFFIXES or _UNFINISHED.fullmatch(path.name)
    inside = any(_is_litter_folder(part.lower()) for part in path.parts[:-1])
    return bool(name.startswith(LITTER_BEGINNINGS) or name in LITTER_NAMES or unfinished or inside)


def is_of_system(name: str) -> bool:
    """Whether a name beside a command's own output is a note of the system (`.DS_Store`, `lost+found`)."""
    name = name.lower()
    return name.startswith(LITTER_BEGINNINGS) or name in LITTER_NAMES or name == "lost+found"


def _is_litter_folder(name: str) -> bool:
    """A trash of Linux has the user's number behind it; Safari keeps a download in a folder `clip.mp4.download`; tools
    that know no extended headers of tars unpack them as files."""
    known = name in LITTER_FOLDERS or _PAX_HEADERS.fullmatch(name) is not None
    return known or name.startswith(".trash-") or name.endswith(".download")
