"""The page: two tabs, a video, and an image with another sound. Gradio lays it out, player.js draws the results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from training.serve.examples import Example
from training.serve.jobs import THRESHOLDS, USUAL_THRESHOLD, ImageJob, VideoJob
from training.serve.limits import MOST_SOUND, Limits, Refused
from training.serve.worker import Pool, Working
from training.serve.workplace import KEPT, Workplace

HERE = Path(__file__).parent
TITLE = "Where does the sound come from?"
LEAD = "Drop a video. The page colours the places that, to the model, make the sound."
EMPTY_VIDEO = "Your video will play here, with its heat map."
EMPTY_IMAGE = "Your image will show here, with the map of each sound."
SOUNDS_AT_ONCE = 4  # that an image was tried with last
MOST_WAITING = 20
NOTHING = -1  # beside a model
LINKS = ("video", "peaks", "image")  # files in an answer
SLIDER = {"lowest": THRESHOLDS[0], "highest": THRESHOLDS[-1], "step": round(THRESHOLDS[1] - THRESHOLDS[0], 2)}
Answer = dict[str, Any]
Found = Iterator[Any]


@dataclass(frozen=True)
class Desk:
    """What the page works with: who answers, where files lie, what is taken, which models there are."""

    pool: Pool
    place: Workplace
    limits: Limits
    models: Sequence[str]
    examples: Sequence[Example]

    def video(self, given: Any, model: int, other: int, request: gr.Request) -> Iterator[Answer]:
        """What player.js shows, again and again, while a video is worked on."""
        visit = str(request.session_hash)
        try:
            video = self._file(visit, given, "Drop a video first, or choose an example.")
            chosen = self._models(model) if other in (NOTHING, model) else self._models(model, other)
            yield from self._asked(VideoJob(chosen, video, self.place.new_result(visit)))
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
            job = ImageJob(*self._models(model), seen, tuple(audios), self.place.new_result(visit))
            for answer in self._asked(job):
                yield answer, tried
        except Refused as refusal:
            yield refused(refusal), before or {}

    def _models(self, *numbers: Any) -> tuple[int, ...]:
        if not all(isinstance(number, int) and 0 <= number < len(self.models) for number in numbers):
            raise Refused("There is no such model. Choose one of the list.")
        return numbers

    def _asked(self, job: VideoJob | ImageJob) -> Iterator[Answer]:
        yield working("Opening the file", None)
        for said in self.pool.ask(job):
            yield working(said.said, said.share) if isinstance(said, Working) else self._linked(said)

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

    def leave(self, request: gr.Request) -> None:
        self.place.leave(str(request.session_hash))


def refused(refusal: Refused) -> Answer:
    return {"state": "refused", "said": str(refusal)}


def working(said: str, share: float | None) -> Answer:
    return {"state": "working", "said": said, "share": share}


def link(path: str | Path) -> str:
    """Where a browser finds a file, seen from the page, also behind a proxy that gives it a path of its own."""
    return f"gradio_api/file={quote(str(path))}"


def short_names(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """The models' configs where they tell them apart, else their folders: demo, or demo/100f88cc-s0."""
    configs = [model["config"] for model in models]
    return [model["config"] if configs.count(model["config"]) == 1 else model["name"] for model in models]


# --- layout ----------------------------------------------------------------------------------------------------------


