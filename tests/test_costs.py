"""What a command will cost is said before more than seconds of work: no command is left out of it."""

import typer
from costs import LONG, SHORT

from index.cli import app as index_app
from pipeline.cli import app as pipeline_app
from training.cli import app as training_app


def test_every_command_is_known_to_say_its_cost_or_to_have_none() -> None:
    """One that is added says here what it counts; `test_a_command_on_a_sound_desk_does_its_work` holds it to that."""
    apps = {"pipeline": pipeline_app, "index": index_app, "training": training_app}
    every = {f"{name} {each}" for name, app in apps.items() for each in typer.main.get_command(app).commands}
    assert every == LONG.keys() | SHORT.keys()
    assert not LONG.keys() & SHORT.keys()
