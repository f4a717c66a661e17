"""`training separate`: WAV files of what images take out of a mixture, and by how much they are nearer to the truth."""

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import make_run
from scipy.io import wavfile
from shard_maker import MadeClip, write_bursts, write_shards, write_waveforms

from manifests.errors import InputError
from pipeline.shards.store import ShardStore
from training.config import load_config
from training.parts.separation import distortion_ratio, sound_of, spectrum
from training.runs import load_run
from training.separate import separate

RATE = 11025
KEYS = ("low", "high", "dog/dogv0/dogv0_1", "mixture", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "silent")
TINY = (
    "data.image_size=32", "data.train_list=null", "encoders.image={blocks: [1, 1], width: 8, weights: none}",
    "method.components=4", "method.width=4", "method.levels=3",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ShardStore:
    folder, frame = tmp_path_factory.mktemp("separate") / "shards", np.zeros((64, 64, 3), np.uint8)
    write_shards(folder, [MadeClip(key, frame, np.zeros((257, 300), np.float16)) for key in KEYS])
    time = np.arange(3 * RATE) / RATE
    sounds = {
        key: (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        for key, hertz in zip(KEYS, (300, 2000, 500, 700, 900, 0), strict=True)
    }
    write_waveforms(folder, sounds, RATE, start=3.5)
    return ShardStore.open(folder)


def test_the_mixture_and_each_share_of_it_are_written(store: ShardStore, tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", load_config("pixelplayer", TINY)))
    gained = separate(run, store, ["low", "high"], tmp_path / "out")
    rate, mixture = wavfile.read(tmp_path / "out" / "mixture.wav")
    assert (rate, mixture.shape, mixture.dtype) == (RATE, (3 * RATE,), np.int16)
    assert np.abs(mixture).max() == pytest.approx(0.5 * 32767, rel=0.02)  # two tones of 0.5, halved each
    shares = [wavfile.read(tmp_path / "out" / f"{key}.wav")[1] for key in ("low", "high")]
    assert all(share.shape == (3 * RATE,) and share.any() for share in shares)
    assert json.loads((tmp_path / "out" / "separation.json").read_text()) == {"decibels_gained": gained}


def test_a_mask_of_the_right_frequencies_takes_a_tone_out(store: ShardStore, tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", load_config("pixelplayer", TINY)))

    def below_a_kilohertz(image: torch.Tensor, waveform: torch.Tensor) -> torch.Tensor:
        spectra = spectrum(waveform)
        spectra[0, 100:] = 0  # of the first clip what is high, of the second what is low
        spectra[1, :100] = 0
        return sound_of(spectra, waveform.shape[1])

    run.method.separated = below_a_kilohertz
    assert min(separate(run, store, ["low", "high"], tmp_path / "out").values()) > 20


def test_several_images_of_a_clip_are_shown_to_a_method_that_takes_them(store: ShardStore, tmp_path: Path) -> None:
    several = load_config("pixelplayer", (*TINY, "method.images=3", "method.rate=0.3333"))
    run = load_run(make_run(tmp_path / "run", several))
    with pytest.raises(InputError, match=r"no burst companion.*--burst N --burst-rate RATE"):
        separate(run, store, ["low", "high"], tmp_path / "out")
    folder = Path(shutil.copytree(store.folder, tmp_path / "shards"))
    brightness = np.array([0, 100, 200], np.uint8).reshape(3, 1, 1, 1)
    write_bursts(folder, {key: brightness + np.zeros((3, 64, 64, 3), np.uint8) for key in KEYS}, 0.3333, moment=1)
    shown, separated = [], run.method.separated
    run.method.separated = lambda image, waveform: shown.append(image) or separated(image, waveform)
    separate(run, ShardStore.open(folder), ["low", "high"], tmp_path / "out")
    assert shown[0].shape == (2, 3, 3, 32, 32)
    assert (shown[0].mean(dim=(2, 3, 4)).diff(dim=1) > 0).all()


def test_what_cannot_be_separated_is_said(store: ShardStore, tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", load_config("pixelplayer", TINY)))
    with pytest.raises(InputError, match="two clips or more"):
        separate(run, store, ["low"], tmp_path / "out")
    composed, decomposed = (unicodedata.normalize(form, KEYS[4]) for form in ("NFC", "NFD"))
    with pytest.raises(InputError, match="each once"):
        separate(run, store, [composed, decomposed], tmp_path / "out")
    assert list(separate(run, store, ["low", decomposed], tmp_path / "accents")) == ["low", composed]
    with pytest.raises(InputError, match="silent is silent"):
        separate(run, store, ["low", "silent"], tmp_path / "out")
    with pytest.raises(InputError, match="nowhere"):
        separate(run, store, ["low", "nowhere"], tmp_path / "out")
    other = load_run(
        make_run(tmp_path / "other", load_config("avol", (*TINY[:3], "encoders.audio={blocks: [1, 1], width: 8}")))
    )
    with pytest.raises(InputError, match="avol separates no sounds"):
        separate(other, store, ["low", "high"], tmp_path / "out")


def test_a_folder_of_somebody_else_is_left_alone(store: ShardStore, tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", load_config("pixelplayer", TINY)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mixture.wav").write_bytes(b"mine")
    with pytest.raises(InputError, match="not written by `training separate`"):
        separate(run, store, ["low", "high"], tmp_path / "out")
    assert (tmp_path / "out" / "mixture.wav").read_bytes() == b"mine"
    for _ in range(2):  # over its own it writes again
        separate(run, store, ["low", "high"], tmp_path / "other")


def test_keys_with_folders_are_written_whole_or_not_at_all(store: ShardStore, tmp_path: Path, monkeypatch) -> None:
    run = load_run(make_run(tmp_path / "run", load_config("pixelplayer", TINY)))
    out = tmp_path / "above" / "out"
    for _ in range(2):
        separate(run, store, ["low", KEYS[2]], out)
    assert wavfile.read(out / "dog" / "dogv0" / "dogv0_1.wav")[0] == RATE
    with pytest.raises(InputError, match=r"The clip mixture would be written to mixture\.wav"):
        separate(run, store, ["low", "mixture"], out)
    with pytest.raises(InputError, match=r"The clip \.\./low has a name that leads out of a folder"):
        separate(run, store, ["low", "../low"], out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not written by `training separate`"):  # it is replaced whole
        separate(run, store, ["low", "high"], out)
    monkeypatch.setattr(wavfile, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        separate(run, store, ["low", "high"], tmp_path / "new")
    assert not list(tmp_path.glob("*new*"))


def test_distortion_knows_no_scale() -> None:
    wanted, noise = (torch.randn(1, 9000, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert distortion_ratio(3 * wanted, wanted).item() == pytest.approx(80)
    assert distortion_ratio(wanted + noise, wanted).item() == pytest.approx(0, abs=0.3)
    assert distortion_ratio(wanted + 0.1 * noise, wanted).item() == pytest.approx(20, abs=0.3)
