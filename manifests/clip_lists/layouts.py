"""Lists of clips in every layout found beside VGGSound-like corpora: what each row says of which clip.

The layout is recognised from the content: `read_clip_list` answers with the key, label and split of every row. What
could mean two things is refused: the list where its clips are in doubt, only its labels (`doubt`) where those are.
"""

import re
from collections.abc import Iterable, Sequence

from manifests.clip_lists.audioset_strong import is_strong, read_strong
from manifests.clip_lists.ave_orders import text_of
from manifests.clip_lists.ave_rows import events_of, is_event
from manifests.clip_lists.concat import files_of_concat
from manifests.clip_lists.file_names import ends_in_suffix, file_of_line, hold_whole_names
from manifests.clip_lists.headers import KNOWN, header_of, is_header, without_comments
from manifests.clip_lists.json_layouts import read_json
from manifests.clip_lists.rows import (
    END_FIELDS,
    LABEL_FIELDS,
    NAME_FIELDS,
    SPLIT_FIELDS,
    SPLIT_WORDS,
    START_FIELDS,
    VIDEO_IDS,
    ClipLabel,
    ClipList,
)
from manifests.clip_lists.starts import in_seconds, is_seconds, is_time, is_youtube_id, timed_key, timed_names
from manifests.errors import InputError
from manifests.files.content import Content, lines_of
from manifests.files.given import shortened
from manifests.keys import named_clip

_PYTHON = re.compile(r"\s*[\[({]\s*[\[({]?\s*'")
_JSON = re.compile(r"\s*(\[\s*[\[{\"\]]|\{\s*[\"}])")


def read_clip_list(content: Content) -> ClipList:
    """Every row of a list. InputError where it is not certain which clips it names."""
    text = text_of(content)
    if content.path.name.removesuffix(".gz").lower().endswith((".json", ".jsonl")) or _JSON.match(text):
        return read_json(content)
    lines = [line for line in lines_of(text) if line.strip()]
    if lines and ((lines[0].count("&") == 4 and "," not in lines[0]) or any(map(is_event, lines[:2]))):
        events = events_of(text, content.path)
        return ClipList("AVE annotations", tuple(ClipLabel.named(event.video, event.category) for event in events))
    if (files := files_of_concat(lines, content.path)) is not None:
        return ClipList("ffmpeg's list of files", tuple(map(ClipLabel.named, files)))
    if hold_whole_names(lines):
        return ClipList("list of ids", tuple(ClipLabel.named(file_of_line(line)) for line in lines))
    return _of_columns(content, lines)


def _of_columns(content: Content, lines: Sequence[str]) -> ClipList:
    delimiter = _delimiter(lines)
    rows = without_comments(content.lines_and_rows(delimiter, _quote(lines, delimiter)))
    if not rows:
        return ClipList("empty", ())
    if _PYTHON.match(rows[0][0]):
        raise InputError(
            f"The list {content.path} begins with {_shown(rows[0])}, as Python prints a list; that is neither JSON nor "
            "one clip a line. Write it with json.dump."
        )
    if is_strong(rows[0]):
        return read_strong(content, rows[0], rows[1:])
    header = header_of(rows)
    return _bare(content, rows) if header is None else _with_header(content, header, rows[1:])


def _delimiter(lines: Sequence[str]) -> str:
    """What stands between columns: a comma, where the first line does not show another one (Excel writes semicolons
    where the comma stands in numbers)."""
    first = lines[0] if lines else ""
    if "\t" in first:
        return "\t"
    others = (mark for mark in ";|" if mark in first and all(mark in line for line in lines))
    return "," if "," in first else next(others, ",")


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """The mark around fields: a single one where it stands around the first field of every line, but for a header's."""
    begins = re.compile(rf"'([^']|'')*'\s*({re.escape(delimiter)}|$)")
    quoted = [begins.match(line.strip()) is not None for line in lines]
    return "'" if all(quoted[1:]) and any(quoted) and (quoted[0] or is_header(lines[0].split(delimiter))) else '"'


def _joined(fields: Iterable[str]) -> str | None:
    return ", ".join(field.strip() for field in fields) or None


def _shown(row: Sequence[str]) -> str:
    """The fields apart: which character separates them in the file is not known here."""
    return shortened(", ".join(map(repr, row)), 200)


# --- a header names the columns --------------------------------------------------------------------------------------


