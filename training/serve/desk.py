"""The process that holds the models and works on one job at a time, apart from the server.

Files of strangers are decoded here: one that crashes a decoder, or keeps it busy for ever, ends this process and not
the page. The server talks to it through a pipe (`worker`).
"""

import signal
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from manifests.commands.freed_memory import keep_freed_memory
from manifests.errors import InputError, WorkFailed
from training.serve.jobs import ImageJob, VideoJob
from training.serve.limits import Limits, refusing

READY, WORKING, DONE, REFUSED, FAILED = "ready", "working", "done", "refused", "failed"
Message = tuple[str, Any]


def attend(pipe: Connection, sources: Sequence[str], device: str, limits: Limits, methods: Sequence[str] = ()) -> None:
    """Load the models, for which `methods` of the user's are imported, say so, and answer jobs until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server as well, which ends this process
    keep_freed_memory()
    from training.localizer.model import Localizer
    from training.outside_methods import import_named

    try:
        import_named(methods)
        models = [Localizer.load(source, device) for source in sources]
    except (InputError, WorkFailed) as error:
        pipe.send((REFUSED, str(error)))
        return
    pipe.send((READY, [_told(source, model) for source, model in zip(sources, models, strict=True)]))
    try:
        while True:
            pipe.send(_outcome(models, pipe.recv(), limits, pipe))
    except (EOFError, BrokenPipeError):
        return  # the server is gone


def _told(source: str, model: Any) -> dict[str, Any]:
    """What the page calls a model, shortly and at length, and where its clips are."""
    from training.model_names import is_exported, is_hub_name

    short = source if is_hub_name(source) else model.model.config.name
    long = Path(source).absolute().name if is_exported(model.model.folder) else model.name  # visitors see no paths
    return {"short": short, "long": long, "shards": _shards(model)}


def _shards(model: Any) -> list[str]:
    """Where the shards lie that a model was trained on; none of a model that came without its run."""
    shards = model.model.config.data.shards
    return [str(shards)] if isinstance(shards, str | Path) else [str(folder) for folder in shards]


def _outcome(models: Sequence[Any], job: VideoJob | ImageJob, limits: Limits, pipe: Connection) -> Message:
    try:
        return DONE, _answer(models, job, limits, pipe)
    except (InputError, WorkFailed) as error:
        return REFUSED, str(error)
    except Exception:
        if not job.out.is_dir():
            return REFUSED, "The visit has ended."  # and its files are gone
        return FAILED, traceback.format_exc()


def _answer(models: Sequence[Any], job: VideoJob | ImageJob, limits: Limits, pipe: Connection) -> dict[str, Any]:
    from training.serve.answers import image_answer, video_answer

    if isinstance(job, VideoJob):
        limits.check_video(job.video)
        with refusing(job.video, "video"):
            return video_answer(models, job, lambda said, share: pipe.send((WORKING, (said, share))))
    limits.check_image(job.image)
    for audio in job.audios:
        limits.check_audio(audio, models[job.model].front_end)
    with refusing(job.image, "image"):
        return image_answer(models, job)
