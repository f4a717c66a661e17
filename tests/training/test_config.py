"""Configs: every mistake at once with its dotted path, one level of extends, overrides, a stable digest."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from every import for_every

from manifests.errors import InputError
from training.config import load_config
from training.settings.files import PACKAGED

PACKAGED_CONFIGS = sorted(path.name for path in PACKAGED.glob("*.yaml"))


@for_every(PACKAGED_CONFIGS)
def test_every_packaged_config_loads_and_survives_a_round_trip(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    assert config.name == Path(name).stem
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "again.yaml") == config


def test_three_mistakes_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("method: {name: ezvsl, temprature: 0.1}\noptim: {epochs: -3}\ndata: {image_sise: 224}\n")
    with pytest.raises(InputError) as error:
        load_config(path)
    message = str(error.value)
    assert "3 mistakes" in message
    for where in ("method.temprature: unknown key", "optim.epochs", "data.image_sise: unknown key"):
        assert where in message
    assert "-3" in message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.epochs=true", r"optim\.epochs: a number is expected, not true or false \(given: True\)"),
        ("seed=yes", r"seed: a number is expected"),
        ("encoders.image.blocks=[1,true]", r"encoders\.image\.blocks: a number is expected"),
        ("encoders.image.last_stride=true", r"encoders\.image\.last_stride: a number is expected"),
        ("method.dimension=true", r"method\.dimension: a number is expected"),
        ("data.crop_scale=1000", r"data\.crop_scale: .*less than or equal to 4"),
        (
            "paper.mine.ezvsl.audio_visual.ciou50=40",
            r"paper\.mine\.ezvsl\.audio_visual\.ciou50: a fraction .* 40\)",
        ),
        ("paper.mine.ezvsl.audio_visual.ciou50=true", r"paper: a number is expected"),
        ("published=[fnacc]", r"published: there are no published numbers called 'fnacc'\. Did you mean fnac\?"),
    ],
)
def test_numbers_that_are_none_or_out_of_range_are_refused(override: str, said: str) -> None:
    with pytest.raises(InputError, match=f"1 mistake:\n  {said}"):
        load_config("ezvsl", (override,))
    assert load_config("ezvsl", ("data.flip=yes", "method.dimension=8", "paper.mine.vssl.maps.correlation_noise=-0.2"))


def test_unknown_method_lists_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("method: {name: ezvls}\n")
    with pytest.raises(InputError, match=r"method\.name: unknown method 'ezvls'.*ezvsl"):
        load_config(path)


def test_unknown_config_names_the_packaged_ones() -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml.*`training configs` lists"):
        load_config("nothing.yaml")


def test_overrides_are_yaml_and_win(tmp_path: Path) -> None:
    config = load_config("ezvsl.yaml", ("optim.learning_rate=3e-4", "seed=7", "method.positives=[own, image]"))
    assert config.optim.learning_rate == 3e-4  # PyYAML reads 3e-4 as text; the model makes it a number
    assert config.seed == 7
    assert config.method.options.positives == ("own", "image")


@pytest.mark.parametrize("override", ["optim.learning_rate", "=3", "seed.deeper=1"])
def test_malformed_overrides_are_refused(override: str) -> None:
    with pytest.raises(InputError, match="override"):
        load_config("ezvsl.yaml", ("seed=1", override))


def test_extends_goes_one_level_only(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: ezvsl.yaml\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert load_config(tmp_path / "a.yaml").seed == 1
    with pytest.raises(InputError, match="one level"):
        load_config(tmp_path / "b.yaml")


@pytest.mark.parametrize("text", ["- a\n- list\n", "method: [unclosed\n", "\xff\xfe"])
def test_what_is_no_config_is_said_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"odd\.yaml"):
        load_config(path)


def test_what_was_probably_meant_is_said() -> None:
    mistyped = ("method.temprature=1", "encoders.image.block=3", "evaluation.object_prior.alfa=3", "optim.zzz=1")
    with pytest.raises(InputError) as error:
        load_config("ezvsl.yaml", mistyped)
    for meant in ("temperature?", "blocks?", "alpha?"):
        assert f"unknown key. Did you mean {meant}" in str(error.value)
    assert "optim.zzz: unknown key. The keys here are epochs, " in str(error.value)
    with pytest.raises(InputError, match=r"Did you mean ezvsl_semantic\.yaml\?"):
        load_config("ezvsl_semantics.yaml")


MISTAKES = {
    "method:\n\tname: ezvsl\n": r"at line 2, column 1.*blanks, never with tabs",
    "": r"odd\.yaml holds nothing, expected `section: \{\.\.\.\}` lines",
    "- name: a\n": r"odd\.yaml holds a list",
    "method: ezvsl\n": r"as in `method: \{name: ezvsl\}`",
    "extends: ezvsl.yaml\noptim: 3\n": r"optim: is a section, as in `optim: \{key: value\}` \(given: 3\)",
    "extends: ezvsl\n": r"neither beside it nor a packaged config\. Did you mean ezvsl\.yaml\?",
    "extends: odd.yaml\n": r"odd\.yaml extends itself",
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items())
def test_mistakes_of_a_beginner_are_answered(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        load_config(tmp_path / "odd.yaml")


def test_a_config_of_one_s_own_is_meant_where_it_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tiny.yaml").write_text("extends: ezvsl_semantic.yaml\n")
    monkeypatch.chdir(tmp_path)
    for mistyped in ("mine/tin", "mine/tinny.yaml"):
        with pytest.raises(InputError, match=r"Did you mean mine/tiny\.yaml\?"):
            load_config(mistyped)
    (tmp_path / "second.yaml").write_text("extends: mine/tiny.yaml\n")
    with pytest.raises(InputError, match=r"extends ezvsl_semantic\.yaml itself.*extend ezvsl_semantic\.yaml"):
        load_config("second.yaml")


def test_a_method_s_defaults_are_part_of_what_is_stored() -> None:
    written = yaml.safe_load(load_config("centred_disc.yaml").to_yaml())
    config = load_config("ezvsl.yaml")
    assert written["method"]["name"] == "centred_disc"
    assert set(config.method.as_json()) == {"name", *type(config.method.options).model_fields}
    assert config.method.as_json()["matching"] == "max"


def test_batch_must_divide_into_replicas() -> None:
    with pytest.raises(InputError, match=r"batch_size 10 is not a multiple of replicas 4"):
        load_config("ezvsl.yaml", ("optim.batch_size=10", "optim.replicas=4"))


@pytest.mark.parametrize("override", ["data.audio_mean=-15.5", "data.audio_deviation=1.5"])
def test_vggish_refuses_a_scaling_its_weights_do_not_know(override: str) -> None:
    with pytest.raises(InputError, match=r"vggish needs data\.audio_mean 0 and data\.audio_deviation 12"):
        load_config("sspl.yaml", (override,))
    assert load_config("lvs.yaml", (override,))  # trunks trained from scratch take any


@pytest.mark.parametrize("side", [1, 16, 31, 4097])
def test_images_have_sides_that_trunks_can_take(side: int) -> None:
    with pytest.raises(InputError, match=r"data\.image_size"):
        load_config("ezvsl.yaml", (f"data.image_size={side}",))
    assert load_config("ezvsl.yaml", ("data.image_size=32",)).data.image_size == 32


FROZEN_KEYS = """
data: shards split train_list neighbours k lists exclude_test image_size squash crop_scale flip
data: label_groups image_policy audio_policy colour_jitter colours audio_mean audio_deviation workers shuffle
data: drop_flagged
encoders: image audio
optim: epochs batch_size replicas optimiser learning_rate weight_decay warmup_steps schedule precision
optim: decay decay_at
optim: negatives batch_norm not_finite
compute: resident features compile recompute
evaluation: truth format negatives test_set view protocols object_prior batch_size
run: init_from name method data encoders optim compute evaluation validation seed checkpoint_minutes log_every paper
run: published
"""


def test_the_keys_of_a_config_are_frozen() -> None:
    """Renaming a key breaks users' files: it must be a deliberate change, made here too."""
    written = yaml.safe_load(load_config("ezvsl.yaml").to_yaml())
    expected = defaultdict(list)
    for line in FROZEN_KEYS.strip().splitlines():
        section, keys = line.split(": ")
        expected[section] += keys.split()
    for section, keys in expected.items():
        found = list(written) if section == "run" else list(written[section])
        assert sorted(found) == sorted(keys), section


