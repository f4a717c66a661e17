"""The packaged manifests against the released files, and finding a list by its name."""

import gzip
from pathlib import Path

import pytest
from places import METADATA

from manifests.catalogue import LISTS, ROLES, catalogue, known_tests, locate, read_clips, read_listed, resolve
from manifests.errors import InputError
from manifests.splits import overlap, read_ids


@pytest.fixture(scope="module")
def released() -> tuple[Path]:
    if not METADATA.is_dir():
        pytest.skip("the released lists are not in ../shared/data/metadata")
    return (METADATA,)


def test_every_yaml_is_named_after_its_list() -> None:
    assert {path.stem for path in LISTS.glob("*.yaml")} == set(catalogue())
    for name, manifest in catalogue().items():
        assert manifest.name == name
        assert manifest.role in ROLES
        assert manifest.source.startswith("https://")
        assert len(manifest.sha256) == 64


@pytest.mark.parametrize("name", catalogue())
def test_counts_and_hashes_are_those_of_the_released_file(released, name) -> None:
    manifest = catalogue()[name]
    path = locate(manifest, released)
    ids = read_ids(path)
    assert (len(ids.ids), ids.sha256) == (manifest.clips, manifest.sha256)
    assert read_listed(manifest, path).name == name


@pytest.mark.parametrize(("name", "shared"), [("vggss_144k", 3709), ("vggss_10k", 238), ("ssltie_144k", 0)])
def test_leaks_of_the_training_lists(released, name, shared) -> None:
    found = overlap(resolve(name, released), resolve("vggss", released))
    assert len(found.clips) == shared


def test_a_released_list_is_known_by_its_content_whatever_its_file_is_called(released, tmp_path: Path) -> None:
    path = tmp_path / "heard.txt"
    path.write_bytes(locate(catalogue()["ssltie_heard_test"], released).read_bytes())
    assert read_clips(path).name == "ssltie_heard_test"
    path.write_bytes(path.read_bytes() + b"AbCdEfGh_-1_000030\n")
    assert read_clips(path).name == "heard"


def test_frames_of_avsbench_count_as_videos(released) -> None:
    frames = resolve("avsbench_s4", released)
    assert len(frames.ids) == 740
    found = overlap(resolve("vggss_144k", released), frames)
    assert (len(found.clips), found.videos > 0) == ((0), True)


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
