"""Whatever bytes a file holds, its reader makes records of them or says in a sentence why not,.

Every reader gets sound files that were damaged at random, and JSON with values that nobody expects. The seeds are
fixed: what is tried here is tried everywhere. `make test-all` tries twenty times as much.
"""

import json
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attacked_desk import KEYS, TESTED, lay_out
from damage import DAMAGE, spoiled
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from index.encoders.pretrained import read_weight_file
from index.encoders.torch_file import read_content as read_torch
from index.neighbours import Neighbours
from manifests.errors import InputError
from manifests.files.plain_data import NotPlain, parse_json, parse_yaml
from manifests.masks import load_mask
from manifests.readers.label_lists import read_labels
from manifests.splits import read_ids
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from pipeline.sources.archives import list_members
from training.config import load_config
from training.data.evaluation_pairs import read_pairs
from training.evaluation.raw_maps import RawMaps, load_arrays
from training.reference_sounds import read_references

SEED = 20261127
FEW, MANY = 25, 500
SECONDS, MEMORY = 20.0, 1500  # of one reading, on a busy machine; MiB that all of them together may add
MASK = f"s4_data/gt_masks/test/dog/{TESTED[0]}/{TESTED[0]}_1.png"


def every_member(folder: Path) -> None:
    store = ShardStore.open(folder)
    for row in range(len(store)):
        store.frame(row), store.spectrogram(row), store.facts(row)


def neighbours(folder: Path) -> None:
    found = Neighbours.open(
        folder, json.loads((folder.parent / "shards" / "index.json").read_text())["manifest_sha256"]
    )
    for row, key in enumerate(found.keys):
        found.checked(found.image[row], key)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "maps": ("maps.npz", lambda path: RawMaps.of(load_arrays(path))),
    "vggss": ("vggss.json", lambda path: read_truth(path, "vggss")),
    "own table": ("own.parquet", lambda path: read_truth(path, "parquet")),
    "avsbench boxes": ("s4_box.json", lambda path: read_truth(path, "avsbench_s4")),
    "is3": ("s4_box.json", lambda path: read_truth(path, "is3")),
    "music": ("solotest.json", lambda path: read_truth(path, "music")),
    "music arrays": ("synthetic/0.npy", lambda path: read_truth(path.parent, "music")),
    "ave": ("ave.txt", lambda path: read_truth(path, "ave")),
    "flickr": (f"flickr/{TESTED[0]}.xml", lambda path: read_truth(path.parent, "flickr")),
    "silent pairs": ("pairs.csv", lambda path: read_truth(path.parent / "vggss.json", "vggss", negatives=path)),
    "mask": (MASK, lambda path: load_mask(path, None)),
    "ids": ("vggsound.csv", read_ids),
    "labels": ("vggsound.csv", read_labels),
    "ids in json": ("vggss.json", read_ids),
    "pairs": ("pairs.csv", read_pairs),
    "references": ("pairs.csv", read_references),
    "config": ("tiny.yaml", load_config),
    "weights": ("maps.npz", read_torch),
    "safetensors": ("weights.safetensors", read_weight_file),
    "tar": ("shards/shard-000000.tar", list_members),
    "shards": ("shards/shard-000000.tar", lambda path: every_member(path.parent)),
    "index of shards": ("shards/index.json", lambda path: every_member(path.parent)),
    "manifest": ("shards/manifest.parquet", lambda path: every_member(path.parent)),
    "neighbours": ("knn/image.npy", lambda path: neighbours(path.parent)),
    "keys of neighbours": ("knn/keys.parquet", lambda path: neighbours(path.parent)),
    "facts of neighbours": ("knn/meta.json", lambda path: neighbours(path.parent)),
}
JSON_READERS = ("vggss", "avsbench boxes", "is3", "music", "ids in json", "index of shards", "facts of neighbours")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("attacked") / "desk")


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY << 10


def read(name: str, desk: Path, content: bytes) -> None:
    """Hold a reader to its promise for a file of this content; the sound file is put back."""
    relative, reader = READERS[name]
    path = desk / relative
    sound = path.read_bytes()
    path.write_bytes(content)
    try:
        held(reader, path)
    finally:
        path.write_bytes(sound)


