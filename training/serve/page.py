"""The page: two tabs, a video, and an image with another sound. Gradio lays it out, player.js draws the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from training.serve.jobs import THRESHOLDS, USUAL_THRESHOLD
from training.serve.limits import IMAGES, MOST_SOUND, Limits
from training.serve.visits import NOTHING, Visits, link
from training.serve.workplace import KEPT

HERE = Path(__file__).parent
TITLE = "Where does the sound come from?"
LEAD = "Drop a video. The page colours the places that, to the model, make the sound."
EMPTY_VIDEO = "Your video will play here, with its heat map."
EMPTY_IMAGE = "Your image will show here, with the map of each sound."
MOST_WAITING = 20
SLIDER = {"lowest": THRESHOLDS[0], "highest": THRESHOLDS[-1], "step": round(THRESHOLDS[1] - THRESHOLDS[0], 2)}


def build_page(visits: Visits) -> gr.Blocks:
    """The page, ready to be mounted."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=None) as page:
        gr.HTML(f"<h1>{TITLE}</h1><p>{LEAD}</p>", elem_classes="title", padding=False)
        with gr.Tabs():
            with gr.Tab("A video"):
                _video_tab(visits)
            with gr.Tab("An image and another sound"):
                _image_tab(visits)
        page.unload(visits.leave)
    page.queue(max_size=MOST_WAITING, api_open=False)
    return page


def _video_tab(visits: Visits) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            video = gr.File(label="Video", elem_id="video", height=200)
            model, other = _models(visits), _other_model(visits)
            go = gr.Button("Find the sound", variant="primary", elem_id="go")
            chosen = _shelf([(each.name, each.image) for each in visits.examples], "Or try a clip")
            gr.Markdown(_taken(visits.limits), elem_classes="note")
        with gr.Column(scale=3, min_width=320):
            player = _player(EMPTY_VIDEO, "result")
    _belongs(video, visits)
    asked: dict[str, Any] = {"fn": visits.video, "inputs": [video, model, other], "outputs": player, **_asking(visits)}
    failed = visits.fail_video
    _then(gr.on([video.upload, go.click], visits.wait_video, None, player, **_aside()), asked, failed, player)
    if chosen is not None:
        picked = chosen.click(_pick([str(each.video) for each in visits.examples]), None, video, **_aside())
        _then(picked.then(visits.wait_video, None, player, **_aside()), asked, failed, player)
    player.stop(visits.stop_video, None, None, **_aside())


def _image_tab(visits: Visits) -> None:
    tried = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            image = gr.Image(label="Image", sources=["upload", "clipboard"], elem_id="image", height=220)
            images = _shelf([(each.name, each.image) for each in visits.examples], "Or take this one")
            # no buttons: one of gradio's would share what was given with another host
            audio = gr.Audio(label="Sound", sources=["upload", "microphone"], buttons=[], elem_id="sound")
            sounds = _shelf([(each.name, None) for each in visits.examples], "What if it made this sound?", "sounds")
            model = _models(visits)
            go = gr.Button("Find the sound", variant="primary", elem_id="go-image")
            gr.Markdown(_taken_beside(visits.limits), elem_classes="note")
        with gr.Column(scale=3, min_width=320):
            player = _player(EMPTY_IMAGE, "result-image")
    _belongs(image, visits)
    _belongs(audio, visits)
    asked: dict[str, Any] = {
        "fn": visits.image,
        "inputs": [image, audio, model, tried],
        "outputs": [player, tried],
        **_asking(visits),
    }
    failed = visits.fail_image
    _then(go.click(visits.wait_image, None, player, **_aside()), asked, failed, player)
    if images is not None and sounds is not None:
        images.click(_pick([str(each.image) for each in visits.examples]), None, image, **_aside())
        picked = sounds.click(_pick([str(each.sound) for each in visits.examples]), None, audio, **_aside())
        _then(picked.then(visits.wait_image, None, player, **_aside()), asked, failed, player)
    player.stop(visits.stop_image, None, None, **_aside())


def _belongs(given: gr.File | gr.Image | gr.Audio, visits: Visits) -> None:
    """What is given here goes with the visit, asked about or not."""
    given.change(visits.keep, given, None, preprocess=False, trigger_mode="multiple", **_aside())


def _asking(visits: Visits) -> dict[str, Any]:
    """How jobs are queued: as many at once as there are desks, all in one line; a second click changes nothing."""
    return {
        "concurrency_id": "desk",
        "concurrency_limit": visits.pool.size,
        "trigger_mode": "once",
        "show_progress": "minimal",
        "api_visibility": "private",
        "preprocess": False,  # gradio would decode images, and convert sounds, in the server's process
    }


def _then(waiting: Any, asked: dict[str, Any], failed: Any, player: gr.HTML) -> None:
    """What is asked once the page says that it waits. It says no longer so where gradio takes no more questions."""
    waiting.then(**asked).failure(failed, None, player, **_aside())


def _aside() -> dict[str, Any]:
    return {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def _models(visits: Visits) -> gr.Dropdown:
    choices = [(name, number) for number, name in enumerate(visits.models)]
    return gr.Dropdown(choices, value=0, label="Model", visible=len(choices) > 1, filterable=False)


def _other_model(visits: Visits) -> gr.Dropdown:
    choices = [("nothing", NOTHING), *((name, number) for number, name in enumerate(visits.models))]
    label = "Beside it, to compare"
    return gr.Dropdown(choices, value=NOTHING, label=label, visible=len(visits.models) > 1, filterable=False)


def head() -> str:
    """A script of the page that runs before gradio's."""
    return f"<script>{(HERE / 'any_kind.js').read_text(encoding='utf-8')}</script>"


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
    return f"A {IMAGES} image, and a sound of up to {MOST_SOUND / 60:g} minutes; a few seconds are heard. {_kept()}"


def _kept() -> str:
    return f"Your files are deleted when you close this page, at the latest {KEPT / 60:g} minutes after they were used."
