"""docs/requirements.md names the tests that hold each line of the brief, and no test claims a line that is not there."""

from __future__ import annotations

from .requirements import PAGE, ROW, holders_by_id, rewritten


def test_the_page_of_requirements_names_the_tests_that_are_there() -> None:
    assert rewritten(PAGE.read_text()) == PAGE.read_text(), "run: python -m tests.docs.requirements"


def test_every_id_in_a_tests_name_is_a_line_of_the_page() -> None:
    known = {match[1] for match in ROW.finditer(PAGE.read_text())}
    assert not set(holders_by_id()) - known
