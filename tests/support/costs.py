"""What each command does that may take long, and how its output says so.

costs.unsaid("index embed", ended.err)   # None where the command kept the rule of pipeline.console
"""

import re

# Commands whose work grows with what they are given, and what each of them counts, in the words of its output.
LONG: dict[str, tuple[str, ...]] = {
    "pipeline synth": ("clips", "single-object images"),
    "pipeline compose": ("clips", "single-object images"),
    "pipeline collage": ("collages",),
    "pipeline ingest": ("ingest",),
    "pipeline annotate": ("storing truth",),
    "pipeline export": ("export",),
    "index embed": ("embed",),
    "index build-knn": ("build-knn",),
    "index random-knn": ("random-knn",),
    "index export": ("export",),
    "training run": ("training other",),
    "training evaluate": ("predicting with tiny", "scoring tiny"),
    "training score": ("scoring",),
    "training embed": ("predicting with tiny",),
    "training report": ("drawing clips",),
    "training localize": ("localizing",),
    "training pretrain": ("pretraining the image trunk",),
    "training export": ("exporting tiny",),
}
# Commands whose work does not, and why.
SHORT = {
    "pipeline inspect": "lists names, and reads a few files",
    "pipeline splits": "compares lists of names",
    "training compare": "reads results",
    "training configs": "prints its own files",
    "training import-checkpoint": "reads one file, and writes one",
    "training methods": "prints its own pages",
    "training protocols": "prints its own pages",
    "training separate": "mixes the clips that were named",
    "training serve": "shows the progress of each visitor's work on the page",
    "training status": "reads a log",
}


def unsaid(command: str, err: str, told: bool = True) -> str | None:
    """What a command that did its work has not said before it; None where all was said.

    `told`: how long it takes had to be said as well, by tests that let no work be short.
    """
    for title in LONG[command]:
        begun = re.search(rf"^{title}: [\d,]+(?: of [\d,]+)? [a-z -]+ to do(?P<cost>.*)$", err, re.MULTILINE)
        if begun is None:
            return f"{title}: how much there is to do"
        if told and "takes a" not in begun["cost"] + "".join(re.findall(rf"^{title}: .*$", err, re.MULTILINE)):
            return f"{title}: how long it takes"
    return None
