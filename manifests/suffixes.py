"""Suffixes of the files clips are made of, lower case with their dot: videos, images, sounds."""

# fmt: off
MEDIA_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".xvid", ".mov", ".qt", ".flv", ".f4v", ".ts", ".mts",
    ".m2ts", ".m2t", ".3gp", ".3gpp", ".3g2", ".3gp2", ".3gpp2", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".m2p",
    ".vob", ".wmv", ".asf", ".dvr-ms", ".wtv", ".ogv", ".ogm", ".ogx", ".mxf", ".gxf", ".rm", ".rmvb", ".dv", ".amv",
    ".nut", ".nsv", ".mj2", ".ismv",
})
# fmt: on
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
AUDIO_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"})
# Lists also name a clip by what others made of it: features, annotations, images and sounds that ingest does not read.
MADE_OF_CLIPS = frozenset({".mat", ".pkl", ".npy", ".npz", ".pt", ".h5", ".xml", ".gif", ".tif", ".tiff", ".aiff"})
EVERY_SUFFIX = MEDIA_SUFFIXES | IMAGE_SUFFIXES | AUDIO_SUFFIXES | MADE_OF_CLIPS
