"""What augmentation costs: batched on the training device, against torchvision image by image.

    python -m benchmarks.training.augment                    batches of 32 on one CPU thread: under a minute
    python -m benchmarks.training.augment --device cuda --batch 128

Contenders take turns in one process. `batched` is training.data.augment, random draws included; `one by one` runs the
same operations with torchvision's transforms on one uint8 image after the other, as the field's loaders do in their
reader processes. CPU time on a CPU, wall time with the queue emptied on a GPU; medians. Writes augment-<device>.json
beside this file.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import v2 as transforms

from benchmarks.measure import cpu_time, in_turns, record, write
from pipeline.media.front_ends import find_front_end
from training.data.augment import AUDIO_POLICIES, IMAGE_POLICIES, audio_view, colour_jitter, image_view
from training.data.augment.geometry import Geometry


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    contenders = dict([*image_contenders(options), *audio_contenders(options)])
    measured = cpu_time if options.device == "cpu" else gpu_time
    turns = in_turns(
        {name: lambda _, work=work: work() for name, work in contenders.items()}, [None], options.repeats, measured
    )
    report = summary({name: cases[0] for name, cases in turns.items()}, options)
    out = options.out or Path(__file__).with_name(f"augment-{options.device}.json")
    write(out, report)
    print(json.dumps(report["ms_per_sample"], indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    return parser.parse_args()


def image_contenders(options: argparse.Namespace) -> list[tuple[str, Callable[[], object]]]:
    """Every image policy batched, the two strong ones one by one, and SSL-TIE's geometry."""
    pixels = textured(options.batch, options.size).to(options.device)
    normalised = pixels.float() / 127.5 - 1
    batched = [
        (f"image {name}, batched", lambda name=name: image_view(pixels, name))
        for name in IMAGE_POLICIES
        if name != "none"
    ]
    strong = [
        (f"image {name}, one by one", lambda view=one_by_one(name, options.size): [view(p) for p in pixels])
        for name in ("simclr", "moco")
    ]
    geometry = ("geometry, batched", lambda: Geometry.draw(options.batch, 30).on_images(normalised))
    return [*batched, *strong, ("colour jitter, batched", lambda: colour_jitter(pixels, 0.4)), geometry]


def audio_contenders(options: argparse.Namespace) -> list[tuple[str, Callable[[], object]]]:
    """Every sound policy, on the spectrograms a loader hands over."""
    audio = torch.randn(options.batch, 257, 300).half().to(options.device)
    return [
        (f"audio {name}, batched", lambda name=name: audio_view(audio, name, find_front_end().silence))
        for name in AUDIO_POLICIES
        if name != "none"
    ]


def textured(count: int, size: int) -> Tensor:
    """uint8 images with structure at two scales."""
    coarse = torch.nn.functional.interpolate(torch.rand(count, 3, 8, 8), (size, size), mode="bilinear")
    return ((0.7 * coarse + 0.3 * torch.rand(count, 3, size, size)) * 255).to(torch.uint8)


def one_by_one(name: str, size: int) -> transforms.Transform:
    """The same policy in torchvision's transforms."""
    policy = IMAGE_POLICIES[name]
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, policy.crop_area, policy.crop_aspect, antialias=False),
            transforms.RandomHorizontalFlip(policy.flip_chance),
            transforms.RandomApply([transforms.ColorJitter(*policy.jitter)], policy.jitter_chance),
            transforms.RandomGrayscale(policy.grey_chance),
            transforms.RandomApply([transforms.GaussianBlur(17, policy.blur_sigma)], policy.blur_chance),
        ]
    )


def gpu_time(work: Callable[[], object]) -> float:
    """Wall seconds on a GPU whose queue is empty before and after."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def summary(seconds: dict[str, list[float]], options: argparse.Namespace) -> dict[str, object]:
    gpu = {"gpu": torch.cuda.get_device_name()} if options.device == "cuda" else {}
    return {
        **record("benchmarks/training/augment.py", ("torch", "torchvision"), options.machine),
        **gpu,
        "batch": options.batch,
        "size": options.size,
        "threads": options.threads,
        "repeats": options.repeats,
        "ms_per_sample": {
            name: round(1000 * statistics.median(values) / options.batch, 3) for name, values in seconds.items()
        },
    }


if __name__ == "__main__":
    main()
