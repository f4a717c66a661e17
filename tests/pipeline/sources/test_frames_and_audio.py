"""Images and sounds without a video: every released layout recognised, and nothing lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from released_layouts import MASKS, MS3, S4, VGGSOUND, numbered
from stills import tree

from manifests.keys import base_name
from pipeline.sources.frames_and_audio import (
    nearest,
    pair_up,
    representative,
)
from pipeline.sources.listing import list_sources

LAYOUTS = {
    "LVS, EZ-VSL, SLAVC, FNAC": ([f"frames/{VGGSOUND}.jpg", f"audio/{VGGSOUND}.wav"], {VGGSOUND: 0}, None),
    "SSL-TIE, training": (
        [*numbered(f"total_video_frames/{VGGSOUND}", "{:03d}.jpg", 251), f"total_video_3s_audio/{VGGSOUND}.wav"],
        {VGGSOUND: 124},
        None,
    ),
    "SSL-TIE, test": ([f"frame/{VGGSOUND}.jpg", f"audio/{VGGSOUND}.wav", f"anno/{VGGSOUND}.xml"], {VGGSOUND: 0}, None),
    "SSLalignment": (
        ["VGGSound_img/AbCdEfGh_-1_30000_40000/image_050.jpg", "VGGSound_aud/AbCdEfGh_-1_30000_40000.wav"],
        {VGGSOUND: 0},
        None,
    ),
    "SoundNet, raw": (
        [*numbered("frames/videos/4/5/6/1234567456.mp4", "{:08d}.jpg", 4), "mp3/videos/4/5/6/1234567456.mp4.mp3"],
        {"1234567456": 1},
        None,
    ),
    "SoundNet, annotated": (["Data/3/1234567456.jpg", "Data/3/1234567456.wav"], {"1234567456": 0}, None),
    "AVSBench S4": ([*S4, *MASKS], {f"dog/x_1/x_1_{number}": number - 1 for number in range(1, 6)}, ("test", "dog")),
    "AVSBench MS3": (MS3, {f"y/y_{number}": number - 1 for number in range(1, 6)}, ("val", None)),
    "IS3": (
        ["images/cat_dog_17_cat.jpg", "audio_wav/cat_dog_17_cat.wav", "gt_segmentation/cat_dog_17_cat.jpg"],
        {"cat_dog_17_cat": 0},
        None,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised(tmp_path: Path, layout: str) -> None:
    names, expected, place = LAYOUTS[layout]
    tree(tmp_path, *names)
    listing = list_sources([tmp_path])
    assert {clip.key: clip.path for clip in listing.clips} == {key: names[at] for key, at in expected.items()}
    assert not listing.refusals
    assert {clip.audio for clip in listing.clips} == {name for name in names if name.endswith((".wav", ".mp3"))}
    assert {(clip.split, clip.label) for clip in listing.clips} == {place or (None, None)}
    assert all(clip.start_known == (clip.key == VGGSOUND) for clip in listing.clips)
    assert sum(listing.others.values()) == len(names) - len(expected) - 1


def test_flat_numbered_images_of_avsbench(tmp_path: Path) -> None:
    tree(tmp_path, *numbered("s4/visual_frames", "v_{}.png", 5), "s4/audio_wav/v.wav")
    clips = list_sources([tmp_path]).clips
    assert [(clip.key, clip.moment) for clip in clips] == [(f"v/v_{n}", n - 1 + 15 / 16) for n in range(1, 6)]


def test_videos_that_are_named_and_cut_elsewhere_keep_their_names(tmp_path: Path) -> None:
    tree(tmp_path, "solo/flute/jW_AuF6dQYY_0_1000.flac")
    for name in ("solo/flute/jW_AuF6dQYY_0_1000.mp4", "AVE/RUhOCu3LNXM.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = list_sources([tmp_path])
    assert sorted(clip.key for clip in listing.clips) == ["RUhOCu3LNXM", "jW_AuF6dQYY_0_1000"]
    assert all(clip.audio is None for clip in listing.clips)
    assert not listing.refusals


def test_images_of_avsbench_stay_beside_their_raw_videos(tmp_path: Path) -> None:
    """Boxes and masks name the images, so a video of the same name does not stand in for them."""
    tree(tmp_path, *S4, *MASKS, "s4_data/raw_videos/test/dog/x_1.mp4", "s4_data/raw_videos/test/dog/z.mp4")
    tree(tmp_path, "s4_data/audio_wav/test/dog/z.wav", "s4_data/audio_wav/test/dog/z.jpg", "frames/z/001.jpg")
    listing = list_sources([tmp_path])
    assert sorted(clip.key for clip in listing.clips) == sorted(
        ["x_1", "z", *(f"dog/x_1/x_1_{number}" for number in range(1, 6))]
    )
    assert listing.others == {".png": 5, ".jpg": 2, ".wav": 1}
    assert not listing.refusals


def videos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_a_video_of_another_folder_takes_no_pair_away(tmp_path: Path) -> None:
    tree(tmp_path, "other/001.jpg", "other/001.wav", "mine/002.jpg", "other/002.wav", "dump/frames/003/1.jpg")
    tree(tmp_path, "dump/audio/003.wav")
    listing = list_sources([videos(tmp_path, "mine/001.mp4", "mine/002.mp4", "mine/003.mp4")])
    assert sorted(clip.display for clip in listing.clips) == [
        "dump/frames/003/1.jpg + dump/audio/003.wav",
        "mine/001.mp4",
        "mine/002.mp4",
        "mine/003.mp4",
        "other/001.jpg + other/001.wav",
    ]
    assert [(item.path, item.reason) for item in listing.refusals] == [("other/002.wav", "no_video")]


@pytest.mark.parametrize(
    ("video", "extracted"),
    [
        ("dog/001.mp4", ["dog/001.jpg", "dog/001.wav"]),
        ("dog/001.flv", ["dog/001.jpg", "dog/001.wav"]),
        ("videos/dog/001.mp4", ["frames/dog/001.jpg", "audio/dog/001.wav"]),
        ("mine/raw_videos/001.mp4", ["mine/frames/001/1.jpg", "mine/frames/001/2.jpg", "mine/audio_wav/001.wav"]),
        ("videos/4/5/6/1234.mp4", ["frames/videos/4/5/6/1234.mp4/00000003.jpg", "mp3/videos/4/5/6/1234.mp4.mp3"]),
        (f"a/{VGGSOUND}.mp4", ["b/AbCdEfGh_-1_30000_40000/image_050.jpg", f"c/{VGGSOUND}.wav"]),
    ],
)
def test_a_video_counts_before_its_own_images_and_audio(tmp_path: Path, video: str, extracted: list[str]) -> None:
    tree(tmp_path, "frames/dog/own.jpg", "audio/dog/own.wav", *extracted)  # folders of pairs, where the lost are named
    listing = list_sources([videos(tmp_path, video)])
    assert sorted(clip.path for clip in listing.clips) == sorted([video, "frames/dog/own.jpg"])
    assert not listing.refusals
    assert listing.others.total() == len(extracted)


def test_mixed_layouts_in_one_folder(tmp_path: Path) -> None:
    for corpus, (names, _, _) in LAYOUTS.items():
        if "SoundNet" not in corpus:
            tree(tmp_path / corpus.split()[0].strip(","), *names)
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / f"{VGGSOUND}.mp4").write_bytes(b"x")  # the best source of that clip, four others are there
    clips = list_sources([tmp_path]).clips
    assert [clip.path for clip in clips if clip.start_known] == [f"video/{VGGSOUND}.mp4"]
    assert len(clips) == 1 + 5 + 5 + 1


def test_what_has_no_partner_is_named_where_others_have_one(tmp_path: Path) -> None:
    tree(tmp_path, "frames/a.jpg", "audio/a.wav", "frames/lonely.jpg", "audio/alone.wav", "posters/p.jpg")
    tree(tmp_path / "dump", "f/b/001.jpg", "f/b/002.jpg", "w/b.wav", "f/gone/001.jpg", "f/gone/002.jpg")
    listing = list_sources([tmp_path])
    assert sorted(clip.key for clip in listing.clips) == ["a", "b"]
    assert {item.path: item.reason for item in listing.refusals} == {
        "frames/lonely.jpg": "no_audio",
        "dump/f/gone": "no_audio",
        "audio/alone.wav": "no_video",
    }


@pytest.mark.parametrize(
    ("paired", "lost", "left"),
    [
        (
            ["frames/dog/1.jpg", "audio/dog/1.wav"],
            {"audio/cat/2.wav": "no_video", "audio/cat/old/3.wav": "no_video", "frames/cow/7.jpg": "no_audio"},
            ["README.png", "thumbs/dog/1x.jpg", "music.wav", "docs/figures/a.png"],
        ),
        (
            ["frames/videos/4/5/6/1456.mp4/00000003.jpg", "mp3/videos/4/5/6/1456.mp4.mp3"],
            {"mp3/videos/4/5/7/2457.mp4.mp3": "no_video", "frames/videos/1/2/3/3123.mp4": "no_audio"},
            ["README.png"],
        ),
        (
            ["corpus/frames/dog/1.jpg", "corpus/audio/dog/1.wav"],
            {"corpus/audio/cat/2.wav": "no_video"},
            ["corpus/thumbs/x.jpg", "corpus/README.png", "other/audio/9.wav"],
        ),
        (["Data/3/1.jpg", "Data/3/1.wav"], {"Data/4/2.wav": "no_video", "Data/5/6.jpg": "no_audio"}, ["thumbs/1x.jpg"]),
        (["1456/001.jpg", "1456.wav"], {"gone": "no_audio", "2.wav": "no_video"}, ["README.png", "docs/figures/a.png"]),
        (["1.jpg", "1.wav"], {"2.jpg": "no_audio", "3.wav": "no_video"}, ["thumbs/1x.jpg", "thumbs/4.wav"]),
    ],
)
def test_what_has_no_partner_is_named_in_folders_without_any_pair(
    tmp_path: Path, paired: list[str], lost: dict[str, str], left: list[str]
) -> None:
    single = [path if path.endswith((".jpg", ".wav", ".mp3")) else f"{path}/1.jpg" for path in lost]
    listing = list_sources([tree(tmp_path, *paired, *single, *left)])
    assert [(clip.path, clip.audio) for clip in listing.clips] == [tuple(paired)]
    assert {item.path: item.reason for item in listing.refusals} == lost
    assert listing.others.total() == len(left)


def test_sounds_of_one_name_go_to_the_image_they_lie_near() -> None:
    audio = ["audio/x.wav", "extend_audio/x.wav", "deep/train/dog/x.wav"]
    assert nearest("frames", audio) == "audio/x.wav"
    assert nearest("extend_frames", audio) == "extend_audio/x.wav"
    assert nearest("pictures/train/dog", audio) == "deep/train/dog/x.wav"


@pytest.mark.parametrize(
    ("files", "paired", "lost"),
    [
        (["dog/1.jpg", "dog/1.wav", "cat/1.jpg"], {"dog/1.jpg": "dog/1.wav"}, {"cat/1.jpg"}),
        (
            ["frames/dog/1.jpg", "frames/cat/1.jpg", "audio/dog/1.wav"],
            {"frames/dog/1.jpg": "audio/dog/1.wav"},
            {"frames/cat/1.jpg"},
        ),
        (["dog/1/001.jpg", "dog/1.wav", "cat/1/001.jpg"], {"dog/1/001.jpg": "dog/1.wav"}, {"cat/1"}),
        (["y.jpg", "y.wav", "x/1.jpg", "a/1.wav", "b/1.wav"], {"y.jpg": "y.wav"}, {"x/1.jpg"}),
        (["f/1.jpg", "w/1.wav"], {"f/1.jpg": "w/1.wav"}, set()),
        (["frames/train/dog/1.jpg", "audio/dog/1.wav"], {"frames/train/dog/1.jpg": "audio/dog/1.wav"}, set()),
        (["images/1.jpg", "mp3/1.mp3", "wav/1.wav"], {"images/1.jpg": "mp3/1.mp3"}, set()),
        (
            [f"dog/{VGGSOUND}.jpg", f"dog/{VGGSOUND}.wav", f"cat/{VGGSOUND}.jpg"],
            {f"dog/{VGGSOUND}.jpg": f"dog/{VGGSOUND}.wav", f"cat/{VGGSOUND}.jpg": f"dog/{VGGSOUND}.wav"},
            set(),
        ),
    ],
)
def test_no_image_takes_the_sound_of_another_folder(files: list[str], paired: dict[str, str], lost: set[str]) -> None:
    images: dict[str, list[str]] = {}
    for path in files:
        if path.endswith(".jpg"):
            folder, _, name = path.rpartition("/")
            images.setdefault(folder or ".", []).append(name)
    found = pair_up([path for path in files if not path.endswith(".jpg")], images, ())
    assert {pair.image.removeprefix("./"): pair.audio for pair in found.pairs} == paired
    assert set(found.lonely_images) == lost


def test_which_image_stands_for_a_folder() -> None:
    assert representative([f"{n:03d}.jpg" for n in range(1, 300)]) == "125.jpg"
    assert representative([f"image_{n:03d}.jpg" for n in range(1, 121)]) == "image_050.jpg"
    assert representative(["f10.jpg", "f9.jpg", "f8.jpg"]) == "f9.jpg"
    assert representative(["a.jpg", "b.jpg"]) == "a.jpg"


@given(
    st.lists(st.from_regex(r"[a-c]{1,2}/[a-c]{1,2}(_[1-9])?\.wav", fullmatch=True), unique=True, max_size=6),
    st.dictionaries(
        st.from_regex(r"[a-c]{1,2}(/[a-c]{1,2})?", fullmatch=True),
        st.lists(st.from_regex(r"[a-c]{1,2}(_[1-9])?\.jpg", fullmatch=True), unique=True, min_size=1, max_size=4),
        max_size=5,
    ),
)
def test_every_file_is_accounted_for(audio: list[str], images: dict[str, list[str]]) -> None:
    found = pair_up(audio, images, ())
    heard = {pair.audio for pair in found.pairs}
    seen = {pair.image for pair in found.pairs}
    assert heard <= set(audio)
    assert seen <= {f"{folder}/{name}" for folder, names in images.items() for name in names}
    assert len(seen) == len(found.pairs)
    assert not heard & set(found.lonely_audio)
    assert all(base_name(pair.image).startswith(base_name(pair.audio)) for pair in found.pairs if pair.number)
    lonely = sum(len(images.get(path, ("",))) for path in found.lonely_images)
    total = len(audio) + sum(map(len, images.values()))
    assert len(heard) + len(seen) + len(found.lonely_audio) + lonely + found.unused.total() == total
