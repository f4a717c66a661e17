"""Lists of clips in every layout found beside VGGSound-like corpora: what each row says of which clip.

The layout is recognised from the content: `read_clip_list` answers with the key, label and split of every row. What
could mean two things is refused: the list where its clips are in doubt, only its labels (`doubt`) where those are.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from manifests.clip_lists.audioset_strong import is_strong, read_strong
from manifests.clip_lists.ave_orders import text_of
from manifests.clip_lists.ave_rows import events_of, is_event
from manifests.clip_lists.columns import check_once, unknown_columns
from manifests.clip_lists.file_names import (
    ends_in_suffix,
    file_of_line,
    hold_whole_names,
    is_youtube_id,
    looks_like_a_name,
    surely_names_a_clip,
)
from manifests.clip_lists.headers import header_of, is_header, without_comments
from manifests.clip_lists.json_layouts import read_json
from manifests.clip_lists.playlists import files_of_concat, files_of_playlist
from manifests.clip_lists.rows import LABEL_FIELDS, NAME_FIELDS, OWN_HEADER, SPLIT_WORDS, VIDEO_IDS, ClipLabel, ClipList
from manifests.clip_lists.starts import in_seconds, is_seconds, is_time, timed_key
from manifests.clip_lists.tables import clips_of
from manifests.clip_lists.written_names import name_in
from manifests.errors import InputError
from manifests.files.content import Content, lines_of
from manifests.files.given import shortened
from manifests.keys import named_clip

_PYTHON = re.compile(r"\s*[\[({]\s*[\[({]?\s*'")
_LIKE_COMMENT = re.compile(r"[#%;]|//|--|==")
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
    if (files := files_of_playlist(lines)) is not None:
        return ClipList("playlist", tuple(ClipLabel.named(name_in(file, content.path)) for file in files))
    if hold_whole_names(lines):
        return ClipList("list of ids", tuple(ClipLabel.named(file_of_line(line)) for line in lines))
    return _of_columns(content, lines)


def _of_columns(content: Content, lines: Sequence[str]) -> ClipList:
    delimiter = _delimiter(lines, content)
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


def _delimiter(lines: Sequence[str], content: Content) -> str:
    """What stands between columns: a comma, where the first line does not show another one (Excel writes semicolons
    where the comma stands in numbers). InputError where both may."""
    first = lines[0] if lines else ""
    if "\t" in first:
        return "\t"
    other = next((mark for mark in ";|" if all(mark in line for line in lines)), None) if first else None
    if other is None or "," not in first:
        return other or ","
    if not all(other in line.split(",")[0] for line in lines) or _first_are_names(lines, ","):
        return ","
    if _first_are_names(lines, other):
        return other
    raise _ambiguous(content, [first], f"a comma or {other} may stand between its columns")


def _first_are_names(lines: Sequence[str], delimiter: str) -> bool:
    return all(surely_names_a_clip(line.split(delimiter)[0].strip(" \"'")) for line in lines)


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """The mark around fields: a single one where it stands around the first field of every line, but for a header's."""
    begins = re.compile(rf"'([^']|'')*'\s*({re.escape(delimiter)}|$)")
    quoted = [begins.match(line.strip()) is not None for line in lines]
    return "'" if all(quoted[1:]) and any(quoted) and (quoted[0] or is_header(lines[0].split(delimiter))) else '"'


def _joined(fields: Iterable[str]) -> str | None:
    said = [field.strip() for field in fields]
    while said and not said[-1]:  # columns that are empty, as spreadsheets leave them
        said.pop()
    return ", ".join(said) or None


def _shown(row: Sequence[str]) -> str:
    """The fields apart: which character separates them in the file is not known here."""
    return shortened(", ".join(map(repr, row)), 200)


# --- a header names the columns --------------------------------------------------------------------------------------


def _with_header(content: Content, header: list[str], rows: list[list[str]]) -> ClipList:
    check_once(header, content.path)
    naming = next((name for name in (*NAME_FIELDS, *VIDEO_IDS) if name in header), None)
    if naming is None:
        raise InputError(
            f"The list {content.path} has the columns {header} but none that names the clip. Call it one of "
            f"{', '.join(NAME_FIELDS)}."
        )
    for number, row in enumerate(rows, start=2):
        if any(field.strip() for field in row[len(header) :]):
            raise InputError(
                f"Row {number} of {content.path} has {len(row)} fields, {_shown(row)}, but the header names "
                f"{len(header)}. A label that holds a comma must stand in quotes."
            )
    entries = [{name: field.strip() for name, field in zip(header, row, strict=False)} for row in rows]
    entries = [entry for entry in entries if entry.get(naming)]
    keys = header == [OWN_HEADER]  # as this project writes any key there is
    names = [entry[naming] if keys else name_in(entry[naming], content.path) for entry in entries]
    found = clips_of(names, [naming] * len(names), entries, content.path)
    unknown = [] if any(name in LABEL_FIELDS for name in header) else unknown_columns(header)
    doubt = f"no column is called {', '.join(LABEL_FIELDS)}, and what {', '.join(unknown)} holds is not known"
    return replace(found, layout="csv with a header", headers=1, doubt=doubt if unknown else None)


# --- the content tells the columns apart -----------------------------------------------------------------------------


