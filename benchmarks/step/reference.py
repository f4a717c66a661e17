"""EZ-VSL the way the field trains it, as the reference of speed: written from the description of its repository.

Loose JPEGs and 16 kHz wav files, decoded by PIL and scipy in the readers; scipy's spectrogram in float64; one
normalised float32 tensor per clip; two torchvision ResNet-18, Adam, the loss read back after every step. Matrix units
run in TF32 where torch lets them by default (convolutions). The wav reading is scipy's, which is quicker than PyAV's
of the repository, and its spectrograms are 257 x 200 where ours are 257 x 300: the comparison is in the reference's
favour.
"""

import math
from pathlib import Path

import numpy as np
import scipy.signal
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.io import wavfile
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import resnet18

from benchmarks.step.sizes import Sizes
from benchmarks.step.timing import settled
from training.loop.checkpoint import Progress
from training.loop.pace import Pace

SECONDS, TEMPERATURE = 3.0, 0.03
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class LooseClips(Dataset):
    """Pairs of `images/<name>.jpg` and `audio/<name>.wav`, `count` in all, repeated where there are fewer files."""

    def __init__(self, folder: Path, count: int, size: int) -> None:
        self.images, self.count = sorted((folder / "images").glob("*.jpg")), count
        self.transform = transforms.Compose([
            transforms.Resize(int(size * 1.1), transforms.InterpolationMode.BICUBIC),
            transforms.RandomCrop((size, size)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ])  # fmt: skip

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.images[index % len(self.images)]
        image = self.transform(Image.open(path).convert("RGB"))
        rate, samples = wavfile.read(path.parent.parent / "audio" / f"{path.stem}.wav")
        start = int((len(samples) / rate - SECONDS) / 2 * rate)
        heard = np.clip(samples[start : start + int(rate * SECONDS)] / 2**15, -1, 1)
        power = scipy.signal.spectrogram(heard, rate, nperseg=512, noverlap=274)[2]
        return image, torch.from_numpy(np.log(power + 1e-7) / 12).float().unsqueeze(0)


class Network(nn.Module):
    """Two ResNet-18 and their heads; forward is the symmetric loss over the batch."""

    def __init__(self) -> None:
        super().__init__()
        image, audio = resnet18(weights=None), resnet18(weights=None)
        audio.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.image = nn.Sequential(*list(image.children())[:-2], nn.Conv2d(512, 512, 1))
        self.audio = nn.Sequential(
            *list(audio.children())[:-2], nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(512, 512)
        )

    def forward(self, image: Tensor, audio: Tensor) -> Tensor:
        seen, heard = F.normalize(self.image(image), dim=1), F.normalize(self.audio(audio), dim=1)
        logits = torch.einsum("nchw,mc->nmhw", seen, heard).flatten(2).max(dim=2).values / TEMPERATURE
        targets = torch.arange(len(logits), device=logits.device)
        return F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)


def loader_of(folder: Path, count: int, size: int, batch: int, workers: int) -> DataLoader:
    clips = LooseClips(folder, count, size)
    return DataLoader(
        clips, batch, shuffle=True, num_workers=workers, pin_memory=torch.cuda.is_available(), drop_last=True
    )


class AsTheField:
    """The network, its optimiser and its batches out of `folder`, `count` clips in all."""

    def __init__(self, folder: Path, count: int, sizes: Sizes, device: str) -> None:
        self.device, self.loss = device, math.nan
        self.network = Network().to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), 1e-4)
        self._done, self._pace = Progress(), Pace(sizes.batch, torch.device(device), Progress())
        loader = loader_of(folder, count, sizes.image_size, sizes.batch, sizes.workers)
        self._batches = self._pace.over(loader)

    def advance(self, steps: int) -> tuple[float, float]:
        """Seconds of so many steps and the share of them that was spent waiting for data, as `Fed.advance` has it."""
        began = settled(self.device)
        for _ in range(steps):
            image, audio = (part.to(self.device, non_blocking=True) for part in next(self._batches))
            self.loss = step(self.network, self.optimiser, image, audio)
        seconds = settled(self.device) - began
        self._done = Progress(self._done.step + steps, self._done.seconds + seconds)
        return seconds, self._pace.reading(self._done)["stall"]


def step(network: Network, optimiser: torch.optim.Optimizer, image: Tensor, audio: Tensor) -> float:
    """One step, whose loss is read back as their logging does."""
    loss = network(image, audio)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
