"""The packaged configs as pages: what each repeats, by the comment at its top, and what it needs.

A list of them reads the files and no method, so it comes at once; the page of one asks its method.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from manifests.catalogue import catalogue
from manifests.files.content import read_content as read_given
from training.published import Printed, rows_of
from training.run_folders.asked_config import asked_config
from training.settings.files import PACKAGED, read_content

LONGEST_HEADLINE = 160
SENTENCE_END = re.compile(r"\.\s+(?=[A-Z0-9])")
MADE = {"augmented"}  # while clips are read
LISTS = "neighbours of every clip in {neighbours}: `index embed`, then `index build-knn`"
NEEDS = {
    **dict.fromkeys(("neighbours", "near_image", "near_audio", "exclusions"), LISTS),
    "labels": "labels of the training clips, as `pipeline ingest` finds them in lists or folders",
    "burst": "consecutive images beside the shards: `pipeline ingest --burst {images} --burst-rate {rate:g}`",
    "proposals": "boxes of objects beside the shards: `pipeline ingest --proposals` or `pipeline annotate --proposals`",
}


def config_names(method: str | None = None) -> list[str]:
    """Names of the packaged configs, sorted; of one method, where it is given."""
    return [path.stem for path in sorted(PACKAGED.glob("*.yaml")) if method in (None, _method(path))]


def config_headline(name: str) -> str:
    """The first sentence of the comment at a packaged config's top."""
    text = " ".join(_comment(PACKAGED / f"{name}.yaml"))
    return textwrap.shorten(SENTENCE_END.split(text)[0].rstrip("."), LONGEST_HEADLINE, placeholder=" …")


def config_page(source: str) -> str:
    """A config's comment, its method, what it needs and what its paper printed. InputError where it is none."""
    from training.config import load_config
    from training.runs import build_empty

    path = asked_config(source)
    config = load_config(path)
    written = config.model_dump(mode="json")
    needed = [*_needs_of_files(written), *_needs_of_method(build_empty(config), config)]
    method = f"{config.method.name} (`training methods {config.method.name}`)"
    lines = [*_comment(path), "", f"config   {path}", f"method   {method}"]
    lines += _listed("needs", needed) + _listed("printed", _printed(written))
    return "\n".join([*lines, f"start    training run {source}"])


def _method(path: Path) -> str:
    return str(read_content(path, ()).get("method", {}).get("name", ""))


def _comment(path: Path) -> list[str]:
    lines = read_given(path).text().splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("#").removeprefix(" ") for line in lines[:end]]


def _listed(title: str, lines: list[str]) -> list[str]:
    return [f"{title if not number else '':<8} {line}" for number, line in enumerate(lines)]


def _needs_of_files(config: Mapping[str, Any]) -> Iterator[str]:
    from index.encoders.imagenet import IMAGENET

    data = config["data"]
    yield f"shards in {data['shards']}: `pipeline ingest`"
    if (known := catalogue().get(data["train_list"])) is not None:
        yield f"the list {known.name} ({known.clips:,} clips) as {known.files[0]} under {data['lists']}: {known.source}"
    for trunk, encoder in config["encoders"].items():
        if encoder["weights"] == IMAGENET:
            yield f"ImageNet weights of the {trunk} trunk, which torchvision fetches once (encoders.{trunk}.weights)"
        elif encoder["weights"] != "none":
            yield f"the weights {encoder['weights']} of the {trunk} trunk (encoders.{trunk}.weights)"
    if (prior := config["evaluation"]["object_prior"]) is not None and prior["weights"] == IMAGENET:
        yield "ImageNet weights of the object prior, which torchvision fetches once (evaluation.object_prior.weights)"
    if config["init_from"]:
        yield f"the finished run {config['init_from']}, whose weights it begins with"


def _needs_of_method(method: Any, config: Any) -> list[str]:
    found = (NEEDS.get(need, f"{need} beside the shards") for need in sorted(method.needs - MADE))
    (images, rate), neighbours = method.burst, config.data.neighbours
    return list(dict.fromkeys(text.format(neighbours=neighbours, images=images, rate=rate) for text in found))


def _printed(config: Mapping[str, Any]) -> list[str]:
    """Published numbers, a line for each map under a protocol; then what is said of those that stand in the file."""
    printed = rows_of(config)
    notes = dict.fromkeys(row.entry.note for row in printed if row.entry is not None)
    return [*map(_row, printed), *notes]


def _row(row: Printed) -> str:
    numbers = ", ".join(f"{score} {value:.4g}" for score, value in row.scores.items())
    return f"{row.test_set} under {row.protocol}, {_words(row.map)}: {numbers}"


def _words(name: str) -> str:
    return name.replace("_", " ")
