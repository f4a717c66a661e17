"""Flickr-SoundNet's XML: the made and the original scenes, our miniature, broken files."""

import pytest
from golden_values import load
from places import MINIATURES

from manifests.annotations import Annotation
from manifests.errors import InputError
from manifests.readers.flickr import read_flickr


def test_flickr_scenes(source, tmp_path):
    scene = load(source, "golden_scene.json")
    for name, text in zip(scene["names"], scene["flickr_xml"], strict=True):
        (tmp_path / f"{name}.xml").write_text(text)
    test_set = read_flickr(tmp_path, scene["names"])
    assert test_set.keys == tuple(scene["names"])
    for annotation, opinions in zip(test_set.annotations, scene["flickr_boxes_256"], strict=True):
        boxes = [box for annotator in opinions for box in annotator]
        assert [[round(256 * value) for value in box] for box in annotation.boxes] == boxes
        assert annotation.consensus == 2
    assert read_flickr(tmp_path).sha256 != read_flickr(tmp_path, scene["names"][:3]).sha256


def test_flickr_folder():
    test_set = read_flickr(MINIATURES / "flickr" / "Annotations")
    listed = (MINIATURES / "flickr" / "flickr_test_250.csv").read_text().splitlines()
    assert test_set.keys == tuple(line.partition(",")[0] for line in listed[:6])
    assert {len(annotation.boxes) for annotation in test_set.annotations} == {3, 4}  # one person drew two
    assert all(0 <= value <= 1 for annotation in test_set.annotations for box in annotation.boxes for value in box)


def test_flickr_nodes_that_are_no_box_are_ignored(tmp_path):
    (tmp_path / "123.xml").write_text(
        "<a><annotator><name>x</name><bbox><id>1</id><x>0</x><y>64</y><x>128</x><y>256</y></bbox></annotator></a>"
    )
    assert read_flickr(tmp_path).annotations == (Annotation("123", None, ((0.0, 0.25, 0.5, 1.0),), 2),)


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("ISO-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("UTF-16", "utf-16"), ("ISO-8859-1", "utf-8-sig")],
)
def test_flickr_is_read_in_the_encoding_that_it_declares(tmp_path, declared, encoding):
    text = (
        f'<?xml version="1.0" encoding="{declared}"?>'
        "<a><b><bbox><i>\u00e9</i><x>0</x><y>64</y><x>128</x><y>256</y></bbox></b></a>"
    )
    (tmp_path / "123.xml").write_text(text, encoding)
    assert read_flickr(tmp_path).annotations == (Annotation("123", None, ((0.0, 0.25, 0.5, 1.0),), 2),)
    (tmp_path / "123.xml").write_bytes(b"<a>\xe9</a>")
    with pytest.raises(InputError, match="not valid XML"):
        read_flickr(tmp_path)


def test_flickr_errors(tmp_path):
    with pytest.raises(InputError, match="holds no annotation"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a><b><bbox><i>1</i><x>0</x><x>1.5</x><x>3</x><x>4</x></bbox></b></a>")
    with pytest.raises(InputError, match="four integers"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a><b><bbox><i>1</i><x>0</x></bbox></b></a>")
    with pytest.raises(InputError, match="four integers"):
        read_flickr(tmp_path)
    (tmp_path / "1.xml").write_text("<a>")
    with pytest.raises(InputError, match="not valid XML"):
        read_flickr(tmp_path)
    with pytest.raises(InputError, match=r"lacks the annotation of 2 of 3 listed images: 2, 3"):
        read_flickr(tmp_path, ["1", "2", "3"])