def build_page(desk: Desk) -> gr.Blocks:
    """The page, ready to be mounted."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=None) as page:
        gr.HTML(f"<h1>{TITLE}</h1><p>{LEAD}</p>", elem_classes="title", padding=False)
        with gr.Tabs():
            with gr.Tab("A video"):
                _video_tab(desk)
            with gr.Tab("An image and another sound"):
                _image_tab(desk)
        page.unload(desk.leave)
    page.queue(max_size=MOST_WAITING, api_open=False)
    return page


def _video_tab(desk: Desk) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            video = gr.File(label="Video", file_types=["video"], elem_id="video", height=200)
            model, other = _models(desk), _other_model(desk)
            go = gr.Button("Find the sound", variant="primary", elem_id="go")
            chosen = _shelf([(each.name, each.image) for each in desk.examples], "Or try a clip")
            gr.Markdown(_taken(desk.limits), elem_classes="note")
        with gr.Column(scale=3, min_width=320):
            player = _player(EMPTY_VIDEO, "result")
    asked = {"fn": desk.video, "inputs": [video, model, other], "outputs": player, **_asking(desk)}
    gr.on([video.upload, go.click], _wait, None, player, **_aside()).then(**asked)
    if chosen is not None:
        picked = chosen.click(_pick([str(each.video) for each in desk.examples]), None, video, **_aside())
        picked.then(_wait, None, player, **_aside()).then(**asked)


def _image_tab(desk: Desk) -> None:
    tried = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            image = gr.Image(label="Image", sources=["upload", "clipboard"], elem_id="image", height=220)
            images = _shelf([(each.name, each.image) for each in desk.examples], "Or take this one")
            audio = gr.Audio(label="Sound", sources=["upload", "microphone"], elem_id="sound")
            sounds = _shelf([(each.name, None) for each in desk.examples], "What if it made this sound?", "sounds")
            model = _models(desk)
            go = gr.Button("Find the sound", variant="primary", elem_id="go-image")
            gr.Markdown(_taken_beside(desk.limits), elem_classes="note")
        with gr.Column(scale=3, min_width=320):
            player = _player(EMPTY_IMAGE, "result-image")
    asked = {"fn": desk.image, "inputs": [image, audio, model, tried], "outputs": [player, tried], **_asking(desk)}
    go.click(_wait, None, player, **_aside()).then(**asked)
    if images is not None and sounds is not None:
        images.click(_pick([str(each.image) for each in desk.examples]), None, image, **_aside())
        picked = sounds.click(_pick([str(each.sound) for each in desk.examples]), None, audio, **_aside())
        picked.then(_wait, None, player, **_aside()).then(**asked)


def _asking(desk: Desk) -> dict[str, Any]:
    """How jobs are queued: as many at once as there are desks, all in one line; a second click changes nothing."""
    return {
        "concurrency_id": "desk",
        "concurrency_limit": desk.pool.size,
        "trigger_mode": "once",
        "show_progress": "minimal",
        "api_visibility": "private",
        "preprocess": False,  # gradio would decode images, and convert sounds, in the server's process
    }


def _aside() -> dict[str, Any]:
    return {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def _wait() -> Answer:
    """Shown at once, also when others are before this visitor."""
    return working("Waiting for its turn", None)


def _models(desk: Desk) -> gr.Dropdown:
    choices = [(name, number) for number, name in enumerate(desk.models)]
    return gr.Dropdown(choices, value=0, label="Model", visible=len(choices) > 1, filterable=False)


def _other_model(desk: Desk) -> gr.Dropdown:
    choices = [("nothing", NOTHING), *((name, number) for number, name in enumerate(desk.models))]
    label = "Beside it, to compare"
    return gr.Dropdown(choices, value=NOTHING, label=label, visible=len(desk.models) > 1, filterable=False)


def _shelf(choices: Sequence[tuple[str, Path | None]], title: str, name: str | None = None) -> gr.HTML | None:
    """Buttons of examples; None without any."""
    if not choices:
        return None
    gr.Markdown(title, elem_classes="shelf-title")
    value = [{"name": name, "image": link(image) if image else None} for name, image in choices]
    script = (HERE / "choices.js").read_text(encoding="utf-8")
    template = '<div class="choices"></div>'
    return gr.HTML(value, html_template=template, js_on_load=script, apply_default_css=False, elem_id=name)


def _pick(files: Sequence[str]) -> Any:
    """The file of the button that was clicked; None for a number that no button has."""

    def pick(event: gr.EventData) -> str | None:
        number = event.index
        return files[number] if isinstance(number, int) and 0 <= number < len(files) else None

    return pick


def _player(empty: str, name: str) -> gr.HTML:
    script = (HERE / "player.js").read_text(encoding="utf-8")
    facts = {"empty": empty, "threshold": USUAL_THRESHOLD, "thresholds": SLIDER}
    template = '<div class="player"></div>'
    return gr.HTML(html_template=template, js_on_load=script, apply_default_css=False, elem_id=name, **facts)


def _taken(limits: Limits) -> str:
    return f"Up to {limits.seconds:g} s and {limits.megabytes:,} MB, with sound. {_kept()}"


def _taken_beside(limits: Limits) -> str:
    return f"A sound of up to {MOST_SOUND / 60:g} minutes; a few seconds are heard. {_kept()}"


def _kept() -> str:
    return f"Your files are deleted when you close this page, at the latest {KEPT / 60:g} minutes after they were used."
