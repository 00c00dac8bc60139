"""A chord as a graph in Graphviz' language: header, barrier, callback, and what is around them. Pure.

Colours are readable on light and on dark ground. Every text is escaped, so that it is shown as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chordwatch.evidence.facts import Place, PlaceKind
from chordwatch.model import FINISHED, Chord, HeaderTask, Health
from chordwatch.text import plain
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import Related, Relation
from chordwatch.watch.words import UNKNOWN, progress_of, short_place

#: A header of up to so many tasks is drawn task by task, a larger one by state, and so many states at the most.
MAX_TASKS, MAX_GROUPS, _FEW = 8, 10, 3
#: So many chords are drawn of each kind that there may be: before, after, inside.
MAX_CHORDS = 10
_NAME = 34

_DARK = "#1f2328"
#: Fill and border: good, at work, waiting, not known, bad.
_GOOD, _BUSY, _WAITS, _DIM, _BAD = (
    ("#c9ecd6", "#2e9e62"),
    ("#cfe3ff", "#3b82f6"),
    ("#fbe7b2", "#d19a0b"),
    ("#e3e5e9", "#8b95a1"),
    ("#ffd0d0", "#e5484d"),
)
_Look = tuple[str, str]
_OF_STATE: Mapping[str, _Look] = {
    "succeeded": _GOOD,
    "started": _BUSY,
    "retrying": _WAITS,
    "received": _WAITS,
    "published": _WAITS,
    "failed": _BAD,
    "revoked": _BAD,
    "rejected": _BAD,
    "ignored": _BAD,
}
_OF_HEALTH: Mapping[Health, _Look] = {
    "hung": _BAD,
    "looping": _BAD,
    "failed": _BAD,
    "late": _WAITS,
    "waiting": _WAITS,
    "ok": _BUSY,
    "done": _GOOD,
}
_OF_PLACE: Mapping[str, _Look] = {"active": _BUSY, "nowhere": _BAD, "unknown": _DIM}
#: Many tasks are at many workers: which does not matter then.
_AT_WORKERS: Mapping[PlaceKind, str] = {
    "active": "running",
    "reserved": "received, not started",
    "scheduled": "held back until their time",
}
_HEAD = f"""\
digraph chord {{ rankdir=LR; bgcolor="transparent"; pad=0.1; nodesep=0.12; ranksep=0.45;
node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, fontcolor="{_DARK}", margin="0.12,0.05",
height=0.3];
edge [color="#8b95a1", fontcolor="#8b95a1", fontname="sans-serif", fontsize=9, arrowsize=0.6];"""


def graph_of(sighting: Sighting, related: Sequence[Related] = (), *, expanded: bool = False) -> str:
    """Return the graph; `expanded` draws the chords inside this one with their own headers."""
    chord = sighting.chord
    inside = [each.chord for each in related if each.relation == "inside"][:MAX_CHORDS]
    lines = [
        _HEAD,
        *_before(chord, related),
        *_header(sighting, inside, expanded=expanded),
        *_barrier(chord),
        *_callback(sighting),
        *_after(related),
        "}",
    ]
    return "\n".join(lines)


def _before(chord: Chord, related: Sequence[Related]) -> Iterator[str]:
    around = _of(related, "before", "sender")
    yield from _chain(around, "b")
    if around:
        dashed = "" if around[-1].relation == "before" else ' [style=dashed, label="sent"]'
        yield f"b{len(around) - 1} -> header{dashed};"
    elif chord.parent_id:
        yield _node("parent", f"task\n{plain(chord.parent_id, 13)}", _DIM)
        yield "parent -> header;"


def _header(sighting: Sighting, inside: Sequence[Chord], *, expanded: bool) -> Iterator[str]:
    chord = sighting.chord
    inner = {each.callback.task_id: each for each in inside}
    own = [task for task in chord.header if task.task_id not in inner]
    yield _node("header", f"header\n{_size(chord)}", _DIM)
    named = len(chord.header) <= MAX_TASKS
    for number, (label, look) in enumerate(
        _task_boxes(own, sighting.places) if named else _group_boxes(own, sighting.places)
    ):
        yield _node(f"h{number}", label, look)
        yield f"header -> h{number}; h{number} -> barrier;"
    nameless = sum(gap.task_id is None for gap in chord.missing)
    if nameless:
        yield _node("nameless", f"{nameless:,} of unknown id\nnot counted", _DIM)
        yield "header -> nameless -> barrier;"
    for number, each in enumerate(inside):
        # Other names in full: the browser turns one graph into the next node by node, and a box is no header.
        name = f"x{number}" if expanded else f"i{number}"
        yield from _inner(each, name, expanded=expanded)
        yield f"header -> {name}; {name}{'c' if expanded else ''} -> barrier;"


def _inner(chord: Chord, name: str, *, expanded: bool) -> Iterator[str]:
    """Draw a chord inside: as one box, or as its header by state and its callback."""
    if not expanded:
        yield _node(
            name, f"chord inside · {_name(chord)}\n{_how(chord)}", _OF_HEALTH[chord.health], shape="box3d"
        )
        return
    yield f"subgraph cluster_{name} {{ label={_quoted(f'chord inside · {_how(chord)}')}; "
    yield 'fontname="sans-serif"; fontsize=10; fontcolor="#8b95a1"; color="#8b95a1"; style="rounded,dashed";'
    yield _node(name, f"header\n{_size(chord)}", _DIM)
    for number, (label, look) in enumerate(_group_boxes(chord.header, {})):
        yield _node(f"{name}g{number}", label, look)
        yield f"{name} -> {name}g{number} -> {name}c;"
    callback = f"{_name(chord)}\n{callback_state(chord)}"
    yield _node(f"{name}c", callback, _OF_STATE.get(chord.callback.state, _DIM))
    if not chord.header:
        yield f"{name} -> {name}c;"
    yield "}"


def _barrier(chord: Chord) -> Iterator[str]:
    complete = chord.size is not None and chord.counted >= chord.size
    look = _GOOD if complete else _OF_HEALTH[chord.health] if chord.state not in FINISHED else _DIM
    yield _node("barrier", f"barrier\n{progress_of(chord)}", look, shape="hexagon")
    if not chord.header and not chord.missing:
        yield "header -> barrier;"


def _callback(sighting: Sighting) -> Iterator[str]:
    chord = sighting.chord
    place = sighting.places.get(chord.callback.task_id or "")
    known = place is not None and place.kind not in ("unknown", "nowhere")
    where = f"\n{short_place(place)}" if place is not None and known else ""
    label = f"callback · {_name(chord)}\n{callback_state(chord)}{where}"
    stuck = known and place is not None and place.kind == "queue" and chord.health in ("hung", "looping")
    yield _node("callback", label, _BAD if stuck else _OF_STATE.get(chord.callback.state, _DIM))
    yield "barrier -> callback;"
    for number, errback in enumerate(chord.errbacks[:MAX_TASKS]):
        yield _node(f"e{number}", f"errback · {plain(errback.name or UNKNOWN, _NAME)}\n{errback.state}", _DIM)
        yield f"barrier -> e{number} [style=dashed];"


def _after(related: Sequence[Related]) -> Iterator[str]:
    after = _of(related, "after", "around")
    yield from _chain(after, "a")
    if after:
        yield "callback -> a0;"
    sent = _of(related, "sent")
    for number, each in enumerate(sent):
        yield _chord_node(f"s{number}", each)
        yield f'header -> s{number} [style=dashed, label="sent"];'


def _chain(chords: Sequence[Related], name: str) -> Iterator[str]:
    for number, each in enumerate(chords):
        yield _chord_node(f"{name}{number}", each)
        if number:
            yield f"{name}{number - 1} -> {name}{number};"


def _of(related: Sequence[Related], *relations: Relation) -> list[Related]:
    return [each for each in related if each.relation in relations][:MAX_CHORDS]


def _chord_node(name: str, related: Related) -> str:
    chord = related.chord
    title = "chord around it" if related.relation == "around" else "chord"
    return _node(name, f"{title} · {_name(chord)}\n{_how(chord)}", _OF_HEALTH[chord.health], shape="box3d")


def _how(chord: Chord) -> str:
    if chord.state == "planned":
        return "not sent yet"
    return f"{chord.health}, {progress_of(chord)}"


def _task_boxes(tasks: Sequence[HeaderTask], places: Mapping[str, Place]) -> Iterator[tuple[str, _Look]]:
    for task in tasks:
        index = "" if task.index is None else f"{task.index} · "
        runs = f", run {len(task.attempts)}" if len(task.attempts) > 1 else ""
        name = plain(task.name or task.task_id or UNKNOWN, _NAME)
        yield f"{index}{name}\n{_doing(task, places)}{runs}", _look_of(task, places)


def _group_boxes(tasks: Sequence[HeaderTask], places: Mapping[str, Place]) -> Iterator[tuple[str, _Look]]:
    """Yield a box for each state; parts that are not counted are named where only a few are in the same one."""
    groups = _grouped(tasks, places)
    for words, members in groups[:MAX_GROUPS]:
        if len(members) <= _FEW and not members[0].counted:
            yield from _task_boxes(members, places)
        else:
            yield f"{len(members):,} {words}", _look_of(members[0], places)
    rest = sum(len(members) for _, members in groups[MAX_GROUPS:])
    if rest:
        yield f"{rest:,} in other places", _DIM


def _grouped(tasks: Iterable[HeaderTask], places: Mapping[str, Place]) -> list[tuple[str, list[HeaderTask]]]:
    groups: defaultdict[str, list[HeaderTask]] = defaultdict(list)
    for task in tasks:
        place = None if task.counted else places.get(task.task_id or "")
        at_work = _AT_WORKERS.get(place.kind) if place else None
        groups[at_work or _doing(task, places)].append(task)
    return sorted(groups.items(), key=lambda group: (not group[1][0].counted, -len(group[1]), group[0]))


def _doing(task: HeaderTask, places: Mapping[str, Place]) -> str:
    """Return the state of a counted part, and of another one where it is."""
    place = places.get(task.task_id or "")
    if task.counted or place is None:
        return "no trace" if task.state == "unknown" else task.state
    return short_place(place)


def _look_of(task: HeaderTask, places: Mapping[str, Place]) -> _Look:
    place = places.get(task.task_id or "")
    if not task.counted and place is not None:
        return _OF_PLACE.get(place.kind, _WAITS)
    return _OF_STATE.get(task.state, _DIM)


def callback_state(chord: Chord) -> str:
    """Return the state of the callback in words."""
    if chord.callback.state != "unknown":
        return chord.callback.state
    return "not sent yet" if chord.state in ("open", "planned") and chord.missing else "not located"


def _size(chord: Chord) -> str:
    known = chord.size if chord.size is not None else len(chord.header) or None
    return "size not known" if known is None else f"{known:,} part{'' if known == 1 else 's'}"


def _name(chord: Chord) -> str:
    return plain(chord.callback.name or chord.callback.task_id or UNKNOWN, _NAME)


def _node(name: str, label: str, look: _Look, *, shape: str = "") -> str:
    fill, border = look
    drawn = f', shape={shape}, style="filled"' if shape else ""
    return f'{name} [label={_quoted(label)}, fillcolor="{fill}", color="{border}"{drawn}];'


def _quoted(label: str) -> str:
    """Return a label that Graphviz draws as it is: it knows escapes and the entities of HTML."""
    lines = label.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").split("\n")
    return '"' + "\\n".join(lines) + '"'
