"""CLIP for images and CLAP for sounds, from local folders as the Hugging Face hub publishes them.

CLIP: Radford et al., ICML 2021. CLAP: Wu et al., ICASSP 2023. A folder holds config.json, model.safetensors and
preprocessor_config.json; nothing is fetched and no code of a folder runs. Vectors are the projected ones, those that
CLIP and CLAP compare with text. Needs the extra `mining` (transformers).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from index.clips import image, waveform
from index.encoders.network import Network, fingerprint, needed
from index.encoders.torch_device import pick_device
from manifests.commands.extras import how_to_install
from manifests.errors import InputError
from manifests.files.content import read_object
from manifests.files.given import has_file, understood
from pipeline.shards.store import ShardStore

CONFIG, WEIGHTS, PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
TEXT_SIDE = ("text_", "logit_scale")  # of whole CLIP and CLAP models; only the other side is loaded


def open_encoder(modality: str, name: str, weights: Path | None, device: str | None) -> Network:
    """`name`: clip or clap; `weights` is a folder. CLAP needs waveforms of at least 48 kHz beside the shards."""
    folder = needed(name, modality, weights, f"a Hugging Face folder of a {name} model")
    _check_folder(folder, name)
    transformers = _transformers(name)
    target = pick_device(device)
    if name == "clip":
        model, processor = transformers.CLIPVisionModelWithProjection, transformers.CLIPImageProcessor
        read, output = _image_reader, "image_embeds"
    else:
        model, processor = transformers.ClapAudioModelWithProjection, transformers.ClapFeatureExtractor
        read, output = _audio_reader, "audio_embeds"
    network = _loaded(model, folder, name).to(target)
    prepare = processor.from_pretrained(folder, local_files_only=True)
    version = f"{name}-{fingerprint(folder / WEIGHTS)}"
    return Network(version, target, read(prepare), lambda *inputs: network(*inputs)[output])


def _image_reader(processor: Callable[..., Any]) -> Callable[[ShardStore, int], tuple[np.ndarray]]:
    def read(store: ShardStore, row: int) -> tuple[np.ndarray]:
        return (np.asarray(processor(image(store, row), return_tensors="np")["pixel_values"][0]),)

    return read


def _audio_reader(extractor: Any) -> Callable[[ShardStore, int], tuple[np.ndarray, np.ndarray]]:
    """CLAP's log-mel input and its flag for sounds longer than its window; ours are as long, so none is cut."""
    rate, seconds = extractor.sampling_rate, extractor.nb_max_samples / extractor.sampling_rate

    def read(store: ShardStore, row: int) -> tuple[np.ndarray, np.ndarray]:
        inputs = extractor(waveform(store, row, rate, seconds), sampling_rate=rate, return_tensors="np")
        return np.asarray(inputs["input_features"][0]), np.asarray(inputs["is_longer"][0])

    return read


def _check_folder(folder: Path, name: str) -> None:
    missing = [file for file in (CONFIG, WEIGHTS, PREPROCESSOR) if not has_file(folder / file)]
    if missing:
        raise InputError(
            f"{folder} is not a Hugging Face folder of a {name} model: it has no {', '.join(missing)}. Copy the whole "
            "folder; weights must be safetensors (pickled ones are not read)."
        )
    kind = read_object(folder / CONFIG, remedy="Copy the folder again.").get("model_type")
    if not isinstance(kind, str) or kind.split("_")[0] != name:
        raise InputError(f"{folder} holds a model of type {kind!r}, not {name}. Name the encoder it is.")


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            f"the encoder {name} needs the library transformers ({error}). {how_to_install('mining')}"
        ) from error
    transformers.utils.logging.set_verbosity_error()  # of loading: what matters becomes an error below
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _loaded(model: Any, folder: Path, name: str) -> nn.Module:
    """The side of the model we need, complete. InputError names missing and unexpected tensors."""
    options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    with understood(folder, f"cannot be loaded as a {name} model"):
        network, found = model.from_pretrained(folder, **options)
    unexpected = [key for key in found["unexpected_keys"] if not key.startswith(TEXT_SIDE)]
    if found["missing_keys"] or unexpected:
        raise InputError(
            f"{folder / WEIGHTS} is not of the {name} model its {CONFIG} describes: missing "
            f"{sorted(found['missing_keys'])[:8]}, unexpected {sorted(unexpected)[:8]}. Copy the folder again."
        )
    return network.eval().requires_grad_(False)
