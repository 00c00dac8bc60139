# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""The doctor: what will hang or lose chords before it does, as `celery -A proj chords doctor` finds it.

Executed by Streamlit's router. Asks servers and workers when it is shown and when it is told to, never by itself.
"""

from __future__ import annotations

from collections import Counter

import chord_ui
import streamlit as st

from chordwatch.board.examined import Examination
from chordwatch.diagnosis.wording import plural
from chordwatch.doctor.examine import SEVERITIES
from chordwatch.doctor.finding import Finding, Severity
from chordwatch.errors import ChordwatchError

#: A person reads so many; the worst come first.
SHOWN = 100
LONGEST = 2000
COLOURS: dict[Severity, str] = {"error": "red", "warning": "orange", "note": "blue"}


def page() -> None:
    """Draw the findings, at most a minute old."""
    st.title("Doctor", anchor=False)
    st.caption("What will hang or lose chords before it does: settings, servers, queues and workers.")
    anew = st.button("Examine again", icon=":material/refresh:")
    try:
        with st.spinner("Asking broker, result backend, store and workers …"):
            examination = chord_ui.source().findings(anew=anew)
    except ChordwatchError as error:
        st.error("**The doctor could not begin.**", icon=":material/error:")
        chord_ui.literal(str(error), LONGEST)
        return
    show_unreachable(examination)
    show_findings(examination)
    show_basis(examination)


def show_unreachable(examination: Examination) -> None:
    """Say which servers do not answer: of those nothing is known."""
    if examination.unreachable:
        st.error("**Not everything could be examined.**", icon=":material/error:")
        for sentence in examination.unreachable:
            chord_ui.literal(sentence, LONGEST)


def show_findings(examination: Examination) -> None:
    """Draw how many hazards there are, then each: where it is, why it is one, and how to end it."""
    findings = examination.findings
    counts = Counter(finding.severity for finding in findings)
    many = [f":{COLOURS[each]}[**{plural(counts[each], each)}**]" for each in SEVERITIES if counts[each]]
    if many:
        st.subheader(", ".join(many), anchor=False)
    elif not examination.unreachable:
        st.success("No hazard found.", icon=":material/check_circle:")
    for finding in findings[:SHOWN]:
        show_finding(finding)
    if len(findings) > SHOWN:
        st.caption(f"{len(findings) - SHOWN:,} more are printed by `celery -A proj chords doctor`.")


def show_finding(finding: Finding) -> None:
    """Draw one hazard. What other people's systems say is shown literally."""
    with st.container(border=True, gap="small"):
        st.markdown(f":{COLOURS[finding.severity]}-badge[{finding.severity}] **{finding.rule}**")
        chord_ui.literal(finding.where, LONGEST)
        chord_ui.literal(finding.reason, LONGEST)
        chord_ui.literal(f"Fix: {finding.fix}", LONGEST)


def show_basis(examination: Examination) -> None:
    """Say on how much this stands, and what more the terminal can do."""
    st.caption(
        f"{chord_ui.clock(examination.taken_at)}: {examination.basis} The project's code is read by "
        "`celery -A proj chords doctor --scan .`, and `--probe` sends a chord through a queue."
    )
    if examination.gaps:
        with st.expander("What was not looked at", icon=":material/visibility_off:"):
            for sentence in examination.gaps[:SHOWN]:
                chord_ui.literal(sentence, LONGEST)


page()
