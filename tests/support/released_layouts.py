"""Names of files as released data sets lay out images and sounds without a video."""

VGGSOUND = "AbCdEfGh_-1_000030"


def numbered(folder: str, pattern: str, count: int) -> list[str]:
    return [f"{folder}/{pattern.format(number)}" for number in range(1, count + 1)]


S4 = [*numbered("s4_data/visual_frames/test/dog/x_1", "x_1_{}.png", 5), "s4_data/audio_wav/test/dog/x_1.wav"]
MS3 = [*numbered("ms3_data/visual_frames/y", "y.mp4_{}.png", 5), "ms3_data/audio_wav/val/y.wav"]
MASKS = numbered("s4_data/gt_masks/test/dog/x_1", "x_1_{}.png", 5)
