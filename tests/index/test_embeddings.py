"""The folder of embeddings: what it refuses to write and to open, and that it is written in one step."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from earlier_versions import without_checksum

from index.arrays import EMBEDDINGS, NEIGHBOURS, replaced_folder
from index.embeddings import Embeddings, unit_rows
from manifests.errors import InputError, WorkFailed


def test_what_is_written_is_read(make_embeddings: Callable[..., Path]) -> None:
    folder = make_embeddings()
    embeddings = Embeddings.open(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["audio.npy", "image.npy", "keys.parquet", "meta.json"]
    assert embeddings.meta["dimension"] == {"image": 12, "audio": 8}
    assert embeddings.meta["count"] == len(embeddings) == 60
    assert isinstance(embeddings.image, np.memmap)
    np.testing.assert_allclose(np.linalg.norm(embeddings.audio, axis=1), 1, atol=1e-6)
    assert embeddings.fingerprint() == Embeddings.open(folder).fingerprint()
    assert embeddings.fingerprint() != Embeddings.open(make_embeddings("other", seed=5)).fingerprint()


@pytest.mark.parametrize("bad", [np.nan, 0.0, 3.0])
def test_only_unit_vectors_are_written(make_embeddings: Callable[..., Path], bad: float) -> None:
    vectors = unit_rows(np.ones((60, 4)))
    vectors[7] *= bad
    with pytest.raises(InputError, match="row 7 has length"):
        make_embeddings(image=vectors)


def test_damaged_folders_are_refused(make_embeddings: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        Embeddings.open(tmp_path / "absent")
    folder = make_embeddings()
    without_checksum(folder / "meta.json")
    (folder / "audio.npy").write_bytes((folder / "audio.npy").read_bytes()[:-10])
    with pytest.raises(InputError, match=r"audio.npy cannot be read"):
        Embeddings.open(folder)
    np.save(folder / "audio.npy", np.ones((60, 4)))
    with pytest.raises(InputError, match="float64"):
        Embeddings.open(folder)
    (folder / "meta.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        Embeddings.open(folder)


def test_pickled_arrays_are_refused(make_embeddings: Callable[..., Path]) -> None:
    folder = make_embeddings()
    without_checksum(folder / "meta.json")
    np.save(folder / "image.npy", np.array([{"any": "object"}] * 60), allow_pickle=True)
    with pytest.raises(InputError, match=r"image.npy cannot be read"):
        Embeddings.open(folder)


def test_an_interrupted_writer_leaves_the_old_folder(make_embeddings: Callable[..., Path]) -> None:
    folder = make_embeddings()
    before = (folder / "meta.json").read_bytes()

    def interrupted() -> None:
        with replaced_folder(folder, EMBEDDINGS) as partial:
            (partial / "image.npy").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (folder / "meta.json").read_bytes() == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["embeddings"]


def test_leftovers_of_a_killed_writer_do_not_matter(make_embeddings: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / ".embeddings.partial").mkdir()
    (tmp_path / ".embeddings.partial" / "image.npy").write_bytes(b"half")
    assert len(Embeddings.open(make_embeddings())) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]


def test_no_link_is_entered_where_a_killed_writer_would_have_left_a_folder(
    make_embeddings: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for _ in range(2):
        for name in (".embeddings.partial", ".embeddings.replaced"):
            (tmp_path / name).symlink_to("mine")
        make_embeddings()
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"embeddings", "mine"}


def test_folders_of_others_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="was not written by"), replaced_folder(tmp_path / "mine", NEIGHBOURS):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="was not written by"), replaced_folder(tmp_path / "file", NEIGHBOURS):
        pass
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_two_writers_of_one_folder(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "knn", NEIGHBOURS) as partial:
        (partial / "meta.json").write_text(json.dumps({}))
        with (
            pytest.raises(InputError, match="Another command is writing"),
            replaced_folder(tmp_path / "knn", NEIGHBOURS),
        ):
            pass
    assert (tmp_path / "knn" / "meta.json").exists()


def test_a_full_disk_is_work_failed(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a device without space")

    def fill() -> None:
        with replaced_folder(tmp_path / "knn", NEIGHBOURS), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(WorkFailed, match="No space left"):
        fill()
    assert not (tmp_path / "knn").exists()


def test_a_vector_without_direction_gets_one() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.5**0.5, 0.5**0.5]], rtol=1e-6)
