"""What is said of packaged configs: what each repeats, and what it needs."""

import subprocess
import sys

import pytest
import yaml

from training.config_pages import config_headline, config_names, config_page
from training.methods import method_names
from training.published import find_entry
from training.settings.files import PACKAGED

NAMES = sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def test_every_packaged_config_says_in_a_sentence_what_it_repeats() -> None:
    assert config_names() == NAMES
    for name in NAMES:
        headline = config_headline(name)
        assert 10 < len(headline) <= 160, (name, headline)
        assert not headline.endswith("."), name
    mean = "Row of EZ-VSL's ablation table: a pair's response is the mean of its map"
    assert config_headline("ezvsl_vggss_full_mean") == mean


@pytest.mark.slow
def test_every_method_has_its_configs() -> None:
    by_method = {method: config_names(method) for method in method_names()}
    assert sorted(name for names in by_method.values() for name in names) == NAMES
    assert "ezvsl_semantic" in by_method["ezvsl"]  # which names its method in the file that it extends


def test_the_list_asks_no_method() -> None:
    code = (
        "import sys; from training.config_pages import *; config_headline(config_names()[0]); print(sys.modules.keys())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'torch'" not in said


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("demo_semantic", ["shards in demo/shards", "neighbours of every clip in demo/knn", "demo/pretrained"]),
        ("proposal_frames", ["pipeline ingest --burst 3 --burst-rate 1`", "pipeline ingest --proposals"]),
        ("avobject", ["pipeline ingest --burst 9 --burst-rate 25`"]),
        ("proposal_music", ["pipeline ingest --proposals", "ImageNet weights of the image trunk"]),
        ("coarse_to_fine_stage2", ["the finished run runs/coarse_to_fine", "labels of the training clips"]),
        ("lvs", ["vggss_144k.txt under lists: https://", "avsbench_s4 under avsbench"]),
    ],
)
def test_a_page_says_what_a_config_needs(name: str, needed: list[str]) -> None:
    page = config_page(name)
    for text in (*needed, f"training run {name}"):
        assert text in page, text


def test_what_was_printed_is_shown_as_it_stands_in_the_config() -> None:
    paper = yaml.safe_load((PACKAGED / "hardpos.yaml").read_text())["paper"]
    printed = paper["vggss"]["kaist_lvs"]["audio_visual"]["ciou50"]
    assert f"ciou50 {printed:.4g}" in config_page("hardpos")


def test_what_a_config_names_is_shown_with_its_source() -> None:
    page, entry = config_page("alignment_k10"), find_entry("alignment_k10")
    assert f"ciou50 {entry.numbers['vggss']['kaist_lvs']['audio_visual']['ciou50']:.4g}" in page
    assert entry.note in page
