"""`training serve`: the page in a browser, from this machine or through a tunnel, until it is stopped."""

import errno
import hmac
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.commands.endings import ENDING_SIGNALS
from manifests.commands.extras import how_to_install
from manifests.errors import InputError
from pipeline.console import summary
from training.model_names import check_openable
from training.serve.limits import Limits
from training.serve.loopback import is_loopback
from training.serve.workplace import KEPT, Workplace, workplace

if TYPE_CHECKING:
    from training.serve.worker import Pool

PASSWORD = "TRAINING_SERVE_PASSWORD"
ASKING = "Any name, and the password of this page. After five wrong ones each answer takes longer."
WITHOUT_GRADIO = f"`training serve` needs gradio, which is not installed. {how_to_install('demo')}"
LONGEST = 60.0  # seconds that a job may take, and so many more for each second of video that is taken
LONGEST_PER_SECOND = 20.0
FAREWELL = 1  # seconds that open connections are given at the end
NOT_HERE = "--host {host} is no address of this machine. Give 127.0.0.1, or 0.0.0.0 for all."


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; `shards` None for those that the runs were trained on."""

    runs: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 7860
    limits: Limits = field(default_factory=Limits)
    shards: Sequence[Path] | None = None
    examples: int = 6
    jobs: int = 1
    password: bool = False
    device: str = "auto"
    methods: Sequence[str] = ()


def serve(request: Request) -> None:
    """Serve until Ctrl-C or SIGTERM; then everything that visitors left is gone.

    InputError for runs that cannot be opened, a port that is taken, a password that is not set, and without gradio.
    """
    password = password_of(request)
    for run in request.runs:
        check_openable(run)
    with listening(request.host, request.port) as listener, workplace() as place:
        _prepare_gradio(place)
        from training.serve.worker import Pool, Worker

        arguments = ([str(run) for run in request.runs], request.device, request.limits, request.methods)
        longest = LONGEST + LONGEST_PER_SECOND * request.limits.seconds
        pool = Pool([Worker(arguments, longest) for _ in range(request.jobs)])
        try:
            _run(request, listener, pool, place, password)
        finally:
            pool.end()


def _run(request: Request, listener: socket.socket, pool: "Pool", place: Workplace, password: str | None) -> None:
    import uvicorn

    from training.serve.gate import Gate
    from training.serve.page import build_page
    from training.serve.visits import Visits, short_names

    models = pool.start()
    examples, without = _examples(request, models, place)
    names = short_names(models)
    visits = Visits(pool, place, request.limits, names, examples)
    own_only = password is None and is_loopback(request.host)
    app: Any = Gate(_mounted(build_page(visits), request, place, password), request.limits, place, own_only)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=FAREWELL)
    server = uvicorn.Server(config)
    _stop_by_signal(server)
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)  # what is cut off then is no error
    _announce(request, listener, names, len(examples), without, password)
    server.run([listener])
    print("stopped; the files of visitors are deleted", flush=True)


def _examples(request: Request, models: Sequence[dict[str, Any]], place: Workplace) -> tuple[list[Any], str]:
    """Example clips, and why there are none."""
    from training.serve.examples import find_examples

    if not request.examples:
        return [], "none were asked for"
    shards = list(request.shards or dict.fromkeys(folder for model in models for folder in model["shards"]))
    try:
        return find_examples(shards, place.examples, request.examples, request.limits.bytes), ""
    except InputError as error:
        if request.shards:
            raise
        return [], str(error)


def _mounted(page: Any, request: Request, place: Workplace, password: str | None) -> Any:
    import fastapi
    import gradio as gr
    from gradio.themes.utils.fonts import Font

    from training.serve.page import HERE, head

    page.has_launched = True  # else gradio, mounted, does not look whether a file that is named was ever sent
    theme = gr.themes.Default(
        primary_hue="orange",
        font=[Font("system-ui"), Font("sans-serif")],
        font_mono=[Font("ui-monospace"), Font("monospace")],
    ).set(body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400")
    return gr.mount_gradio_app(
        fastapi.FastAPI(openapi_url=None), page, "/", server_name=request.host, server_port=request.port,
        app_kwargs={"openapi_url": None}, footer_links=[], run_history=False,
        auth=_checking(password) if password else None, auth_message=ASKING,
        allowed_paths=[str(place.results), str(place.examples)], show_error=False,
        max_file_size=request.limits.bytes, ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False,
        theme=theme, css_paths=[HERE / "page.css"], head=head(),
    )  # fmt: skip


def _checking(password: str) -> Any:
    def check(_name: str, given: str) -> bool:
        return hmac.compare_digest(given.encode(), password.encode())

    return check


def _prepare_gradio(place: Workplace) -> None:
    """What gradio reads when it is imported. InputError where it is not installed."""
    os.environ |= {"GRADIO_TEMP_DIR": str(place.uploads), "GRADIO_ANALYTICS_ENABLED": "False"}
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(WITHOUT_GRADIO) from error


def password_of(request: Request) -> str | None:
    if not request.password:
        return None
    if not (password := os.environ.get(PASSWORD)):
        raise InputError(f"--password takes the password from the variable {PASSWORD}, which is not set. Set it first.")
    return password


# --- network and signals ---------------------------------------------------------------------------------------------


def listening(host: str, port: int) -> socket.socket:
    """A socket at this address. InputError where there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(NOT_HERE.format(host=host)) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # the latter: no IPv6 here
            raise InputError(NOT_HERE.format(host=host)) from error
        said = f"No page can be opened at {host}, port {port}: {error.strerror}. Give another --port."
        raise InputError(said) from error
    return listener


def _announce(
    request: Request, listener: socket.socket, names: Sequence[str], examples: int, without: str, password: str | None
) -> None:
    host, port = request.host, listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    if not is_loopback(host):
        safe = "with the password" if password else f"without a password: set {PASSWORD} and give --password"
        print(
            f"warning: everybody who reaches this machine can open the page, {safe}. What is sent is not encrypted; "
            "a tunnel is safer (docs/page.md).",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    summary("serving", {
        "page": f"http://{shown}:{port}/",
        "models": ", ".join(names),
        "examples": examples or f"none: {without}",
        "takes": f"videos of up to {request.limits.seconds:g} s and {request.limits.megabytes:,} MB",
        "at once": request.jobs,
        "files": f"deleted when a page is closed, at the latest after {KEPT / 60:g} minutes",
        "stop": "Ctrl-C",
    })  # fmt: skip


def _stop_by_signal(server: Any) -> None:
    """A signal ends the server once it is there, as an order that was carried out; before that, it ends the command.

    uvicorn ends at SIGINT and SIGTERM by itself, and raises them once more when it has.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
