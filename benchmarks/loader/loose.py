"""The loaders that ours is measured against, written from what EZ-VSL's repository does and what WebDataset offers.

EZ-VSL (Mo and Morgado, ECCV 2022), its datasets and audio modules: one folder of JPEGs, one of wav files,
`PIL.Image.open`, three seconds around the middle of the sound through PyAV and its resampler, repeated when short,
`scipy.signal.spectrogram` in float64, a logarithm, torchvision's transforms. Adapted only where today's PyAV returns
a list.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import scipy.signal
import torch
import webdataset
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

SECONDS = 3.0
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def image_transform(size: int) -> transforms.Compose:
    """EZ-VSL's training transform."""
    return transforms.Compose(
        [
            transforms.Resize(int(size * 1.1), transforms.InterpolationMode.BICUBIC),
            transforms.RandomCrop((size, size)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
    )


def audio_transform(values: np.ndarray) -> Tensor:
    """(F, T) log power -> (1, F, T), divided by 12 as there."""
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean=[0.0], std=[12.0])])(values)


class LooseFiles(Dataset):
    """Pairs `<name>.jpg` and `<name>.wav` of two folders."""

    def __init__(self, images: Path, audio: Path, size: int) -> None:
        self.images = sorted(images.glob("*.jpg"))
        self.audio, self.transform = audio, image_transform(size)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.images[index]
        image = self.transform(Image.open(path).convert("RGB"))
        return image, audio_transform(log_power(*three_seconds(self.audio / f"{path.stem}.wav")))


def three_seconds(path: Path) -> tuple[np.ndarray, int]:
    """The middle of a sound file as mono samples in [-1, 1], and its rate: PyAV, one resampler call per frame."""
    chunks = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        rate, start = stream.sample_rate, max(float(stream.duration * stream.time_base) / 2 - SECONDS / 2, 0)
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=rate)
        container.seek(int(start * av.time_base))
        for frame in container.decode(audio=0):
            begin = cast(float, frame.time)
            if begin + frame.samples / rate < start:
                continue
            if begin > start + SECONDS:
                break
            frame.pts = None
            chunks += [part.to_ndarray() for part in resampler.resample(frame)]
    samples = np.clip(np.concatenate(chunks, axis=1) / 2**15, -1, 1).mean(0)
    wanted = int(rate * SECONDS)
    return np.tile(samples, -(-wanted // len(samples)))[:wanted], rate


def log_power(samples: np.ndarray, rate: int) -> np.ndarray:
    return np.log(scipy.signal.spectrogram(samples, rate, nperseg=512, noverlap=274)[2] + 1e-7)


def decoded_by_webdataset(shards: list[Path], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same shards through WebDataset's own decoders and EZ-VSL's transforms, shuffled as ours are."""
    transform = image_transform(size)
    samples = webdataset.WebDataset([str(path) for path in shards], shardshuffle=False).shuffle(100, initial=100)
    for sample in cast(Iterator[dict[str, Any]], samples.decode("pil")):
        yield transform(sample["frame.jpg"]), audio_transform(sample["spec.npy"].astype(np.float32))


def batches(samples: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Stacked, as torch's default collation does."""
    part: list[tuple[Tensor, Tensor]] = []
    for sample in samples:
        part.append(sample)
        if len(part) == size:
            yield torch.stack([image for image, _ in part]), torch.stack([audio for _, audio in part])
            part = []
