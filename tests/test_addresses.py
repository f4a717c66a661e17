"""What has to lie on this machine is no address, whichever option or key names it; no password in one is repeated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from attacked_desk import run
from every import for_every
from pydantic import BaseModel

from index.cli import app as index_app
from manifests.errors import InputError
from pipeline.cli import app as pipeline_app
from pipeline.storage.cache import FOLDER, cache_of_environment
from pipeline.storage.remote import RemotePath, listed, place
from pipeline.subcommand import NO_PLACES, typed_name
from training.cli import app as training_app
from training.config import RunConfig, load_config
from training.methods import method_module, method_names

APPS = {"pipeline": pipeline_app, "index": index_app, "training": training_app}
ADDRESSES = (
    "s3://USER:hunter2@bucket/here",
    "https://USER:hunter2@host/here?token=hunter2",
    "S3://USER:hunter2@b/here",
)
PLAIN = "s3://bucket/here"
TAKEN = {"shards", "path", "src", "out"}  # by some commands, where they are readers of a storage


def inside(hint: Any) -> Iterator[Any]:
    """The types that make up a type."""
    yield hint
    for each in get_args(hint):
        yield from inside(each)


def named() -> Iterator[tuple[str, str, list[str]]]:
    """Every command, each of its parameters of text, and a line that gives it, where ADDRESS stands, and what is
    needed beside it."""
    for app_name, app in APPS.items():
        commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        for each in app.registered_commands:
            name = each.name or each.callback.__name__
            hints, parameters = get_type_hints(each.callback), commands[name].params
            for own in parameters:
                if own.name in hints and {Path, str} & {*inside(hints[own.name])} and own.name not in NO_PLACES:
                    yield f"{app_name} {name}", own.name, list(line(own, parameters))


def line(own: Any, parameters: list[Any]) -> Iterator[str]:
    for each in parameters:
        if each is own or each.required:
            if each.param_type_name == "option":
                yield typed_name(each)
            yield "ADDRESS" if each is own else "x"


COMMANDS = list(named())


@for_every(COMMANDS, lambda case: f"{case[0]} {case[1]}")
def test_no_option_makes_a_folder_of_an_address_or_repeats_its_password(
    case: tuple[str, str, list[str]], tmp_path: Path
) -> None:
    command, parameter, words = case
    for address in (*ADDRESSES, *(() if parameter in TAKEN else (PLAIN,))):
        said = run(*command.split(), *(address if word == "ADDRESS" else word for word in words), at=tmp_path)
        assert said.code == 2, (address, said)
        assert "address" in said.err, said
        assert "hunter2" not in said.err + said.out
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["training report", "training run", "pipeline synth", "index embed"])
def test_an_output_in_a_storage_is_refused_where_none_can_be(command: str, tmp_path: Path) -> None:
    option = "--runs" if command.endswith("run") else "--out"
    needed = ["x"] if command.startswith("training") else []
    said = run(*command.split(), *needed, option, "s3://bucket/runs", at=tmp_path)
    assert (said.code, list(tmp_path.iterdir())) == (2, [])
    assert f"{option} is s3://bucket/runs, an address" in said.err


def test_what_is_no_option_is_named_without_its_value(tmp_path: Path) -> None:
    said = run("training", "run", "ezvsl", "--data.lists=s3://USER:hunter2@bucket/x", at=tmp_path)
    assert said.code == 2
    assert "hunter2" not in said.err


def keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key of a config that holds no section of its own."""
    for name, field in model.model_fields.items():
        sections = [kind for kind in inside(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        yield from keys(sections[0], (*above, name)) if sections else [".".join((*above, name))]


METHOD_KEYS = {f"method.{key}" for method in method_names() for key in keys(method_module(method).Config)}
KEYS = sorted({*keys(RunConfig), *METHOD_KEYS, "data.none", "none", "data.lists.none"} - {"method"})


@for_every(KEYS)
def test_no_key_takes_an_address_or_repeats_its_password(key: str) -> None:
    with pytest.raises(InputError, match=r"address|is a value|is no YAML") as refused:
        load_config("ezvsl", (f"{key}=[{ADDRESSES[0]}]",))
    assert "hunter2" not in str(refused.value)


@for_every(["data.lists", "data.shards", "evaluation.truth", "encoders.image.weights", "data.lists.none", "method"])
def test_no_form_of_an_address_repeats_its_password(key: str) -> None:
    for address in ADDRESSES:
        for value in (address, f'["{address}"]', f"[{address}"):
            with pytest.raises(InputError) as refused:
                load_config("ezvsl", (f"{key}={value}",))
            assert "hunter2" not in str(refused.value)
    if key not in ("data.shards", "data.lists.none"):
        with pytest.raises(InputError, match=f"{key} is {PLAIN}, an address"):
            load_config("ezvsl", (f"{key}={PLAIN}",))


def test_a_setting_and_a_parent_that_are_addresses(tmp_path: Path) -> None:
    for address in ADDRESSES:
        (path := tmp_path / "own.yaml").write_text(f"extends: {address}\nmethod: {{name: ezvsl}}\n")
        for source, overrides in ((path, ()), ("ezvsl", (address,))):
            with pytest.raises(InputError, match="address") as refused:
                load_config(source, overrides)
            assert "hunter2" not in str(refused.value)


def test_shards_may_lie_in_a_storage() -> None:
    assert load_config("ezvsl", ("data.shards=[s3://bucket/a,s3://bucket/b]",)).data.shards


def test_the_cache_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, ADDRESSES[0])
    with pytest.raises(InputError, match=f"{FOLDER} is s3://...@bucket/here, an address"):
        cache_of_environment()


def test_a_folder_s_address_has_no_question_mark_and_a_file_s_name_may() -> None:
    with pytest.raises(InputError, match="question mark") as refused:
        place("s3://bucket/shards?token=hunter2")
    assert "hunter2" not in str(refused.value)
    found = RemotePath("s3", "bucket/videos") / "what?.mp4"
    assert listed(str(found)) == found == place(found)
    assert place("S3://bucket/a") == place("s3://bucket/a")
