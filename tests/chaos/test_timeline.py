"""The picture of a storm, by a log written by hand."""

from __future__ import annotations

from xml.etree import ElementTree

from chaos.timeline import Bar, bars, svg

from .test_checker import at, fault, work

SVG = "{http://www.w3.org/2000/svg}"
LINES = sorted(
    [
        *work("a", 1, 1.1, 1),
        *work("a", 1.3, 1.4, 1),
        *work("a", 1.6, 8, 1),
        fault(1.7, "stop long", "a", 8),
        *work("b", 5, 5.1, 2),
        at(8, "refused", "sink", lease="x", token=1, by="a", by_pid=1),
        fault(9, "kill", "b"),
    ],
    key=lambda line: line["at"],
)


def test_pieces_of_work_become_bars() -> None:
    assert bars(LINES, "x") == [
        Bar("a", "a_1", 1, 1.4, stalled=False),
        Bar("a", "a_1", 1.6, 8, stalled=True),
        Bar("b", "b_1", 5, 5.1, stalled=False),
    ]


def test_picture() -> None:
    picture = ElementTree.fromstring(svg(LINES, "A & B"))
    classes = [element.get("class") for element in picture.iter()]
    assert (classes.count("held"), classes.count("stalled"), classes.count("refused")) == (2 + 1, 1 + 1, 1 + 1)
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert {"A & B: lease x", "a", "b", "SIGSTOP", "SIGKILL", "0 s", "40 s"} <= set(texts)
    assert "prefers-color-scheme: dark" in (picture.findtext(f"{SVG}style") or "")
