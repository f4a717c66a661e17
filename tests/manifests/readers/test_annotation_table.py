"""The project's own table of annotations."""

import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.annotation_table import read_table, write_table


def test_table_keeps_everything(tmp_path):
    boxes = ((0.1, 0.2, -2.88e16, 0.9), (0.0, 0.0, 1.0, 1.0))
    test_set = TestSet("mine", (Annotation("a", "dog", boxes), Annotation("b", None, (), 2)), "", "")
    write_table(test_set, tmp_path / "mine.parquet")
    read = read_table(tmp_path / "mine.parquet")
    assert read.annotations == test_set.annotations
    assert read.name == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]


def test_table_errors(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="not a parquet file"):
        read_table(tmp_path / "text.parquet")
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "less.parquet")
    with pytest.raises(InputError, match="lacks the columns boxes, label"):
        read_table(tmp_path / "less.parquet")
    pq.write_table(pa.table({"key": ["a"], "label": ["x"], "boxes": [[[0.1, 0.2]]]}), tmp_path / "box.parquet")
    with pytest.raises(InputError, match="four finite numbers"):
        read_table(tmp_path / "box.parquet")


@pytest.mark.parametrize("consensus", [0, -1, 2.0])
def test_a_consensus_is_a_number_of_boxes(tmp_path, consensus):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"key": ["a", "b"], "label": ["x", "y"], "boxes": [[[0.0, 0.0, 1.0, 1.0]], None]}
    pq.write_table(pa.table({**columns, "consensus": [None, consensus]}), tmp_path / "mine.parquet")
    with pytest.raises(InputError, match=rf"row 1, has the boxes .* and the consensus {consensus}\. Correct it"):
        read_table(tmp_path / "mine.parquet")
    pq.write_table(pa.table({**columns, "consensus": [None, 2]}), tmp_path / "mine.parquet")
    assert [(each.consensus, len(each.boxes)) for each in read_table(tmp_path / "mine.parquet").annotations] == [
        (1, 1),
        (2, 0),
    ]


@pytest.mark.parametrize(("consensus", "counts"), [([9, 9], [1, 2]), ([1, 3], [2, 2]), ([2, 1], [1, 1])])
def test_a_consensus_that_no_clip_has_boxes_for_is_refused(tmp_path, consensus, counts):
    _write(tmp_path / "mine.parquet", consensus, counts)
    with pytest.raises(InputError, match=rf"the consensus {max(consensus)} and .* no clip of the file more than"):
        read_table(tmp_path / "mine.parquet")


@pytest.mark.parametrize(("consensus", "counts"), [([2, 2], [1, 2]), ([1, 9], [1, 0]), ([3, 2], [3, 1])])
def test_a_clip_may_have_fewer_boxes_than_its_annotators_drew_elsewhere(tmp_path, consensus, counts):
    _write(tmp_path / "mine.parquet", consensus, counts)
    assert [each.consensus for each in read_table(tmp_path / "mine.parquet").annotations] == consensus


def _write(path, consensus, counts):
    boxes = [((0.1, 0.2, 0.5, 0.9),) * count for count in counts]
    clips = zip("ab", boxes, consensus, strict=True)
    write_table(TestSet("mine", tuple(Annotation(key, None, each, most) for key, each, most in clips), "", ""), path)
