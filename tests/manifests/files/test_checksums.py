"""Checksums: what was written is told from what was not, and what has none is taken as it is."""

import json
from pathlib import Path

import pytest

from manifests.files.checksums import (
    SEAL,
    Damaged,
    check_file,
    check_seal,
    check_sealed,
    digest_of,
    file_sha256,
    sealed,
    sealed_file,
)


@pytest.mark.parametrize("size", [0, 1, SEAL, 3_000_000])
def test_a_sealed_file_tells_every_flipped_byte_of_its_content(tmp_path: Path, size: int) -> None:
    path, content = tmp_path / "file", bytes(range(256)) * (size // 256) + bytes(size % 256)
    with sealed_file(path) as handle:
        handle.write(content[: size // 2])
        handle.write(content[size // 2 :])
    check_seal(path)
    whole = path.read_bytes()
    assert whole[:-SEAL] == content
    for place in {0, size // 3, size - 1} if size else set():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            check_seal(path)
    path.write_bytes(content)  # an earlier version's
    check_seal(path)


def test_what_was_there_before_is_kept_and_stays_when_writing_fails(tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        with sealed_file(tmp_path / "file", keep=tmp_path / "before") as handle:
            handle.write(text)
    assert (tmp_path / "before").read_bytes().startswith(b"one")

    def fail() -> None:
        with sealed_file(tmp_path / "file", keep=tmp_path / "before") as handle:
            handle.write(b"three")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.read_bytes()[:3] for path in sorted(tmp_path.iterdir())] == [b"one", b"two"]


def test_a_document_tells_every_changed_value_and_speaks_for_files(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"rows")
    document = {"a": [1, 2.5, None], "b": {10: "x", 2: float("nan")}, "ä": "ö"}
    stored = json.loads(json.dumps(sealed(document, {"rows": file_sha256(tmp_path / "rows")}), indent=3))
    digests = check_sealed(stored)
    check_file(tmp_path / "rows", digests)
    check_file(tmp_path / "rows", {})
    for changed in ({**stored, "a": [1, 2.5]}, {**stored, "c": 1}, {n: v for n, v in stored.items() if n != "a"}):
        with pytest.raises(Damaged):
            check_sealed(changed)
    (tmp_path / "rows").write_bytes(b"r0ws")
    with pytest.raises(Damaged):
        check_file(tmp_path / "rows", digests)
    assert check_sealed({"a": 1}) == {}


def test_a_digest_of_parts_is_that_of_names_and_contents() -> None:
    one = digest_of([("a", memoryview(b"xy")), ("b", memoryview(b"z"))])
    assert one == digest_of([("b", memoryview(b"z")), ("a", memoryview(b"xy"))])
    assert one != digest_of([("a", memoryview(b"x")), ("b", memoryview(b"yz"))])
    assert one != digest_of([("b", memoryview(b"xy")), ("a", memoryview(b"z"))])
