"""Samples per second and core: the training stream, against EZ-VSL's loose files and WebDataset's own decoding.

    python -m benchmarks.loader.read                         about 4 minutes
    python -m benchmarks.loader.read --clips 64 --batch 16 --repeats 1

One process, one thread; the readers take turns, one pass over all clips each. Ours is `training_loader` over a
`TrainingStream`, tar reading, shuffling, JPEG decoding, crop, flip and collation included, until uint8 images and
float16 sounds leave the reader; it is also measured with what the trainer then does with them on the CPU where there
is no GPU (`ours_normalised`), because the others normalise in the reader. Images in shards have a short side of 256,
loose ones 640x360, as their users extract them; sounds are 10 s, 16 kHz mono or 44.1 kHz stereo wav.
`webdataset_pil` reads our shards; `webdataset_pil_native` shards with 640x360 images. Files are made here, in the
page cache. Writes read.json beside this file.
"""

import argparse
import io
import json
import statistics
import tempfile
import wave
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.dead_leaves import dead_leaves
from benchmarks.ingest.corpus import HEIGHT, WIDTH
from benchmarks.loader.loose import LooseFiles, batches, decoded_by_webdataset
from benchmarks.made_shards import SHORT_SIDE, finish, write_shard
from benchmarks.measure import in_turns, record, write
from pipeline.media.front_ends import find_front_end
from pipeline.shards.codecs import encode_jpeg, encode_npy
from pipeline.shards.record import FRAME, SPECTROGRAM
from pipeline.shards.store import ShardStore
from pipeline.shards.writer import shard_name, writing_shard
from training.config import Data
from training.data.order import Streams
from training.data.selection import select
from training.data.stream import TrainingStream, training_loader
from training.data.views import normalise_audio, normalise_image, resized

SIZE, SHARD_CLIPS = 224, 128
TARGETS = {"loose_16k": 12.0, "loose_44k": 35.0, "webdataset_pil": 4.0}


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        folder = Path(scratch)
        make_files(folder, options.clips)
        seconds = in_turns(readers(folder, options.batch), [options.clips // options.batch], options.repeats)
    read = options.clips // options.batch * options.batch
    ms = {name: 1000 * statistics.median(turns) / read for name, (turns,) in seconds.items()}
    report = {
        **record("benchmarks/loader/read.py", ("numpy", "pillow", "scipy", "torch", "torchvision", "webdataset"),
                 options.machine),
        "clips": options.clips,
        "batch": options.batch,
        "repeats": options.repeats,
        "cpu_ms_per_sample": {name: round(each, 3) for name, each in ms.items()},
        "samples_per_second_and_core": {name: round(1000 / each) for name, each in ms.items()},
        "times_faster": {name: round(ms[name] / ms["ours"], 2) for name in ms if not name.startswith("ours")},
        "times_faster_normalised": {
            name: round(ms[name] / ms["ours_normalised"], 2) for name in ms if not name.startswith("ours")
        },
        "targets": TARGETS,
    }  # fmt: skip
    write(options.out, report)
    print(json.dumps({name: report[name] for name in ("cpu_ms_per_sample", "times_faster")}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="folder for up to 2 GB of files")
    parser.add_argument("--machine", choices=("shared", "quiet"), default="shared", help="said in the JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def readers(folder: Path, batch: int) -> dict[str, Callable[[int], None]]:
    """Functions that read so many batches and drop them."""
    data = Data(shards=folder / "shards", shuffle=100)
    store = ShardStore.open(folder / "shards")
    stream = TrainingStream(store, data, select(store, data).mask, Streams(batch, 1, 1), 0, range(1), None)

    def ours(count: int, normalised: bool = False) -> None:
        stream.start(epoch=0)
        read = 0
        for (part,) in limited(training_loader(stream), count):
            read += 1
            if normalised:
                normalise_image(resized(part["image"], SIZE))
                normalise_audio(part["audio"], data)
        assert read == count

    def loose(rate: str) -> Callable[[int], None]:
        dataset = LooseFiles(folder / "images", folder / rate, SIZE)
        return lambda count: drain(torch.utils.data.DataLoader(dataset, batch, shuffle=True, drop_last=True), count)

    def pil(shards: str) -> Callable[[int], None]:
        paths = sorted((folder / shards).glob("*.tar"))
        return lambda count: drain(batches(decoded_by_webdataset(paths, SIZE), batch), count)

    return {
        "ours": ours,
        "ours_normalised": lambda count: ours(count, normalised=True),
        "loose_16k": loose("16k"),
        "loose_44k": loose("44k"),
        "webdataset_pil": pil("shards"),
        "webdataset_pil_native": pil("native"),
    }


def limited(loader: Iterable[Any], count: int) -> Iterable[Any]:
    return (batch for _, batch in zip(range(count), loader, strict=False))


def drain(loader: Iterable[object], count: int) -> None:
    """Read `count` batches; fewer would be an error, not a quick pass."""
    assert sum(1 for _ in limited(loader, count)) == count


# --- files -----------------------------------------------------------------------------------------------------------


def make_files(folder: Path, clips: int) -> None:
    """The same images and audio in every form."""
    random = np.random.default_rng(0)
    canvases = [dead_leaves(random) for _ in range(4)]
    for name in ("images", "16k", "44k", "shards", "native"):
        (folder / name).mkdir()
    rows = []
    for number, start in enumerate(range(0, clips, SHARD_CLIPS)):
        names = [f"clip{clip:05d}_000000" for clip in range(start, min(start + SHARD_CLIPS, clips))]
        made = [make_clip(folder, name, random, canvases[int(name[4:9]) % len(canvases)]) for name in names]
        rows += write_shard(
            folder / "shards", number, [(name, *clip.reduced) for name, clip in zip(names, made, strict=True)]
        )
        with writing_shard(folder / "native" / shard_name(number)) as native:
            for name, clip in zip(names, made, strict=True):
                native.add(name, {FRAME: clip.native, SPECTROGRAM: clip.reduced[-1]})
    finish(folder / "shards", rows)


@dataclass(frozen=True)
class Made:
    """A clip as shards hold it (width, height, JPEG, spectrogram) and the JPEG of its image at full size."""

    reduced: tuple[int, int, bytes, bytes]
    native: bytes


def make_clip(folder: Path, key: str, random: np.random.Generator, canvas: Image.Image) -> Made:
    """Loose files, and what shards hold of them."""
    left, top = (int(random.integers(0, canvas.width - side)) for side in (WIDTH, HEIGHT))
    image = canvas.crop((left, top, left + WIDTH, top + HEIGHT))
    image.save(folder / "images" / f"{key}.jpg", quality=90)
    small = image.resize((round(WIDTH * SHORT_SIDE / HEIGHT), SHORT_SIDE), Image.Resampling.BICUBIC)
    audio = random.uniform(-0.5, 0.5, (441_000, 2))
    write_wav(folder / "44k" / f"{key}.wav", audio, 44100)
    write_wav(folder / "16k" / f"{key}.wav", audio[:160_000, :1], 16000)
    waveform = audio[: find_front_end().samples, 0].astype(np.float32)
    spectrogram = encode_npy(find_front_end().spectrogram(waveform))
    reduced = (small.width, small.height, encode_jpeg(np.asarray(small)), spectrogram)
    return Made(reduced, encode_jpeg(np.asarray(image)))


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
