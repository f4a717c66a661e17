"""Which run a config describes: its settings, and the content of what its paths lead to.

A path is a place, not an identity: shards, neighbours, lists and weights may move, and the run is the same as long as
their content is. Evaluation settings, validation clips, how often a run logs and how it is computed
belong to no run's identity. The seed stands beside the digest in a run folder's name.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from training.config import RunConfig

IMPORTED = "imported"  # the released file that a run was made of, which no key of its config names
# What lies at a config's places, and the keys that say where. A content is a hash, or a name where there is no file.
PLACES = {
    "shards": ("data.shards",),
    "training_clips": ("data.train_list", "data.exclude_test", "data.lists"),
    "neighbours": ("data.neighbours",),
    "image_weights": ("encoders.image.weights",),
    "audio_weights": ("encoders.audio.weights",),
    "label_groups": ("data.label_groups",),
    "earlier_stage": ("init_from",),
    IMPORTED: (),
}
NOT_TRAINING: Any = {
    **dict.fromkeys(("seed", "compute", "evaluation", "validation", "paper", "published"), True),
    **dict.fromkeys(("checkpoint_minutes", "log_every"), True),
    "optim": {"not_finite"},  # what a run does when it cannot go on as it is
}
Contents = Mapping[str, str]


def digest(config: RunConfig, contents: Contents) -> str:
    """Eight characters that change with every setting and content that changes the trained weights (not the seed)."""
    whole = {"settings": settings(config), "contents": dict(contents)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:8]


def settings(config: RunConfig) -> dict[str, Any]:
    """Everything that decides the trained weights and is no place, by dotted key."""
    places = {key for keys in PLACES.values() for key in keys}
    return {key: value for key, value in _dotted(config).items() if key not in places}


def differences(before: RunConfig, known: Contents, config: RunConfig, contents: Contents) -> list[str]:
    """In what two runs differ, `before` with what is `known` of its contents; nothing when they are the same run.

    What an older version has not stored of a content is compared by its place.
    """
    then, now = _dotted(before), _dotted(config)
    found = [key for key in settings(config) | settings(before) if then.get(key) != now.get(key)]
    lines = [f"{key} ({then.get(key)} there, {now.get(key)} here)" for key in found]
    for name in {**contents, **known}:  # what only one of the two runs was made from counts as well
        moved = any(then.get(key) != now[key] for key in PLACES[name])
        if known[name] != contents[name] if name in known and name in contents else moved:
            lines.append(f"the content of {' or '.join(PLACES[name]) or 'the imported file'}")
    return lines


def content_of(origin: Mapping[str, Any]) -> str:
    """One hash for the released file, or files, that a run was imported from, as its `data.json` describes them."""
    return hashlib.sha256(json.dumps(origin.get("files") or origin["sha256"], sort_keys=True).encode()).hexdigest()


def _dotted(config: RunConfig) -> dict[str, Any]:
    return _leaves(config.model_dump(mode="json", exclude=NOT_TRAINING))


def _leaves(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
