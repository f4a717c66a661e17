"""What visitors ask, and what they are answered: files are found, a desk is asked, its words become the page's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from training.serve.examples import Example
from training.serve.jobs import ImageJob, VideoJob
from training.serve.limits import Limits, Refused
from training.serve.stops import Stops
from training.serve.worker import Pool, Stopped, Working
from training.serve.workplace import Workplace

SOUNDS_AT_ONCE = 4  # that an image was tried with last
NOTHING = -1  # beside a model
VIDEO, IMAGE = "video", "image"  # the tabs
BUSY = "Nothing came of this, most likely because too many visitors wait. Try again in a minute."
LINKS = ("video", "peaks", "image")  # files in an answer
Answer = dict[str, Any]


@dataclass(frozen=True)
class Visits:
    """Answers whoever asks: by the pool of desks, with files of the workplace, models by these names."""

    pool: Pool
    place: Workplace
    limits: Limits
    models: Sequence[str]
    examples: Sequence[Example]
    stops: Stops = field(default_factory=Stops)

    def video(self, given: Any, model: int, other: int, request: gr.Request) -> Iterator[Answer]:
        """What player.js shows, again and again, while a video is worked on."""
        visit = str(request.session_hash)
        try:
            video = self._file(visit, given, "Drop a video first, or choose an example.")
            chosen = self._models(model) if other in (NOTHING, model) else self._models(model, other)
            yield from self._asked(VideoJob(chosen, video, self.place.new_result(visit)), visit, VIDEO)
        except Refused as refusal:
            yield refused(refusal)

    def image(
        self, image: Any, audio: Any, model: int, before: Answer | None, request: gr.Request
    ) -> Iterator[tuple[Answer, Answer]]:
        """The same of an image with a sound; and what it was tried with so far, the last first."""
        visit, tried = str(request.session_hash), before or {}
        try:
            seen = self._file(visit, image, "Give an image first.")
            heard = self._file(visit, audio, "Give a sound as well.")
            same = tried.get("image") == str(seen)
            audios = [heard, *(Path(each) for each in tried.get("audios", ()) if same and each != str(heard))]
            audios = [each for each in audios if each.is_file()][:SOUNDS_AT_ONCE]
            tried = {"image": str(seen), "audios": [str(each) for each in audios]}
            (chosen,) = self._models(model)
            job = ImageJob(chosen, seen, tuple(audios), self.place.new_result(visit))
            for answer in self._asked(job, visit, IMAGE):
                yield answer, tried
        except Refused as refusal:
            yield refused(refusal), before or {}

    def _models(self, *numbers: Any) -> tuple[int, ...]:
        if not all(isinstance(number, int) and 0 <= number < len(self.models) for number in numbers):
            raise Refused("There is no such model. Choose one of the list.")
        return numbers

    def _asked(self, job: VideoJob | ImageJob, visit: str, tab: str) -> Iterator[Answer]:
        with self.stops.at_work(visit, tab) as stop:
            yield working("Opening the file", None)
            for said in self.pool.ask(job, stop):
                yield working(said.said, said.share) if isinstance(said, Working) else self._linked(said)

    def keep(self, given: Any, request: gr.Request) -> None:
        """A visit gave a file: its own from now on, also where nothing is asked about it."""
        with suppress(Refused):
            self._file(str(request.session_hash), given, "")

    def _file(self, visit: str, given: Any, otherwise: str) -> Path:
        path = given.get("path") if isinstance(given, dict) else getattr(given, "path", None)
        if not isinstance(path, str):
            raise Refused(otherwise)
        try:
            return self.place.use(visit, path)
        except ValueError as error:
            raise Refused("This file is no longer here. Drop it again.") from error

    def _linked(self, answer: Any) -> Any:
        """An answer with addresses in place of paths, and models by the names that the page uses."""
        if isinstance(answer, list):
            return [self._linked(each) for each in answer]
        if not isinstance(answer, dict):
            return answer
        linked = {key: self._linked(value) for key, value in answer.items()}
        linked |= {key: link(answer[key]) for key in LINKS if isinstance(answer.get(key), str)}
        return linked | ({"name": self.models[answer["model"]]} if "model" in answer else {})

    def wait_video(self, request: gr.Request) -> Answer:
        """Shown at once, also when others are before this visitor."""
        return self._wait(request, VIDEO)

    def wait_image(self, request: gr.Request) -> Answer:
        """The same of an image."""
        return self._wait(request, IMAGE)

    def _wait(self, request: gr.Request, tab: str) -> Answer:
        self.stops.ask(str(request.session_hash), tab)
        return working("Waiting for its turn", None)

    def fail_video(self, request: gr.Request) -> Answer:
        """Gradio did not pass on what was asked, and tells the page nothing but that."""
        return self._fail(request, VIDEO)

    def fail_image(self, request: gr.Request) -> Answer:
        """The same of an image."""
        return self._fail(request, IMAGE)

    def _fail(self, request: gr.Request, tab: str) -> Answer:
        self.stops.forget(str(request.session_hash), tab)
        return refused(Refused(BUSY))

    def stop_video(self, request: gr.Request) -> None:
        """End what a visit asked of a video. That it has ended the work itself says: before, gradio takes no other."""
        self.stops.stop(str(request.session_hash), VIDEO)

    def stop_image(self, request: gr.Request) -> None:
        """The same of an image."""
        self.stops.stop(str(request.session_hash), IMAGE)

    def leave(self, request: gr.Request) -> None:
        """A page was closed: nobody waits for what it asked, and its files go."""
        visit = str(request.session_hash)
        for tab in (VIDEO, IMAGE):
            self.stops.stop(visit, tab)
            self.stops.forget(visit, tab)
        self.place.leave(visit)


def refused(refusal: Refused) -> Answer:
    return {"state": "stopped" if isinstance(refusal, Stopped) else "refused", "said": str(refusal)}


def working(said: str, share: float | None) -> Answer:
    return {"state": "working", "said": said, "share": share}


def link(path: str | Path) -> str:
    """Where a browser finds a file, seen from the page, also behind a proxy that gives it a path of its own."""
    return f"gradio_api/file={quote(str(path))}"


def short_names(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """The models' configs, or names on the Hub, where they tell them apart; else their folders (demo/100f88cc-s0, or an
    export's own name), and a number where these are equal, too."""

    def name(number: int) -> str:
        ways = (way for way in ("short", "long") if _is_unique(models, way, number))
        chosen = next(ways, None)
        return models[number][chosen] if chosen else f"{models[number]['long']}, number {number + 1}"

    return [name(number) for number in range(len(models))]


def _is_unique(models: Sequence[Mapping[str, Any]], way: str, number: int) -> bool:
    return [model[way] for model in models].count(models[number][way]) == 1
