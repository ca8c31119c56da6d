"""The columns of `status`."""

from singleton_jobs.cli.columns import LEAST, columns

HEADER = ("LEASE", "POD", "STATE")
ROWS = [("n" * 30, "p" * 20, ("alive", "green")), ("short", "pod-a", "free")]


def lines(width: int) -> list[str]:
    return columns(HEADER, ROWS, width, shrink=("LEASE", "POD")).plain.splitlines()


def test_what_fits_is_shown_whole_and_ends_without_blanks():
    assert lines(200) == [
        f"{'LEASE':30}  {'POD':20}  STATE",
        f"{'n' * 30}  {'p' * 20}  alive",
        f"{'short':30}  {'pod-a':20}  free",
    ]


def test_the_widest_column_is_cut_first():
    assert lines(49)[1] == f"{'n' * 19}…  {'p' * 20}  alive"
    assert max(map(len, lines(40))) == 40
    assert "…" in lines(40)[1].split()[1]


def test_some_of_each_name_is_always_left():
    assert lines(5)[1] == f"{'n' * (LEAST - 1)}…  {'p' * (LEAST - 1)}…  alive"


def test_styles_are_kept():
    assert [
        (span.style, made.plain[span.start : span.end])
        for made in [columns(HEADER, ROWS, 80, ())]
        for span in made.spans
    ][-1] == (
        "green",
        "alive",
    )


def test_no_rows_are_a_header():
    assert columns(HEADER, [], 80, ()).plain == "LEASE  POD  STATE"
