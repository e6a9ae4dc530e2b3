"""Files that people really have: every command reads them alike, or refuses them with the line, the column and the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from openpyxl import Workbook
from pyarrow import parquet

from evalspan.__main__ import cli
from evalspan.errors import DatasetError, EvalspanError, UsageError
from evalspan.evaluators.calibration.label_files import read_labels, read_labels_by_id
from evalspan.evaluators.datasets import Dataset
from evalspan.evaluators.datasets.contamination import read_source
from evalspan.evaluators.datasets.records import parse_columns, read_records
from evalspan.evaluators.experiments.recorded import recorded_answers
from evalspan.evaluators.scoring.outputs import read_outputs

# One record that is an example, an output, a label and a recorded answer at once.
WHOLE = {"id": "a", "output": "4\u20289", "label": "pass", "passed": True, "input": {"q": "How much?"}}
LINE = json.dumps(WHOLE, ensure_ascii=False)
OTHER = LINE.replace('"a"', '"b"').replace("How", "So how")
READERS: dict[str, Callable[[Path], object]] = {
    "records": read_records,
    "outputs": read_outputs,
    "labels": read_labels,
    "labels by id": read_labels_by_id,
    "recorded answers": lambda path: recorded_answers(str(path)),
    "contamination": lambda path: read_source(str(path)),
}
READ = {
    "plain": f"{LINE}\n{OTHER}\n".encode(),
    "a byte order mark": b"\xef\xbb\xbf" + LINE.encode(),
    "CRLF": f"{LINE}\r\n{OTHER}\r\n".encode(),
    "CR alone": f"{LINE}\r{OTHER}".encode(),
    "empty lines": f"\n  \n{LINE}\n\n".encode(),
    "U+0085 in a text": LINE.replace("4\u20289", "4\u00859").encode(),
    "a huge integer": LINE.replace('"4\u20289"', '"4", "n": 123456789012345678901234567890').encode(),
}
REFUSED = {
    "UTF-16": (LINE.encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (LINE.encode("utf-16-le"), "UTF-16"),
    "UTF-32": (LINE.encode("utf-32"), "UTF-16 or UTF-32"),
    "Windows-1252": ((f"{LINE}\n".encode() + LINE.replace("4\u20289", "f\u00fcr").encode("cp1252")), r":2, byte \d+: not UTF-8"),
    "gzip": (b"\x1f\x8b\x08" + bytes(30), "gzip"),
    "an Excel file under another name": (b"PK\x03\x04" + bytes(30), "zip archive"),
    "an array": (f"[{LINE}]".encode(), ":1 is not a JSON object, but an array"),
    "CSV under another name": (b"id,output\n1,49\n", ":1 is not JSON"),
    "pretty-printed": (json.dumps(WHOLE, indent=1).encode(), ":1 is not JSON"),
    "NaN": (f"{LINE}\n".encode() + LINE.replace('"4\u20289"', "NaN").encode(), ":2 is not JSON"),
    "half a surrogate pair": (LINE.replace("4\u20289", "\\ud83d").encode(), "not JSON"),
    "a key twice": (LINE.replace('"id"', '"id": "z", "id"').encode(), "the key 'id' occurs twice"),
    "a key twice inside": (LINE.replace('"q"', '"q": 1, "q"').encode(), "the key 'q' occurs twice"),
    "nested 2,000 deep": (LINE.replace('"How much?"', "[" * 2000 + "]" * 2000).encode(), "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", READ)
def test_every_reader_takes_what_editors_write(tmp_path: Path, reader: str, form: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(READ[form])
    READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", REFUSED)
def test_every_reader_refuses_in_words_what_is_not_surely_understood(tmp_path: Path, reader: str, form: str) -> None:
    content, words = REFUSED[form]
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as refused:
        READERS[reader](path)
    assert refused.value.hint


def test_u2028_stays_inside_its_text(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(READ["plain"])
    assert [one.values["output"] for one in read_records(path)] == ["4\u20289"] * 2


ROWS: list[dict[str, str | None]] = [
    {"Nr": "1", "Question": 'How "much",\nreally; 1|2\t?', "Answer": "49", "Tags": "price, pro"},
    {"Nr": "2", "Question": "Cancel?", "Answer": None, "Tags": None},
]
COLUMNS = {"id": "Nr", "input.question": "Question", "expected_output": "Answer", "tags": "Tags"}


def csv_text(delimiter: str, newline: str) -> str:
    def cell(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    lines = [delimiter.join(ROWS[0])] + [delimiter.join(cell(value) for value in row.values()) for row in ROWS]
    return newline.join(lines) + newline


def table(path: Path) -> Path:
    if path.suffix == ".xlsx":
        book = Workbook()
        book.active.append(list(ROWS[0]))
        for row in ROWS:
            book.active.append([int(value) if value and value.isdigit() else value for value in row.values()])
        book.save(path)
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_text(csv_text("\t" if path.suffix == ".tsv" else ",", "\n"))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx", ".parquet"])
def test_tables_become_examples_by_a_column_mapping(tmp_path: Path, suffix: str) -> None:
    path = table(tmp_path / f"faq{suffix}")
    first, second = Dataset.load(path, columns=COLUMNS, partition="golden").examples
    assert (first.id, first.input, first.expected_output) == ("1", {"question": ROWS[0]["Question"]}, "49")
    assert first.tags == ["price", "pro"]
    assert (second.input, second.expected_output, second.tags) == ({"question": "Cancel?"}, None, [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_of_any_dialect_with_quoted_newlines(tmp_path: Path, delimiter: str, newline: str, mark: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes((mark + csv_text(delimiter, newline)).encode())
    assert [one.values for one in read_records(path)] == ROWS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n1,2,3\n", r"x\.csv:3: 3 cells, but the header names 2 columns"),
        (b'a,b\n"x\ny",2\n1\n', r"x\.csv:4: 1 cells"),
        (b"a,a\n1,2\n", r"x\.csv:1: two columns are named 'a'"),
        (b"a,\n1,2\n", r"x\.csv:1: column 2 has no name"),
        (b'a,b\n1,"2\n', r"x\.csv:2: not CSV"),
        ("a,b\nfür,2\n".encode("cp1252"), r"x\.csv:2, byte 2: not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_broken_csv_is_refused_with_its_line_and_column(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_records(path)


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet"])
def test_what_only_looks_like_a_table_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(UsageError, match="is not"):
        read_records(path)


def test_a_column_that_is_not_there_and_a_mapping_of_another_form_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "x.csv")
    with pytest.raises(UsageError, match=r"no column 'Qestion'.*did you mean 'Question'"):
        read_records(path, {"input.question": "Qestion"})
    for text in ("x", "=x", "x=", " = "):
        with pytest.raises(UsageError, match="not FIELD=COLUMN"):
            parse_columns((text,))
    with pytest.raises(UsageError, match="twice"):
        parse_columns(("a=b", "a=c"))
    path.write_text("id,partition,input\na,golden,How much?\n")
    with pytest.raises(DatasetError, match="input must be an object") as refused:
        Dataset.load(path)
    assert "--map" in refused.value.hint
    with pytest.raises(DatasetError, match="written as JSONL"):
        Dataset("d").save(path)


LABELS = {
    "Pass ": (1.0, True), " fail": (0.0, False), "SUPPORTED": (1.0, True), True: (1.0, True), "4": (4.0, None),
    "0": (0.0, False), 3.5: (3.5, None), " 2.0 ": (2.0, None),
}  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_labels_with_blanks_and_numbers_as_text_are_read(tmp_path: Path, label: object) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"id": "1", "label": label, "score": " 0.5 "}))
    (pair,) = read_labels(path)
    assert (pair.label, pair.good, pair.score) == (*LABELS[label], 0.5)  # type: ignore[index]


@pytest.mark.parametrize(
    "values",
    [
        {"label": "perhaps"}, {"label": None}, {"label": "NaN"}, {"label": "inf"}, {"label": [1]},
        {"score": "0,9"}, {"score": "NaN"}, {"score": "inf"}, {"score": "-Infinity"}, {"score": "1e999"},
        {"score": "١"}, {"passed": "maybe"}, {"at": "01.06.2026"}, {"at": 1780000000}, {"claims": "x"}, {"claims": [1]},
    ],
)  # fmt: skip
def test_labels_that_cannot_be_read_name_their_place_and_field(tmp_path: Path, values: dict[str, Any]) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text('{"id": "0", "label": true}\n' + json.dumps({"id": "1", "label": True, **values}))
    with pytest.raises(UsageError, match=r"l\.jsonl:2: "):
        read_labels(path)


def test_times_without_a_zone_are_utc_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    times = ["2026-06-01", "2026-06-01T00:00:00", "2026-06-01T00:00:00Z", "2026-06-01T02:00:00+02:00"]
    path.write_text("\n".join(json.dumps({"id": str(n), "label": True, "at": at}) for n, at in enumerate(times)))
    assert {pair.at for pair in read_labels(path)} == {datetime(2026, 6, 1, tzinfo=UTC)}


def evalspan(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments))
    assert not isinstance(result.exception, EvalspanError), result.exception
    return result


def test_the_commands_take_tables_with_a_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "faq.csv")
    mapping = [text for field, column in COLUMNS.items() for text in ("--map", f"{field}={column}")]
    assert evalspan("dataset", "import", "golden.jsonl", "faq.csv", "--partition", "golden", *mapping).exit_code == 0
    assert len(Dataset.load("golden.jsonl")) == 2
    (tmp_path / "rated.csv").write_text("Nr;Urteil;Note;ok\n1;pass;0.9;pass\n2;fail;0.1;fail\n")
    mapped = ["--map", "id=Nr", "--map", "label=Urteil", "--map", "score=Note", "--map", "passed=ok"]
    assert evalspan("calibrate", "--labels", "rated.csv", *mapped).exit_code == 4
    (tmp_path / "suites.py").write_text("from evalspan.evaluators import exact_match\nSUITE = [exact_match]\n")
    (tmp_path / "answers.csv").write_text("Nr,Text,Soll\n1,49,49\n2,59,49\n")
    mapped = ["--map", "id=Nr", "--map", "output=Text", "--map", "expected=Soll"]
    result = evalspan("score", "--input", "answers.csv", "--suite", "suites.py:SUITE", "--format", "json", *mapped)
    assert json.loads(result.stdout)[0]["mean"] == 0.5


def test_excels_line_that_names_the_delimiter_is_no_header_and_an_old_workbook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"sep=;\r\nid;output\r\n1;a, b\r\n")
    (record,) = read_records(path)
    assert (record.values, record.place) == ({"id": "1", "output": "a, b"}, f"{path}:3")
    old = tmp_path / "a.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with pytest.raises(UsageError, match="old Excel workbook"):
        list(read_records(old))
