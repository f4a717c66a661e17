"""What the loop promises on a GPU: the CPU's losses, the same ones however it is fed, and after a kill."""

import json
from pathlib import Path

import pytest
import torch

from training.config import load_config
from training.loop import trainer
from training.loop.room import Room
from training.loop.start import start
from training.loop.trainer import Trainer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

SMALL = """
name: small
method: {{name: ezvsl, temperature: 0.1, dimension: 16}}
data: {{shards: {shards}, image_size: 32, colour_jitter: 0.2, shuffle: 8, workers: {workers}}}
encoders:
  image: {{blocks: [1, 1], weights: none}}
  audio: {{blocks: [1, 1], input_pool: [4, 3]}}
optim: {{epochs: 4, batch_size: 16, replicas: 2, learning_rate: {rate}, precision: {precision}}}
compute: {{resident: {resident}, compile: {compile}}}
log_every: 1
"""


def losses(tmp_path: Path, shards: Path, device: str = "cuda", **changed: str) -> list[float]:
    """Of twelve steps. At a rate of 1e-6 they tell whether the same sums are computed: Adam magnifies rounding."""
    options = {"resident": "never", "workers": "0", "precision": "float32", "compile": "never", "rate": "1.0e-3"}
    place = tmp_path / "-".join([device, *changed.values()])
    place.mkdir(parents=True, exist_ok=True)
    (place / "small.yaml").write_text(SMALL.format(shards=shards, **options | changed))
    folder, _ = start(load_config(place / "small.yaml"), place / "runs", device)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 13))
    return [row["loss"]["total"] for row in rows]


SLOW = "1.0e-6"


def test_the_losses_of_the_cpu(tmp_path: Path, shards: Path) -> None:
    here = losses(tmp_path, shards, "cpu", rate=SLOW)
    assert losses(tmp_path, shards, rate=SLOW) == pytest.approx(here, rel=1e-2)  # images are resized otherwise


def test_fed_by_readers_or_out_of_memory(tmp_path: Path, shards: Path) -> None:
    streamed = losses(tmp_path, shards, rate=SLOW)
    assert losses(tmp_path, shards, rate=SLOW, resident="auto") == pytest.approx(streamed, rel=1e-4)
    assert losses(tmp_path, shards, rate=SLOW, workers="1") == pytest.approx(streamed, rel=1e-4)


def test_bfloat16_computes_the_same_to_its_precision(tmp_path: Path, shards: Path) -> None:
    whole = losses(tmp_path, shards, rate=SLOW)
    assert losses(tmp_path, shards, rate=SLOW, precision="bfloat16") == pytest.approx(whole, rel=2e-2)


@pytest.mark.parametrize(("precision", "off"), [("float32", 1e-2), ("bfloat16", 3e-2)])
def test_compiled_trunks_give_the_same_losses(tmp_path: Path, shards: Path, precision: str, off: float) -> None:
    """With two replicas, whose gradients add up between two replays of the recorded kernels; and learning."""
    plain = losses(tmp_path, shards, precision=precision)
    compiled = losses(tmp_path, shards, precision=precision, compile="always")
    assert compiled[:3] == pytest.approx(plain[:3], rel=off)
    assert sum(compiled[-6:]) == pytest.approx(sum(plain[-6:]), rel=0.1)


def test_broken_off_and_continued(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off in the middle of an epoch, the losses after it are those of a run that was not."""
    whole = losses(tmp_path, shards, resident="auto")
    step = Trainer.step

    def broken(self: Trainer, parts: list) -> object:
        if self.done.step == 5:
            self.save()
            raise KeyboardInterrupt
        return step(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", broken)
        with pytest.raises(KeyboardInterrupt):
            losses(tmp_path / "cut", shards, resident="auto")
    assert losses(tmp_path / "cut", shards, resident="auto") == pytest.approx(whole, rel=5e-3)


@pytest.mark.parametrize("bytes_on_device", [0, 3_000_000])
def test_what_does_not_fit_lies_in_memory(
    tmp_path: Path, shards: Path, bytes_on_device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamed = losses(tmp_path, shards, rate=SLOW)
    monkeypatch.setattr(trainer, "room_for_clips", lambda _, ranks, *given: Room(ranks.device, bytes_on_device, 10**9))
    assert losses(tmp_path, shards, rate=SLOW, resident="auto") == pytest.approx(streamed, rel=1e-4)


def test_what_fits_nowhere_is_read_anew(tmp_path: Path, shards: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "room_for_clips", lambda _, ranks, *given: Room(ranks.device, 0))
    losses(tmp_path, shards, resident="auto")
    assert "readers decode clips anew in each epoch: they take 0.0 GB" in capsys.readouterr().out
