"""What is said before a page is opened: addresses, ports, passwords, models, and gradio that is absent."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from manifests.errors import InputError
from training.serve.loopback import is_loopback
from training.serve.server import PASSWORD, Request, listening, password_of
from training.serve.visits import short_names


def test_addresses_that_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.7", "gpu-server", "")))


def test_a_port_that_is_taken_and_an_address_of_another_machine() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="Give another --port"):
            listening("127.0.0.1", taken.getsockname()[1])
    for host in ("192.0.2.1", "2001:db8::1", "no such host"):
        with pytest.raises(InputError, match=f"--host {host} is no address of this machine"):
            listening(host, 0)
    with listening("127.0.0.1", 0) as free:
        assert free.getsockname()[1] > 0


def test_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "sesame")
    assert password_of(Request([], password=True)) == "sesame"
    assert password_of(Request([])) is None
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(InputError, match=PASSWORD):
        password_of(Request([], password=True))


def test_models_are_called_by_what_tells_them_apart() -> None:
    models = [{"short": "demo", "long": "demo/1-s0"}, {"short": "demo", "long": "demo/2-s1"}]
    assert short_names(models) == ["demo/1-s0", "demo/2-s1"]
    assert short_names([models[0], {"short": "ezvsl", "long": "model"}]) == ["demo", "ezvsl"]
    assert short_names([models[0], {"short": "demo", "long": "model"}]) == ["demo/1-s0", "model"]
    assert short_names([models[0], models[0]]) == ["demo/1-s0, number 1", "demo/1-s0, number 2"]


@pytest.mark.parametrize(
    ("missing", "run", "sentence"),
    [
        ("gradio", "runs/tiny/ab-s0", "pip install 'sound-source-localization[demo]'"),
        ("gradio", "runs/none/at/all", "no finished run at runs/none/at/all"),  # before gradio is loaded
        ("gradio", "runs/tiny/ab-s1", "run runs/tiny/ab-s1 is not finished (no DONE file); continue it with"),
        ("gradio", "runs/tiny/ab-s2", "run runs/tiny/ab-s2 has no weights.safetensors. Copy the run again"),
    ],
)
def test_what_is_absent_is_said_in_one_paragraph(tmp_path: Path, missing: str, run: str, sentence: str) -> None:
    for seed, names in enumerate((("DONE", "weights.safetensors", "data.json"), (), ("DONE",))):
        (folder := tmp_path / f"runs/tiny/ab-s{seed}").mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        (folder / "config.yaml").write_text("name: tiny\n")
    program = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f"sys.argv = ['training', 'serve', {run!r}, '--port', '0'];"
        "from training.cli import main\nif __name__ == '__main__': main()"
    )
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "tmp").mkdir()
    environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        [sys.executable, tmp_path / "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "tmp").glob("*-serve-*"))
