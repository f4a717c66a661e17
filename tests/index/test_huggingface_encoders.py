"""CLIP and CLAP from tiny local folders with random weights, made by transformers itself."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from index.clips import image, waveform
from index.encoders import open_encoder
from manifests.errors import InputError
from pipeline.shards.store import ShardStore

transformers = pytest.importorskip("transformers", reason="needs the extra `mining` (transformers)")

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
SIDE = 32


@pytest.fixture
def store(make_shards: Callable[..., Path]) -> ShardStore:
    return ShardStore.open(make_shards(splits=["train"] * 3, audio_rate=48_000))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A whole CLIP, text side included, as the hub publishes it."""
    config = transformers.CLIPConfig(
        text_config=SIZES | {"vocab_size": 50, "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1},
        vision_config=SIZES | {"image_size": SIDE, "patch_size": 8, "projection_dim": 12},
        projection_dim=12,
    )
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(tmp_path / "clip")
    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    transformers.CLIPImageProcessor(**sizes).save_pretrained(tmp_path / "clip")
    return tmp_path / "clip"


@pytest.fixture
def clap(tmp_path: Path) -> Path:
    audio = {"depths": [1, 1], "num_attention_heads": [1, 2], "patch_embeds_hidden_size": 8, "spec_size": 64}
    audio |= {"num_mel_bins": 16, "hidden_size": 16, "window_size": 4, "projection_dim": 12}
    text = SIZES | {"vocab_size": 50, "projection_dim": 12}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)
    torch.manual_seed(0)
    transformers.ClapModel(config).save_pretrained(tmp_path / "clap")
    options = {"feature_size": 16, "max_length_s": 1, "truncation": "rand_trunc", "padding": "repeatpad"}
    transformers.ClapFeatureExtractor(**options).save_pretrained(tmp_path / "clap")
    return tmp_path / "clap"


def test_clip_projects_as_the_whole_model_does(store: ShardStore, clip: Path) -> None:
    encoder = open_encoder("image", "clip", clip, "cpu")
    found = encoder.vectors(store, range(3), lambda _: None)
    model, processor = (
        transformers.CLIPModel.from_pretrained(clip),
        transformers.CLIPImageProcessor.from_pretrained(clip),
    )
    inputs = processor([image(store, row) for row in range(3)], return_tensors="pt")
    with torch.no_grad():
        pooled = model.eval().vision_model(inputs["pixel_values"]).pooler_output
        expected = F.normalize(model.visual_projection(pooled), dim=1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert encoder.version == open_encoder("image", "clip", clip, "cpu").version


def test_clap_projects_as_the_whole_model_does(store: ShardStore, clap: Path) -> None:
    found = open_encoder("audio", "clap", clap, "cpu").vectors(store, range(3), lambda _: None)
    model = transformers.ClapModel.from_pretrained(clap).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(clap)
    for row in range(3):
        inputs = extractor(waveform(store, row, 48_000, 1.0), sampling_rate=48_000, return_tensors="pt")
        with torch.no_grad():
            pooled = model.audio_model(**inputs).pooler_output
            expected = F.normalize(model.audio_projection(pooled), dim=1)
        np.testing.assert_allclose(found[row : row + 1], expected.numpy(), atol=1e-5)


def test_clap_names_the_rate_it_needs(make_shards: Callable[..., Path], clap: Path) -> None:
    low = ShardStore.open(make_shards(splits=["train"], audio_rate=16_000))
    with pytest.raises(InputError, match="`--audio context --audio-rate 48000`"):
        open_encoder("audio", "clap", clap, "cpu").check(low, 0)


def test_folders_that_are_not_the_model(clip: Path, clap: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clip needs --image-weights: a Hugging Face folder"):
        open_encoder("image", "clip", None, "cpu")
    with pytest.raises(InputError, match="holds a model of type 'clap', not clip"):
        open_encoder("image", "clip", clap, "cpu")
    with pytest.raises(InputError, match=r"it has no config\.json, model\.safetensors, preprocessor_config\.json"):
        open_encoder("image", "clip", tmp_path, "cpu")


def test_weights_that_are_not_the_folder_s(clip: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(clip / "model.safetensors")
    gone = state.pop("visual_projection.weight")
    save_file(state | {"strange.weight": gone}, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"missing \['visual_projection\.weight'\], unexpected \['strange\.weight'\]"):
        open_encoder("image", "clip", clip, "cpu")
    config = json.loads((clip / "config.json").read_text())
    config["vision_config"]["projection_dim"] = 20
    (clip / "config.json").write_text(json.dumps(config))
    save_file(state | {"visual_projection.weight": gone}, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="cannot be loaded as a clip model"):
        open_encoder("image", "clip", clip, "cpu")
