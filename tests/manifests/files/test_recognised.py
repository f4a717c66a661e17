"""A file of another kind than asked for is called what it is, and the sentence says what to do with such a one."""

import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.recognised import words_of
from manifests.readers.annotation_table import write_table
from manifests.truth import read_truth

BOX = {"file": "a", "class": "dog", "bbox": [[0.1, 0.2, 0.6, 0.7]]}
OWN = "Boxes of your own are a parquet table"


def _with(write: Callable[[io.BytesIO], object]) -> bytes:
    handle = io.BytesIO()
    write(handle)
    return handle.getvalue()


FILES: dict[str, tuple[bytes, str, str]] = {  # name: content, what it is, what `--truth` of the usual format says
    "table.parquet": (_with(lambda to: pq.write_table(pa.table({"key": ["a"]}), to)), "a parquet file",
                      "give --format parquet"),
    "none.parquet": (_with(lambda to: pq.write_table(pa.table({"key": pa.array([], pa.string())}), to)),
                     "a parquet file", "give --format parquet"),
    "maps.npz": (_with(lambda to: np.savez(to, maps=np.eye(3))), "an archive of numpy's arrays", "score --maps` takes"),
    "packed.npz": (_with(lambda to: np.savez_compressed(to, maps=np.eye(3))), "an archive of numpy's arrays",
                   "score --maps` takes"),
    "map.npy": (_with(lambda to: np.save(to, np.eye(3))), "an array of numpy", "score --maps` takes"),
    "order.h5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file", "import h5py"),
    "packed.json": (gzip.compress(json.dumps([BOX]).encode()), "packed by gzip", "let its name end in .gz"),
    "map.json": (_with(lambda to: Image.new("L", (4, 4)).save(to, "PNG")), "a PNG picture", "Give the list or"),
    "photo.json": (_with(lambda to: Image.new("L", (4, 4)).save(to, "JPEG")), "a JPEG picture", "Give the list or"),
    "page.json": (b"\n<!DOCTYPE HTML>\n<html>404", "a web page", "Download it again"),
    "lfs.json": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "the pointer that Git LFS",
                 "git lfs pull"),
    "rows.json": (pickle.dumps([BOX]), "a pickle of Python", "Give the list or"),
    "boxes.csv": (b"key,x1,y1,x2,y2\nPAR1,0,0,1,1\n", "text", OWN),
    "PAR1.txt": (b"PAR1abcdefg\nPAR1\n", "text", OWN),
    "cut.json": (json.dumps([BOX]).encode()[:-9], "JSON", "Download the file again"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_is_given_as_truth_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    content, words, advice = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert words_of(tmp_path / name).startswith(words)
    with pytest.raises(InputError) as error:
        read_truth(tmp_path / name, "vggss")
    said = str(error.value)
    assert advice in said
    assert words in said or words in ("text", "JSON")
    assert ("Download" in said) == name.startswith(("page", "cut"))


def test_a_list_may_begin_as_files_do(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("PAR1abcdefg\nPK345678901\n")
    assert len(read_content(tmp_path / "list.txt").rows()) == 2


def test_what_is_given_as_a_table_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps([BOX]))
    with pytest.raises(InputError, match=r"It is JSON\. .* JSON in VGG-SS's form is --format vggss\."):
        read_truth(tmp_path / "boxes.json", "parquet")
    (tmp_path / "boxes.csv").write_text("key,label,boxes\n")
    with pytest.raises(InputError, match=rf"It is text\. .* {OWN}"):
        read_truth(tmp_path / "boxes.csv", "parquet")
    write_table(TestSet("mine", (Annotation("a", "dog", ((0.1, 0.2, 0.6, 0.7),)),), "", ""), tmp_path / "own.parquet")
    with pytest.raises(InputError, match=r"a parquet file.* give --format parquet\."):
        read_truth(tmp_path / "own.parquet", "music")
    assert len(read_truth(tmp_path / "own.parquet", "parquet").test_set.keys) == 1


def test_a_truth_that_is_not_there_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No such file.*was read as --format vggss \([^)]*\)\.$"):
        read_truth(tmp_path / "none.json", "vggss")