def _with_header(content: Content, header: list[str], rows: list[list[str]]) -> ClipList:
    def column(*names: str) -> int | None:
        return next((header.index(name) for name in names if name in header), None)

    name = column(*NAME_FIELDS, *VIDEO_IDS)
    if name is None:
        raise InputError(
            f"The list {content.path} has the columns {header} but none that names the clip. Call it one of "
            f"{', '.join(NAME_FIELDS)}."
        )
    start, end = column(*START_FIELDS), column(*END_FIELDS)
    label, split = column(*LABEL_FIELDS), column(*SPLIT_FIELDS)
    kept = []
    for number, row in enumerate(rows, start=2):
        if any(field.strip() for field in row[len(header) :]):
            raise InputError(
                f"Row {number} of {content.path} has {len(row)} fields, {_shown(row)}, but the header names "
                f"{len(header)}. A label that holds a comma must stand in quotes."
            )
        if _field(row, name):
            kept.append(row)
    names, windows = [row[name].strip() for row in kept], [(_field(row, start), _field(row, end)) for row in kept]
    found = (
        ClipLabel.named(named, _field(row, label), _field(row, split))
        for named, row in zip(timed_names(names, windows, [header[name]] * len(kept), content.path), kept, strict=True)
    )
    unknown = [each for each in header if each not in KNOWN]
    doubt = f"no column is called {', '.join(LABEL_FIELDS)}, and what {', '.join(unknown)} holds is not known"
    return ClipList(
        "csv with a header", tuple(found), 1, split is not None, doubt if label is None and unknown else None
    )


def _field(row: list[str], index: int | None) -> str | None:
    return row[index].strip() or None if index is not None and index < len(row) else None


# --- the content tells the columns apart -----------------------------------------------------------------------------


def _bare(content: Content, rows: list[list[str]]) -> ClipList:
    width = min(map(len, rows))
    _check_times(content, rows)
    if max(map(len, rows)) == 1:
        return _lines(content, [row[0].strip() for row in rows])
    if _is_mixed(rows):
        return ClipList("rows of several kinds", tuple(_label_of_mixed(row, content) for row in rows))
    if width >= 2 and is_youtube_id(rows[0][0].strip()) and is_seconds(rows[0][1].strip()):
        if not all(row[0].strip().isdigit() for row in rows):
            return _segments(content, rows)
    elif width >= 4 and is_seconds(rows[0][1].strip()):
        raise _ambiguous(content, rows[0], "the first column is no YouTube id, so a start in seconds names no clip")
    return _named(content, rows)


def _check_times(content: Content, rows: list[list[str]]) -> None:
    """InputError for a start that is no number of seconds: it is no label either."""
    for number, row in enumerate(rows, start=1):
        segment = len(row) > 3 and is_youtube_id(row[0].strip()) and not is_seconds(row[1].strip())
        if len(row) > 1 and is_time(row[1].strip(), any_form=segment):
            raise InputError(
                f"Row {number} of {content.path} is {_shown(row)}: the start {row[1].strip()[:40]!r} is not read. Give "
                "starts as numbers of seconds, such as 90 for 1:30."
            )


def _lines(content: Content, lines: list[str]) -> ClipList:
    """One field a line: a clip, or where every line goes on behind its name, a clip and its label."""
    files = list(map(file_of_line, lines))
    rest = [line.removeprefix(file).strip() for file, line in zip(files, lines, strict=True)]
    said = ["" if ends_in_suffix(more) or named_clip(more).start_seconds is not None else more for more in rest]
    doubt = None
    if any(said) and not all(said):
        doubt = f"some lines say more than a clip's name and others do not, such as {lines[said.index('')][:200]!r}"
    elif any(said) and all(more.split()[-1].lower() in SPLIT_WORDS for more in said):
        doubt = f"the last word of each line may be a split, such as in {lines[0][:200]!r}"
    elif any(said):
        return _named(content, [[file, more] for file, more in zip(files, said, strict=True)])
    return ClipList("list of ids", tuple(map(ClipLabel.named, files)), doubt=doubt)


def _is_segment(row: list[str]) -> bool:
    """`ytid,start,label,split`, in full: fewer columns may mean something else."""
    return len(row) > 3 and is_youtube_id(row[0].strip()) and is_seconds(row[1].strip())


def _is_mixed(rows: list[list[str]]) -> bool:
    """Some rows are segments, and all others name a clip with its start: each says for itself which clip it means."""
    others = [row for row in rows if not _is_segment(row)]
    return 0 < len(others) < len(rows) and all(named_clip(row[0]).start_seconds is not None for row in others)


