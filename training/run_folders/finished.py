"""Which finished run a folder stands for, or several, and what makes it one: told from its files, torch not loaded."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.files.given import has_file
from training.run_folders.files import BEST_WEIGHTS, CONFIG, DONE, FACTS, WEIGHTS
from training.run_folders.names import configuration_of, seed_of
from training.run_folders.seeds import each_once, every_seed, unfinished_seeds
from training.settings.files import read_mapping

COPY_WHOLE = "Copy the whole folder, or the one that `training export` makes of it there."
WEIGHTS_AGAIN = f"Copy the run again from where it was made, or delete its {DONE} file and start it again."
NO_BEST = "Best weights need a `validation:` section in its config; --weights last takes the last epoch's."


def how_to_continue(folder: Path) -> str:
    """What to do with an unfinished run: `training run` looks for it in its config's name below --runs."""
    try:
        name = str(read_mapping(folder / CONFIG).get("name"))
    except InputError as error:
        return f"to continue it, copy it again from where it was made: {str(error).rstrip('.')}"
    where = folder if len(folder.parts) > 2 and ".." not in folder.parts else folder.resolve()
    if where.parent.name != name:
        return (
            f"to continue it, put it back where it was made, runs/{name}/, under the name it had there, and give its "
            f"{CONFIG} to `training run`"
        )
    root = where.parents[1]
    own = [] if root == Path("runs") else ["--runs", str(root)]
    return f"continue it with `{shlex.join(['training', 'run', str(folder / CONFIG), *own])}`"


def resolve_run(path: Path) -> Path:
    """The finished run a user means: a run folder, or `runs/<name>` when it holds exactly one finished run."""
    if has_file(path / DONE):
        return path
    if has_file(path / CONFIG):
        finished_elsewhere = f" If it was finished elsewhere: {COPY_WHOLE}" if has_file(path / WEIGHTS) else ""
        raise InputError(f"run {path} is not finished (no DONE file); {how_to_continue(path)}.{finished_elsewhere}")
    finished = sorted(folder for folder in path.glob("*") if has_file(folder / DONE)) if path.is_dir() else []
    if len(finished) == 1:
        return finished[0]
    if finished:
        names = ", ".join(str(folder) for folder in finished)
        raise InputError(f"{path} holds {len(finished)} finished runs, name one: {names}.")
    if begun := sorted(marker.parent for marker in path.glob(f"*/{CONFIG}")):
        raise InputError(_none_finished(path, begun))
    raise InputError(
        f"no finished run at {path}: expected a folder with {CONFIG} and {DONE}, as `training run` makes.{_near(path)}"
    )


def _none_finished(path: Path, begun: Sequence[Path]) -> str:
    """What to do with a folder `runs/<name>` whose runs are begun alone."""
    if len(begun) == 1:
        return f"run {begun[0]} is not finished (no {DONE} file); {how_to_continue(begun[0])}."
    names = ", ".join(map(str, begun))
    return f"{path} holds {len(begun)} runs, of which none is finished (no {DONE} file): {names}. For the first, " + (
        f"{how_to_continue(begun[0])}."
    )


def weights_of(path: Path, weights: str = "last") -> Path:
    """The file, in the finished run a user means, of its last epoch's weights, or of those that were best.

    Raises InputError as `resolve_run`, and when the run kept no such weights or was copied in part.
    """
    folder = resolve_run(path)
    if weights not in ("last", "best"):
        raise InputError(f"--weights {weights!r} is neither last nor best.")
    file = folder / (WEIGHTS if weights == "last" else BEST_WEIGHTS)
    if not has_file(file):
        raise InputError(f"run {folder} has no {file.name}. {NO_BEST if weights == 'best' else WEIGHTS_AGAIN}")
    if absent := [name for name in (CONFIG, FACTS) if not has_file(folder / name)]:
        raise InputError(f"run {folder} has no {' and no '.join(absent)}, so it was copied in part. {COPY_WHOLE}")
    return file


def _one_per_seed(folders: Sequence[Path]) -> list[Path]:
    """The folders without further ones of the same configuration and seed, of which each is said.

    A copy would count as another seed. Folders whose names state no seed all stay.
    """
    kept: dict[object, Path] = {}
    for folder in folders:
        seed = seed_of(folder.name)
        named = read_mapping(folder / CONFIG).get("name") if has_file(folder / CONFIG) else None
        same = folder if seed is None else (str(named), configuration_of(folder.name), seed)
        if (first := kept.setdefault(same, folder)) != folder:
            print(f"{folder} is left out: it is of the same configuration and seed as {first}, so no further seed.")
    return list(kept.values())


def given_runs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The finished runs that folders stand for (`every_seed`), of a configuration each seed once, and the others
    (`unfinished_seeds`).

    InputError as `resolve_run`.
    """
    finished = _one_per_seed(each_once(resolve_run(one) for path in paths for one in every_seed(path)))
    return finished, each_once(one for path in paths for one in unfinished_seeds(path))


def _near(path: Path) -> str:
    """What to name instead: the runs below a folder, or the folder beside it of nearly that name."""
    below = sorted({str(marker.parents[1]) for marker in path.glob(f"*/*/{DONE}")}) if path.is_dir() else []
    if below:
        return f" There are {', '.join(below)}."
    beside = {str(marker.parents[1]) for marker in path.parent.glob(f"*/*/{DONE}")} if path.parent.is_dir() else set()
    return did_you_mean(str(path), sorted(beside))