@pytest.mark.parametrize(("written", "meant"), [("010", 10), ("08", 8), ("+010", 10), ("00", 0), ("0x1F", 31)])
@pytest.mark.parametrize("tag", ["", "!!int "])
def test_a_number_with_leading_zeros_is_decimal_in_a_file_and_in_an_override(
    written: str, meant: int, tag: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: ezvsl.yaml\nseed: {tag}{written}\n")
    assert load_config(tmp_path / "mine.yaml").seed == meant
    assert load_config("ezvsl.yaml", (f"seed={tag}{written}",)).seed == meant


@pytest.mark.parametrize("override", ["optim.epochs=1:00", "method.temperature=0:0.2", "optim.epochs=!!int 1:00"])
def test_numbers_to_the_base_60_are_none(override: str) -> None:
    with pytest.raises(InputError, match=r"1 mistake:\n.*unable to parse string as an? (integer|number)"):
        load_config("ezvsl.yaml", (override,))


def test_a_name_keeps_its_zeros(tmp_path: Path) -> None:
    config = load_config("ezvsl.yaml", ("name=010", "data.shards=08", "data.split=1:00"))
    assert (config.name, config.data.shards, config.data.split) == ("010", Path("08"), "1:00")
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ("optim: {epochs: 1, learning_rate: 0,0005}", "optim.0005"),
        ("optim: {learning_rate: 0,5}", "optim.5"),
        ("method: {name: ezvsl, temperature: 0,07}", "method.07"),
        ("method: {name: ezvsl, temperature: 0,5}", "method.5"),
    ],
)
def test_a_decimal_comma_within_braces_is_named(section: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: ezvsl.yaml\n{section}\n")
    with pytest.raises(InputError, match=rf"  {where}: is no key: .* with a point"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("override", ["optim.learning_rate=0,0005", "method.temperature=0,07", "optim.epochs=1,5"])
def test_a_decimal_comma_is_named(override: str) -> None:
    with pytest.raises(InputError, match=r"1 mistake:\n.*with a point in place of the comma \(given: '\d,\d+'\)"):
        load_config("ezvsl.yaml", (override,))
