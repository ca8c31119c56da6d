"""Lines in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleton_jobs.errors import StoreError
from singleton_jobs.locks.kubernetes import lines
from singleton_jobs.locks.kubernetes.lines import Lines

TEXT = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8)


@given(TEXT, st.lists(st.integers(0, 200), max_size=10))
def test_lines_come_whole_however_they_are_cut(whole, cuts):
    data = b"".join(line + b"\n" for line in whole)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found, put_together = [], Lines()
    for start, end in zip(places, places[1:], strict=False):
        found += put_together.add(data[start:end])
    put_together.end()
    assert found == whole


def test_an_end_in_mid_line_is_an_error():
    cut = Lines()
    assert cut.add(b'{"a": 1}\n{"b"') == [b'{"a": 1}']
    with pytest.raises(StoreError, match="in the middle of a line"):
        cut.end()


def test_a_line_that_is_longer_than_any_object_is_given_up(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 10)
    endless = Lines()
    assert endless.add(b"12345\n67890") == [b"12345"]
    with pytest.raises(StoreError, match="more than 10 bytes"):
        endless.add(b"123456")
