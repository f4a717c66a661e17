"""From run folders to `index.html`: gathers the parts and fills the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from manifests.errors import InputError
from manifests.files.given import has_file
from manifests.files.outputs import check_no_other_kind, check_not_read, check_output
from manifests.files.whole import write_text
from pipeline.shards.joined import Folders, folders_of, named
from training.evaluation.scores import Score, in_order, score_of
from training.evaluation.thresholds import rule_in_words
from training.overlay.colours import heat_palette
from training.report import curves
from training.report.comparison import Comparison, comparisons
from training.report.foreign_sounds import triples
from training.report.gallery import galleries
from training.report.listening import listening_plots
from training.report.results import SCORES, Run, read_run, run_titles
from training.report.sources import Clips
from training.report.tables import Table, score_tables

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "index.html"
TITLE = b"<title>Sound source localization: report on "  # as templates/page.html begins


@dataclass(frozen=True)
class Facts:
    """One run's line in the list of runs."""

    title: str
    state: str
    values: Mapping[str, str]


def write_report(
    runs: list[Path], shards: Folders | None, out: Path, unfinished: Sequence[Path] = ()
) -> tuple[Path, str]:
    """Write `out/index.html` about the given run folders; returns its path, and why it has no gallery ("" if it has).

    Args:
        runs: run folders, `runs/<config>/<hash>-s<seed>`; their order is the page's order.
        shards: the shard folder, or folders, with the evaluated clips. Without one, what the first run's config names
            is used where it is there, else the page has no gallery.
        out: folder of the page, made when absent.
        unfinished: folders of seeds that are still to be finished, named where others have a mean.

    Raises InputError when there is no run, a folder is no run, or a result file is damaged.
    """
    if not runs:
        raise InputError("no run to report on. Give run folders, or train and evaluate one first.")
    check_no_other_kind(out, "training report")
    check_output(out / PAGE, {}, _is_page, "training report", "the page in --out,")
    read = [read_run(path) for path in runs]
    titles = run_titles(read)
    shards = shards or _shards_of(read[0])
    check_not_read(out, {"RUNS": runs, "--shards": map(str, folders_of(shards))})
    clips = Clips.open(shards) if shards else None
    page = _render(
        runs=[_facts(run, title) for run, title in zip(read, titles, strict=True)],
        tables=(tables := score_tables(read, titles, unfinished)),
        not_comparable=_same_name(tables),
        others=(others := comparisons(read, titles, False, unfinished)),
        explained=_explained(tables, others),
        listening=listening_plots(read, titles, unfinished),
        triples=triples(read, titles, clips) if clips is not None else [],
        panels=[*curves.loss_panels(read, titles), *curves.validation_panels(read, titles)],
        galleries=galleries(read, titles, clips) if clips is not None else [],
        no_shards=clips is None,
        not_kept=_not_kept(read, titles),
        made_otherwise=_made_otherwise(read, titles),
        unscored=[title for run, title in zip(read, titles, strict=True) if not run.every_evaluation],
    )
    return _write(page, out), "" if clips is not None else _no_gallery(read[0])


def size_in_words(count: int) -> str:
    """Bytes as "1.2 MB", or as whole kB where that is less than a megabyte."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _not_kept(runs: Sequence[Run], titles: Sequence[str]) -> list[str]:
    """Files of maps that belong to results and are not there, so that nothing is drawn of them, by run."""
    absent = [dict.fromkeys(name for one in run.every_evaluation for name in one.absent_arrays) for run in runs]
    return [f"{', '.join(names)} of {title}" for names, title in zip(absent, titles, strict=True) if names]


def _made_otherwise(runs: Sequence[Run], titles: Sequence[str]) -> list[str]:
    """Results that share a file of maps and were not all scored on it, by run."""
    named = zip(runs, titles, strict=True)
    return [f"{', '.join(names)} of {title}" for run, title in named for names in run.made_otherwise]


def _no_gallery(run: Run) -> str:
    """The sentence for a page without images."""
    given = run.config.get("data", {}).get("shards")
    where = "the run names no shard folder"
    if given:
        where = f"{named(given)}, which the run names, {'is' if isinstance(given, str) else 'are'} not here"
    return f"none: {where}; give --shards with the evaluated clips"


def _shards_of(run: Run) -> tuple[Path, ...]:
    """The folders that a run's config names, if all of them are there."""
    folders = tuple(Path(str(folder)) for folder in folders_of(run.config.get("data", {}).get("shards") or ()))
    return folders if all(has_file(folder / "index.json") for folder in folders) else ()


def _render(**content: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = environment.filters  # jinja2 types them by its own
    filters["percent"] = lambda value: f"{100 * value:.1f}"
    filters["signed"] = lambda value: f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")
    filters["whole"] = lambda value: f"{100 * value:.0f}".replace("-", "\N{MINUS SIGN}")
    filters["rule"] = lambda protocol: rule_in_words(protocol.get("rule", ""), protocol.get("level", ""))
    filters["entry"] = score_of
    filters["stops"] = lambda count: [tuple(colour) for colour in heat_palette(count).tolist()]
    cast(dict[str, Any], environment.globals)["curve"] = curves
    return environment.get_template("page.html").render(**content)


def _explained(tables: list[Table], others: list[Comparison]) -> list[Score]:
    """The entry of every score that the page shows, in order."""
    shown = [score for table in others for score in table.scores]
    return [score_of(key) for key in in_order([*(SCORES if tables else ()), *shown])]


def _same_name(tables: list[Table]) -> list[str]:
    """Set and protocol names that needed more than one table because the records behind the names differ."""
    names = [f"{table.test_set} under {table.measured}" for table in tables]
    return sorted({name for name in names if names.count(name) > 1})


def _facts(run: Run, title: str) -> Facts:
    optim, data = run.config.get("optim", {}), run.config.get("data", {})
    last = run.log[-1] if run.log else {}
    values = {
        "method": run.method,
        "seed": str(run.seed),
        "configuration": run.digest,
        "epochs": str(optim.get("epochs", "?")),
        "batch": str(optim.get("batch_size", "?")),
        "image": f"{data['image_size']} px" if "image_size" in data else "?",
        "last step": str(last.get("step", "none logged")),
        "commit": str(run.environment.get("commit", "unknown"))[:10],
    }
    return Facts(title, "finished" if run.finished else "not finished", values)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return TITLE in file.read(4096)


def _write(page: str, out: Path) -> Path:
    target = out / PAGE
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report cannot be written to {out} ({error}). Give another folder to --out.") from error
    write_text(target, page)
    return target