def _field(row: list[str], index: int) -> str | None:
    return row[index].strip() or None if index < len(row) else None


def _bare(content: Content, rows: list[list[str]]) -> ClipList:
    rows = [[name_in(row[0], content.path) if row[0].strip() else "", *row[1:]] for row in _without_empty(rows)]
    width = min(map(len, rows))
    _check_comments(content, rows)
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


def _without_empty(rows: list[list[str]]) -> list[list[str]]:
    """Rows without the columns at their end that are empty in all of them, as spreadsheets leave them."""
    width = max(max((at for at, field in enumerate(row, start=1) if field.strip()), default=1) for row in rows)
    return [row[:width] for row in rows]


def _check_comments(content: Content, rows: list[list[str]]) -> None:
    """InputError for a line that begins as comments do and names no clip for certain, beside others that do."""
    for row in rows:
        if _LIKE_COMMENT.match(row[0]) and not surely_names_a_clip(file_of_line(row[0])):
            if any(surely_names_a_clip(file_of_line(other[0])) for other in rows):
                raise _ambiguous(content, row, "this line may be a comment or a clip; leave it out if it is none")
            return


def _check_times(content: Content, rows: list[list[str]]) -> None:
    """InputError for a start that is no number of seconds: it is no label either."""
    for number, row in enumerate(rows, start=1):
        segment = is_youtube_id(row[0].strip()) and len(row) > 1 and not is_seconds(row[1].strip())
        if len(row) > 1 and is_time(row[1].strip(), any_form=segment):
            raise InputError(
                f"Row {number} of {content.path} is {_shown(row)}: the start {row[1].strip()[:40]!r} is not read. Give "
                "starts as numbers of seconds, such as 90 for 1:30 and 12.5 for 12,5."
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
    _check_first_column(content, rows)
    names = [file_of_line(row[0]) for row in rows]
    if all(row[1:] and row[1].strip().isdigit() for row in rows):  # flickr_test.csv: a number no loader reads
        doubt = None if all(row[0].strip().isdigit() for row in rows) else "the second column holds only numbers"
        return ClipList("list of ids with a number", tuple(map(ClipLabel.named, names)), doubt=doubt)
    splits = all(len(row) > 2 and row[-1].strip().lower() in SPLIT_WORDS for row in rows)
    doubt = None if all(map(_can_be_labelled, rows)) else f"its first line is {_shown(rows[0])}"
    if not doubt and not splits and _are_splits([row[1:] for row in rows]):
        doubt = "the second column holds splits, or classes that are called so"
    labels = [row[1:-1] if splits else row[1:] for row in rows]
    found = (
        ClipLabel.named(name, _joined(label), row[-1].strip() if splits else None)
        for name, label, row in zip(names, labels, rows, strict=True)
    )
    return ClipList("name,label,split" if splits else "name,label", tuple(found), splits=splits, doubt=doubt)


def _check_first_column(content: Content, rows: list[list[str]]) -> None:
    """InputError where it is not certain that the first column names the clips, or that their names say all of it."""
    first, others = [row[0].strip() for row in rows], [row[1:] for row in rows]
    if ends_in_suffix(rows[0][-1].strip()) and not ends_in_suffix(first[0]):
        raise _ambiguous(content, rows[0], "the name of a file stands last, so it may be one name that holds a comma")
    if unsure := [row for row in rows if not looks_like_a_name(row[0])]:
        raise _ambiguous(content, unsure[0], "its first column may be no clip")
    sure = all(map(surely_names_a_clip, first))
    if not sure and _hold_in_a_column(others, lambda field: ends_in_suffix(field) or _is_clip(field)):
        raise _ambiguous(content, rows[0], "the name of a file or clip stands behind the first column")
    if min(map(len, others)) > 1 and _is_counted(first) and _hold_in_a_column(others, is_youtube_id):
        raise _ambiguous(content, rows[0], "the first column counts the rows")
    if all(is_youtube_id(name) and not name.isdigit() for name in first) and _hold_in_a_column(others, _is_number):
        raise _ambiguous(content, rows[0], "a column of numbers may be where clips begin in their videos")


def _hold_in_a_column(rows: list[list[str]], fits: Callable[[str], bool]) -> bool:
    return any(all(fits(field.strip()) for field in column) for column in zip(*rows, strict=False))


def _is_clip(text: str) -> bool:
    return named_clip(text).start_seconds is not None


def _is_counted(names: list[str]) -> bool:
    return any(names == [str(number) for number in range(begin, begin + len(names))] for begin in (0, 1))


def _is_number(text: str) -> bool:
    return is_time(text, any_form=True)


def _are_splits(labels: list[list[str]]) -> bool:
    return all(label and label[-1].strip().lower() in SPLIT_WORDS for label in labels)


def _can_be_labelled(row: list[str]) -> bool:
    """Whether what stands behind a name may be a label with commas."""
    return len(row) <= 5 and not (len(row) > 2 and row[1].strip().isdigit())


def _ambiguous(content: Content, row: list[str], why: str) -> InputError:
    return InputError(
        f"The list {content.path} can be read in more than one way: {why} (line {_shown(row)}). Name its columns "
        "in a first line, for example file,label,split or ytid,start,end,label,split."
    )
