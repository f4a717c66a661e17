"""Which run a config describes: its settings, and the content of what its paths lead to.

A path is a place, not an identity: shards, neighbours, lists and weights may move, and the run is the same as long as
their content is. Evaluation settings, validation clips, how often a run logs and how it is computed belong to no run's
identity. The seed stands beside the digest in a run folder's name. Checkpoints and weights carry all of it (`carried`),
and so belong to their run wherever its folder lies and whatever it is called.
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
            lines.append(f"the content of {_place_of(name)}")
    return lines


def content_of(origin: Mapping[str, Any]) -> str:
    """One hash for the released file, or files, that a run was imported from, as its `data.json` describes them."""
    return hashlib.sha256(json.dumps(origin.get("files") or origin["sha256"], sort_keys=True).encode()).hexdigest()


def carried(config: RunConfig, contents: Contents) -> dict[str, Any]:
    """What a run's checkpoints and weights say of it, as JSON has it: seed, settings and contents; no place or name."""
    own = {key: value for key, value in settings(config).items() if key != "name"}
    return {"seed": config.seed, "settings": own, "contents": dict(contents)}


def of_another(said: Any, own: Mapping[str, Any]) -> str:
    """In what the run that a file carries is not this one, both as `carried` gives them; empty where it is.

    What only one of them names is not compared, be it a setting younger than the file or a content that was not stored
    then. A file of an earlier version carries nothing, and may be of any run.
    """
    if said is None:
        return ""
    parts = [said.get(name) if isinstance(said, Mapping) else None for name in ("settings", "contents")]
    if not all(isinstance(part, Mapping) for part in parts):
        return "it does not say of which run it is"
    there, here = ({**run["settings"], "seed": run.get("seed")} for run in (said, own))
    lines = [f"{key} is {there[key]} there, {here[key]} here" for key in _unequal(there, here)]
    lines += [f"another content of {_place_of(name)}" for name in _unequal(said["contents"], own["contents"])]
    return f"it is of another run: {'; '.join(lines)}" if lines else ""


def _unequal(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names that both have, with other values."""
    return sorted(name for name in one.keys() & other.keys() if one[name] != other[name])


def _place_of(name: str) -> str:
    """What a person calls the place of a content."""
    return " or ".join(PLACES.get(name, ())) or "the imported file"


def _dotted(config: RunConfig) -> dict[str, Any]:
    return _leaves(config.model_dump(mode="json", exclude=NOT_TRAINING))


def _leaves(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