def held(reader: Callable[[Path], object], path: Path) -> None:
    """One paragraph or none, in time; whatever else is raised is a failure of the test."""
    started, said = time.monotonic(), "nothing"
    try:
        reader(path)
    except InputError as error:
        said = str(error)
    assert said.strip()
    assert "\n\n" not in said
    assert time.monotonic() - started < SECONDS


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change of some bytes: exchanged, left out, doubled, or others in between."""
    kind = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "insert", "fresh"]))
    at, length = draw(st.floats(0, 1)), draw(st.integers(1, 40))
    fresh = draw(st.binary(min_size=1, max_size=200))

    def change(content: bytes) -> bytes:
        start = int(at * len(content))
        part = content[start : start + length]
        middle = {
            "flip": bytes(byte ^ fresh[0] for byte in part), "drop": b"", "repeat": 3 * part, "insert": fresh + part,
        }  # fmt: skip
        if kind in ("cut", "fresh"):
            return content[:start] if kind == "cut" else fresh
        return content[:start] + middle[kind] + content[start + length :]

    return change


def trying(examples: int) -> Callable[[Callable], Callable]:
    settled = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=[*HealthCheck], derandomize=False
    )
    return lambda test: seed(SEED)(settled(test))


def hold_at_random(name: str, desk: Path, examples: int) -> None:
    sound = (desk / READERS[name][0]).read_bytes()

    @trying(examples)
    @given(st.lists(changes(), min_size=1, max_size=3))
    def attack(several: list[Callable[[bytes], bytes]]) -> None:
        content = sound
        for change in several:
            content = change(content)
        read(name, desk, content)

    attack()


@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_what_is_wrong_with_bytes_changed_at_random(name: str, desk: Path) -> None:
    hold_at_random(name, desk, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_the_same_with_many_changes(name: str, desk: Path) -> None:
    hold_at_random(name, desk, MANY)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_what_is_wrong_with_a_damaged_file(name: str, desk: Path, tmp_path: Path) -> None:
    """Pipes, sockets, devices and folders among them; in a copy of what the reader looks at."""
    for damage in DAMAGE:
        (tmp_path / damage).mkdir()
        hold_damaged(name, damage, desk, tmp_path / damage)


def hold_damaged(name: str, damage: str, desk: Path, tmp_path: Path) -> None:
    relative, reader = READERS[name]
    path = tmp_path / relative
    for top in {relative.partition("/")[0], "vggss.json", "shards"}:
        (tmp_path / top).symlink_to(desk / top)
    top = tmp_path / relative.partition("/")[0]
    top.unlink()
    copied(desk / top.name, top)
    DAMAGE[damage](path)
    held(reader, path)


def copied(source: Path, target: Path) -> None:
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


def hold_spoiled(name: str, desk: Path, examples: int) -> None:
    sound = json.loads((desk / READERS[name][0]).read_text())
    for number in range(examples):
        draw = random.Random(f"{SEED}/{name}/{number}")
        read(name, desk, json.dumps(spoiled(sound, draw)).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", JSON_READERS)
def test_a_reader_says_what_is_wrong_with_values_nobody_expects(name: str, desk: Path) -> None:
    hold_spoiled(name, desk, 2 * FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", JSON_READERS)
def test_the_same_with_many_values(name: str, desk: Path) -> None:
    hold_spoiled(name, desk, 4 * MANY)


@trying(4 * FEW)
@given(st.text(alphabet="[]{}:,&*!<>-|'\"#%@`?\\ \n\t.0159aexu~\0é\u2028", max_size=40))
def test_texts_are_plain_data_or_refused(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        with suppress(NotPlain):
            parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000, "nested too deeply"),
        ("a: &a [*a]", "contains itself"),
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{n}: &a{n} [{','.join(9 * [f'*a{n - 1}'])}]\n" for n in range(1, 9))
         .replace("*a0", "*a"), "stands for more than 100,000 values"),
        ("a: 1\nb: {c: 1, c: 2}", "the key 'c' twice"),
        ("seed: 1" + 26 * "0", "whole number above"),
        ("seed: 0x" + 40 * "f", "whole number above"),
        ("seed: 1" + 5000 * "0", "is not a YAML file"),
        ('name: "\\ud800"', "no file or name can have"),
        ('name: "\\0"', "no file or name can have"),
        ("x: !unknown 5", "could not determine a constructor"),
        ("x: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("when: 2001-99-99", "is not a YAML file"),
    ],
)  # fmt: skip
def test_what_yaml_can_say_and_no_config_means_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotPlain, match=said):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1" * 400, "has 400 digits"),
        ("1" * 5000, "has 5000 digits"),
        ('"\\ud800"', "half of a character"),
        ("[" * 100_000, "too deeply"),
        ('[{"file": "a", "bbox": [], "bbox": [[0, 0, 1, 1]]}]', "the key 'bbox' twice in one mapping"),
    ],
)
def test_what_json_can_say_and_no_list_means_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotPlain, match=said):
        parse_json(text)


def test_a_config_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("#" * (1 << 20) + "\nname: a")
    with pytest.raises(InputError, match="more than the 1 MiB"):
        load_config(tmp_path / "large.yaml")


def test_keys_of_the_desk_are_read_back(desk: Path) -> None:
    """The sound files are sound: without that every refusal above would be worth nothing."""
    for relative, reader in READERS.values():
        if relative not in ("weights.safetensors", "pairs.csv") and reader is not read_torch:
            reader(desk / relative)
    assert list(read_truth(desk / "vggss.json", "vggss").keys) == TESTED
    assert read_ids(desk / "vggsound.csv").ids[0] == KEYS[0]
