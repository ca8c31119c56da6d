"""The picture of a storm, by a log written by hand."""

from __future__ import annotations

from xml.etree import ElementTree

from chaos.timeline import draw

from .test_checker import fault, work

SVG = "{http://www.w3.org/2000/svg}"
LINES = sorted(
    [
        *work("a", 1, 1.1, 1),
        *work("a", 1.3, 1.4, 1),
        *work("a", 3, 3.1, 1),
        *work("b", 5, 5.1, 2),
        fault(4, "kill", "a"),
        fault(6, "clock", "b"),
        *work("b", 7, 7.1, 1, lease="y"),
    ],
    key=lambda line: line["at"],
)


def test_bars_are_work_and_marks_are_faults() -> None:
    picture = ElementTree.fromstring(draw(LINES))
    rects = [element for element in picture.iter(f"{SVG}rect")]
    assert len([rect for rect in rects if rect.get("class") == "b"]) == 3  # the first two pieces are one bar
    assert [rect.findtext(f"{SVG}title") for rect in rects if rect.get("fill")] == ["kill", "clock"]
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert {"a", "b", "0 s", "40 s"} <= set(texts)
    assert "prefers-color-scheme:dark" in (picture.findtext(f"{SVG}style") or "")


def test_two_drawings_of_one_log_are_equal() -> None:
    assert draw(LINES) == draw(list(LINES))