def _label_of_mixed(row: list[str], content: Content) -> ClipLabel:
    if _is_segment(row):
        return ClipLabel(timed_key(row[0].strip(), row[1], content.path), _joined(row[2:-1]), row[-1].strip() or None)
    return ClipLabel.named(file_of_line(row[0]), _joined(row[1:]))


def _segments(content: Content, rows: list[list[str]]) -> ClipList:
    """`ytid,start` with an end or without, a label or without, a split or without; AudioSet's and VGGSound's rows."""
    for number, row in enumerate(rows, start=1):
        if len(row) < 3 or not is_youtube_id(row[0].strip()) or not is_seconds(row[1].strip()):
            raise InputError(
                f"Row {number} of {content.path} is {_shown(row)}: expected ytid,start_seconds,label,split with a "
                "number of seconds in the second column. Correct that line, or leave the list out."
            )
    timed = is_seconds(rows[0][2].strip())
    if timed and not all(is_seconds(row[2].strip()) and float(row[2]) > float(row[1]) for row in rows):
        raise _ambiguous(content, rows[0], "the third column holds numbers that are not always an end after the start")
    rest = [row[3:] if timed else row[2:] for row in rows]
    splits = all(len(each) > 1 and each[-1].strip().lower() in {*SPLIT_WORDS, ""} for each in rest)
    labels = [each[:-1] if splits else each for each in rest]
    if not splits and (max(map(len, labels)) > 1 or _are_splits(labels)):
        raise _ambiguous(content, rows[0], "it is not certain which of the last columns are label and split")
    layout = ",".join(["ytid,start", *["end"] * timed, *["label"] * any(labels), *["split"] * splits])
    starts = in_seconds([(row[1], row[2] if timed else None) for row in rows], content.path)
    found = (
        ClipLabel(timed_key(row[0].strip(), start, content.path), _joined(label), _field(each, -1) if splits else None)
        for row, start, each, label in zip(rows, starts, rest, labels, strict=True)
    )
    return ClipList(layout, tuple(found), splits=splits)


def _named(content: Content, rows: list[list[str]]) -> ClipList:
    """The first column names the clip; the rest is a label, the last of them a split where every row says so."""
    rows = [row for row in rows if row[0].strip()]
    if not rows:
        return ClipList("empty", ())
    names = [file_of_line(row[0]) for row in rows]
    if ends_in_suffix(rows[0][-1].strip()) and not ends_in_suffix(rows[0][0].strip()):
        raise _ambiguous(content, rows[0], "the name of a file stands last, so it may be one name that holds a comma")
    if all(row[1:] and row[1].strip().isdigit() for row in rows):  # flickr_test.csv: a number no loader reads
        doubt = None if all(row[0].strip().isdigit() for row in rows) else "the second column holds only numbers"
        return ClipList("list of ids with a number", tuple(map(ClipLabel.named, names)), doubt=doubt)
    splits = all(len(row) > 2 and row[-1].strip().lower() in SPLIT_WORDS for row in rows)
    named = all(map(_names_a_clip, rows))
    doubt = None if named else f"its first line is {_shown(rows[0])}"
    if named and not splits and _are_splits([row[1:] for row in rows]):
        doubt = "the second column holds splits, or classes that are called so"
    labels = [row[1:-1] if splits else row[1:] for row in rows]
    found = (
        ClipLabel.named(name, _joined(label), row[-1].strip() if splits else None)
        for name, label, row in zip(names, labels, rows, strict=True)
    )
    return ClipList("name,label,split" if splits else "name,label", tuple(found), splits=splits, doubt=doubt)


def _are_splits(labels: list[list[str]]) -> bool:
    return all(label and label[-1].strip().lower() in SPLIT_WORDS for label in labels)


def _names_a_clip(row: list[str]) -> bool:
    """A row of `name,label` names a clip file, a canonical clip or a numeric id; `ambulance siren,1050` does not."""
    name = row[0].strip()
    named = ends_in_suffix(name) or (" " not in name and any(letter.isdigit() for letter in name))
    return bool(named) and len(row) <= 5 and not (len(row) > 2 and row[1].strip().isdigit())


def _ambiguous(content: Content, row: list[str], why: str) -> InputError:
    return InputError(
        f"The list {content.path} can be read in more than one way: {why} (first line {_shown(row)}). Name its columns "
        "in a first line, for example file,label,split or ytid,start,end,label,split."
    )
