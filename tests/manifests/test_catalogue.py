"""The packaged manifests against the released files, and finding a list by its name."""

import gzip
from pathlib import Path

import pytest
from places import METADATA, MINIATURES, needed

from manifests.catalogue import LISTS, ROLES, catalogue, known_tests, locate, read_clips, read_listed, resolve
from manifests.errors import InputError
from manifests.splits import overlap, read_ids


@pytest.fixture(scope="module")
def released() -> tuple[Path]:
    return (needed(METADATA),)


def test_every_yaml_is_named_after_its_list() -> None:
    assert {path.stem for path in LISTS.glob("*.yaml")} == set(catalogue())
    for name, manifest in catalogue().items():
        assert manifest.name == name
        assert manifest.role in ROLES
        assert manifest.source.startswith("https://")
        assert len(manifest.sha256) == 64


@pytest.mark.slow
def test_counts_and_hashes_are_those_of_the_released_files(released) -> None:
    paths = {name: locate(manifest, released) for name, manifest in catalogue().items()}
    read = {name: read_ids(path) for name, path in paths.items()}
    said = {name: (manifest.clips, manifest.sha256) for name, manifest in catalogue().items()}
    assert {name: (len(ids.ids), ids.sha256) for name, ids in read.items()} == said
    assert [read_listed(manifest, paths[name]).name for name, manifest in catalogue().items()] == list(catalogue())


LEAKS = {"vggss_144k": {"made": 30, "released": 3709}, "vggss_10k": {"made": 12, "released": 238},
         "ssltie_144k": {"made": 0, "released": 0}}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_of_the_training_lists(lists, source, name) -> None:
    found = overlap(resolve(name, (lists,)), resolve("vggss", (lists,)))
    assert len(found.clips) == LEAKS[name][source]


def test_files_of_a_released_name_and_another_content_say_so() -> None:
    found = {name: locate(manifest, (MINIATURES,)) for name, manifest in catalogue().items()}
    there = {name: path for name, path in found.items() if path is not None}
    assert len(there) > 20
    for name, path in there.items():
        assert read_listed(catalogue()[name], path).name == f"{path.name} (not the released {name})"


def test_a_released_list_is_known_by_its_content_whatever_its_file_is_called(released, tmp_path: Path) -> None:
    path = tmp_path / "heard.txt"
    path.write_bytes(locate(catalogue()["ssltie_heard_test"], released).read_bytes())
    assert read_clips(path).name == "ssltie_heard_test"
    path.write_bytes(path.read_bytes() + b"AbCdEfGh_-1_000030\n")
    assert read_clips(path).name == "heard"


VIDEOS = {"avsbench_s4": {"made": 4, "released": 740}, "avsbench_ms3": {"made": 3, "released": 64}}


@pytest.mark.parametrize("name", VIDEOS)
def test_frames_of_avsbench_count_as_videos(lists, source, name) -> None:
    assert len(resolve(name, (lists,)).ids) == VIDEOS[name][source]


def test_videos_of_avsbench_are_met_in_the_training_list(released) -> None:
    found = overlap(resolve("vggss_144k", released), resolve("avsbench_s4", released))
    assert (len(found.clips), found.videos > 0) == (0, True)


def test_another_list_of_the_same_file_name_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "vggss_144k.txt.gz").write_bytes(gzip.compress(b"AbCdEfGh_-1_000030\n"))
    found = resolve("vggss_144k", (tmp_path,))
    assert found.ids == ("AbCdEfGh_-1_000030",)
    assert found.name == "vggss_144k.txt.gz (not the released vggss_144k)"
    assert resolve("vggss_10k", (tmp_path,)) is None
    assert known_tests((tmp_path,)) == []
    with pytest.raises(InputError, match="neither a file nor a known list"):
        resolve("vggss_145k", (tmp_path,))


def test_sources_are_addresses_of_files() -> None:
    """What a message tells a user to download is the list, not a page about it."""
    for manifest in catalogue().values():
        assert "/blob/" not in manifest.source, manifest.name
