"""What a class hands in is found, named and read: in every layout, whatever state it is in, and nothing climbs out or is lost."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import time
import tracemalloc
import zipfile
from types import SimpleNamespace

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.grading import submissions
from minigrad.grading.submissions import cells_of, find

CODE = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": [], "execution_count": None}


def notebook(*cells: dict, **more) -> bytes:
    return json.dumps(
        {"cells": list(cells) or [CODE], "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more
    ).encode()


def zipped(path, *files: tuple[str | zipfile.ZipInfo, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def who(source, aside=None) -> list[tuple[str, str]]:
    return [(s.student, s.file) for s in find(source, aside)]


def why_not(submission) -> str:
    with pytest.raises(ValueError) as error:
        submission.read()
    return str(error.value)


# ---------------------------------------------------------------- layouts


def test_a_folder_of_notebooks(tmp_path):
    for name in ("bob", "ann", "Émile Ünal", "李雷"):
        (tmp_path / f"{name}.ipynb").write_bytes(notebook())
    (tmp_path / "notes.txt").write_text("mine")
    aside = []
    assert [student for student, _ in who(tmp_path, aside)] == ["ann", "bob", "Émile Ünal", "李雷"]
    assert [(a.file, a.reason) for a in aside] == [("notes.txt", "not a notebook; it is not graded.")]
    assert all(cells_of(s.read()).cells == [(1, "x = 1")] for s in find(tmp_path))


def test_a_folder_per_student_with_attempts_in_order(tmp_path):
    for name in ("04-10", "04-2", "04"):
        (tmp_path / "ann").mkdir(exist_ok=True)
        (tmp_path / f"ann/{name}.ipynb").write_bytes(notebook())
    (tmp_path / "ann/.ipynb_checkpoints").mkdir()
    (tmp_path / "ann/.ipynb_checkpoints/04-checkpoint.ipynb").write_bytes(notebook())
    aside = []
    assert who(tmp_path, aside) == [("ann", "ann/04.ipynb"), ("ann", "ann/04-2.ipynb"), ("ann", "ann/04-10.ipynb")]
    assert "left behind" in aside[0].reason


def test_a_download_of_canvas(tmp_path):
    """Two students of one name are two, the late flag is not part of the name, and the number is kept for the roster."""
    files = ["doejane_123_900_04-2.ipynb", "doejane_456_901_04.ipynb", "roebob_LATE_789_902_my_work.ipynb"]
    download = zipped(tmp_path / "submissions.zip", *((name, notebook()) for name in files))
    found = list(find(download))
    assert [(s.student, s.name, s.lms) for s in found] == [
        ("doejane_123", "doejane", "123"),
        ("doejane_456", "doejane", "456"),
        ("roebob_789", "roebob", "789"),
    ]
    assert [s.note for s in found] == ["", "", "Canvas calls it late."]
    assert found[0].submitted[:10] in (
        time.strftime("%Y-%m-%d"),
        time.strftime("%Y-%m-%d", time.localtime(time.time() - 99)),
    )
    assert who(tmp_path) == who(download), "a folder that holds the download gives the same"


def test_a_download_of_moodle(tmp_path):
    folders = ("Jane Doe_1234567_assignsubmission_file_/04.ipynb", "Éva O_Hara_7_assignsubmission_file_/x/04.ipynb")
    download = zipped(tmp_path / "m.zip", *((name, notebook()) for name in folders))
    assert [(s.student, s.name, s.lms) for s in find(download)] == [
        ("Jane Doe_1234567", "Jane Doe", "1234567"),
        ("Éva O_Hara_7", "Éva O_Hara", "7"),
    ]
    flat = zipped(tmp_path / "flat.zip", ("Jane Doe_1234567_assignsubmission_file_04.ipynb", notebook()))
    assert [s.student for s in find(flat)] == ["Jane Doe_1234567"]


def test_a_folder_of_nbgrader_says_when_it_was_submitted(tmp_path):
    (tmp_path / "ann/ps1").mkdir(parents=True)
    (tmp_path / "ann/ps1/04.ipynb").write_bytes(notebook())
    (tmp_path / "ann/ps1/timestamp.txt").write_text("2026-10-01 15:58:23.948203 UTC")
    (found,) = find(tmp_path)
    assert (found.student, found.submitted) == ("ann", "2026-10-01T15:58:23+00:00")


def test_a_folder_around_everything_is_no_student(tmp_path):
    files = [(f"hw4/{name}.ipynb", notebook()) for name in ("ann", "bob")] + [("__MACOSX/hw4/._ann.ipynb", b"\0")]
    assert [student for student, _ in who(zipped(tmp_path / "a.zip", *files))] == ["ann", "bob"]
    deep = zipped(tmp_path / "b.zip", ("hw4/ann/04.ipynb", notebook()))
    assert who(deep) == [("ann", "ann/04.ipynb")]


def test_one_file_is_one_submission(tmp_path):
    (tmp_path / "ann.ipynb").write_bytes(notebook())
    assert who(tmp_path / "ann.ipynb") == [("ann", "ann.ipynb")]


def test_who_handed_in_something_else_is_not_lost(tmp_path):
    download = zipped(
        tmp_path / "c.zip",
        ("doejane_1_2_homework.pdf", b"%PDF"),
        ("doejane_1_2_photo.jpg", b""),
        ("roe_3_4_a.zip", b"PK"),
    )
    aside = []
    jane, roe = find(download, aside)
    assert why_not(jane).startswith("no notebook was handed in, but doejane_1_2_homework.pdf, doejane_1_2_photo.jpg.")
    assert why_not(roe) == "an archive inside the archive; it was not opened."
    assert [a.file for a in aside] == ["doejane_1_2_photo.jpg"]


def test_a_source_that_is_not_there_or_no_archive(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        list(find(tmp_path / "nowhere"))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match="not a zip archive that can be read"):
        list(find(tmp_path / "broken.zip"))
    (tmp_path / "empty").mkdir()
    assert who(tmp_path / "empty") == []


# ---------------------------------------------------------------- hostile folders


def test_links_are_reported_and_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(notebook())
    (tmp_path / "in").mkdir()
    (tmp_path / "in/ann.ipynb").symlink_to(secret)
    (tmp_path / "in/carol").symlink_to(tmp_path)
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    aside = []
    (ann,) = find(tmp_path / "in", aside)
    assert why_not(ann) == "a symbolic link; it was not followed."
    assert [a.file for a in aside] == ["carol", "loop"]


def test_a_link_that_takes_the_place_of_a_notebook_later_is_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in/ann.ipynb"
    path.write_bytes(notebook())
    (ann,) = find(tmp_path / "in")
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert why_not(ann).startswith("can't be read")


def test_a_pipe_does_not_hang_the_grader(tmp_path):
    os.mkfifo(tmp_path / "ann.ipynb")
    (ann,) = find(tmp_path)
    assert why_not(ann) == "not an ordinary file."


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "ann.ipynb", "wb") as file:
        file.truncate(submissions.MOST + 1)  # sparse
    (ann,) = find(tmp_path)
    assert "at most 200,000,000 are read" in why_not(ann)


def test_names_that_act_instead_of_being_read(tmp_path):
    """Escapes, direction marks, line ends and bytes that are no UTF-8 in a file name."""
    for name in (b"a\x1b[2Jb", "c\u202egnp".encode(), b"d\xff", b"e\nf"):
        with open(os.fsencode(tmp_path) + b"/" + name + b".ipynb", "wb") as file:
            file.write(notebook())
    found = list(find(tmp_path))
    assert [s.student for s in found] == ["a\\x1b[2Jb", "c\\u202egnp", "d\\udcff", "e f"]
    assert all(s.read() for s in found)


def test_a_folder_too_deep_and_times_that_are_none(tmp_path):
    deep = tmp_path.joinpath("ann", *["x"] * 20)
    deep.mkdir(parents=True)
    (tmp_path / "ann/04.ipynb").write_bytes(notebook())
    (tmp_path / "ann/timestamp.txt").write_text("yesterday")
    aside = []
    (ann,) = find(tmp_path, aside)
    assert ann.submitted == submissions.modified((tmp_path / "ann/04.ipynb").stat())
    assert submissions.modified(SimpleNamespace(st_mtime=1e18)) == ""
    assert [a.reason for a in aside if "levels" in a.reason] == [
        "a folder more than 12 levels down; it was not opened."
    ]


def test_one_student_with_and_without_canvass_flag_is_one(tmp_path):
    for name in ("doe_1_2_04.ipynb", "doe_LATE_1_3_notes.pdf"):
        (tmp_path / name).write_bytes(notebook())
    aside = []
    assert who(tmp_path, aside) == [("doe_1", "doe_1_2_04.ipynb")]
    assert [a.file for a in aside] == ["doe_LATE_1_3_notes.pdf"]


def test_two_names_that_look_the_same_are_not_one_submission(tmp_path):
    for name in ("\u00e9mile", "e\u0301mile"):  # composed, and not
        (tmp_path / f"{name}.ipynb").write_bytes(notebook())
    aside = []
    assert len(who(tmp_path, aside)) == 1
    assert aside[0].reason == "another file has the same name."


# ---------------------------------------------------------------- hostile archives


def info(name: str, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, (2026, 10, 1, 12, 0, 0))
    made.external_attr = mode << 16
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_each_bad_entry_is_refused_with_its_reason_and_the_others_are_read(tmp_path):
    files = [
        ("ann.ipynb", notebook()),
        ("../bob.ipynb", notebook()),
        ("/etc/carol.ipynb", notebook()),
        ("C:\\dan.ipynb", notebook()),
        ("x\\..\\..\\eve.ipynb", notebook()),
        (info("fay.ipynb", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (info("gus.ipynb", stat.S_IFIFO | 0o644), b""),
        ("ann.ipynb", b"again"),
        ("z/" * 600 + "hal.ipynb", b""),
    ]
    before = sorted(p.name for p in tmp_path.parent.rglob("*"))
    aside = []
    found = {s.file.split("/")[-1]: s for s in find(zipped(tmp_path / "a.zip", *files), aside)}
    assert cells_of(found["ann.ipynb"].read()).cells == [(1, "x = 1")]
    reasons = {name: why_not(s) for name, s in found.items() if name != "ann.ipynb"}
    assert reasons == {
        "bob.ipynb": "not read: its name climbs out of the archive.",
        "carol.ipynb": "not read: its name is an absolute path.",
        "dan.ipynb": "not read: its name is an absolute path.",
        "eve.ipynb": "not read: its name climbs out of the archive.",
        "fay.ipynb": "not read: it is a symbolic link.",
        "gus.ipynb": "not read: it is not an ordinary file.",
        "hal.ipynb": "not read: its name is longer than 1000 characters.",
    }
    assert [a.reason for a in aside] == ["another file has the same name."]
    assert sorted(p.name for p in tmp_path.parent.rglob("*")) == sorted([*before, "a.zip"])


def patched(path, name: str, at: int, value: bytes) -> None:
    """Overwrite a field of an entry's record in the central directory."""
    raw = bytearray(path.read_bytes())
    start = raw.rindex(name.encode()) - 46
    assert raw[start : start + 4] == b"PK\x01\x02"
    raw[start + at : start + at + len(value)] = value
    path.write_bytes(raw)


@pytest.mark.parametrize(
    "at, value, reason",
    [
        (8, struct.pack("<H", 1), "not read: it is encrypted."),
        (10, struct.pack("<H", 14), "not read: it is packed by method 14; 0 and 8 are known."),  # LZMA asks for memory
        (24, struct.pack("<I", 3_000_000_000), "not read: it has 3,000,000,000 bytes; at most 200,000,000 are read."),
        (24, struct.pack("<I", 10), "damaged in the archive: Bad CRC-32 for file 'ann.ipynb'"),
        (42, struct.pack("<I", 77), "damaged in the archive: Bad magic number for file header"),
    ],
    ids=["encrypted", "lzma", "large", "lies about its size", "offset"],
)
def test_an_entry_whose_record_lies(tmp_path, at, value, reason):
    path = zipped(tmp_path / "a.zip", ("ann.ipynb", notebook()), ("bob.ipynb", notebook()))
    patched(path, "ann.ipynb", at, value)
    ann, bob = find(path)
    assert why_not(ann).startswith(reason)
    assert bob.read() == notebook()


def test_a_bomb_is_refused_and_many_small_ones_share_an_allowance(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", ("ann.ipynb", bytes(70_000_000)), ("bob.ipynb", notebook()))
    ann, bob = find(path)
    assert why_not(ann).startswith("not read: it would blow up from 6")
    assert bob.read() == notebook()
    monkeypatch.setattr("minigrad.grading.archives.MOST_DENSE_IN_ALL", 2_500_000)
    many = zipped(tmp_path / "b.zip", *((f"s{i}.ipynb", bytes(1_000_000)) for i in range(5)))
    assert [fails(s) for s in find(many)] == [False, False, True, True, True]


def fails(submission) -> bool:
    try:
        submission.read()
    except ValueError:
        return True
    return False


def test_memory_stays_flat_over_many_submissions(tmp_path):
    one = notebook(CODE | {"outputs": [{"text": "y" * 200_000}]})
    path = zipped(tmp_path / "a.zip", *((f"s{i:03}.ipynb", one) for i in range(200)))
    tracemalloc.start()
    for submission in find(path):
        cells_of(submission.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000, f"{peak:,} bytes for 200 notebooks of 200 kB"


# ---------------------------------------------------------------- notebooks


def test_a_notebook_of_50_megabytes_of_outputs_is_read():
    raw = notebook(CODE, *[CODE | {"outputs": [{"data": {"image/png": "A" * 500_000}}]}] * 100)
    assert len(raw) > 50_000_000
    assert cells_of(raw).cells[:2] == [(1, "x = 1"), (2, "x = 1")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
def test_encodings(encoding):
    text = json.dumps({"cells": [CODE | {"source": "größe = 'é'"}]}, ensure_ascii=False)
    raw = ("\ufeff" * (encoding == "utf-16-be") + text).encode(encoding)
    read = cells_of(raw)
    assert read.cells == [(1, "größe = 'é'")]
    assert bool(read.notes) == (not encoding.startswith("utf-8"))


def test_line_ends_are_those_of_python():
    assert cells_of(notebook(CODE | {"source": ["a = 1\r\n", "b = 2\r", "c = 3"]})).cells == [
        (1, "a = 1\nb = 2\nc = 3")
    ]


def test_old_formats():
    new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Hi"), nbformat.v4.new_code_cell("x = 1")])
    old = nbformat.writes(new, version=3).encode()
    assert b"worksheets" in old
    assert cells_of(old).cells == [(2, "x = 1")]
    assert cells_of(old.replace(b'"nbformat": 3', b'"nbformat": 2')).cells == [(2, "x = 1")]
    assert cells_of(json.dumps({"cells": [{"cell_type": "code", "code": "x = 1"}]}).encode()).cells == [(1, "x = 1")]


def test_what_is_odd_is_noted_and_the_rest_read():
    cells = [7, "x", {"source": "y"}, CODE | {"source": None}, CODE | {"source": ["x = 1", 3]}, {"cell_type": []}, CODE]
    read = cells_of(json.dumps({"cells": cells, "metadata": float("nan")}).encode())
    assert read.cells == [(5, "x = 1"), (7, "x = 1")]
    assert len(read.notes) == 7
    assert "NaN is not a number that JSON knows" in read.notes[0]


def test_a_key_that_stands_twice():
    read = cells_of(b'{"cells": [{"cell_type": "code", "source": "first", "source": "last"}]}')
    assert read.cells == [(1, "last")]
    assert "'source' stands twice" in read.notes[0]


@pytest.mark.parametrize(
    "raw, says",
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"import numpy as np\n", "this is a Python script"),
        (b"print(1)\n", "this is a Python script"),
        (b"<!DOCTYPE html><html>", "this is an HTML page"),
        (b"PK\x03\x04...", "this is a zip archive"),
        (b"%PDF-1.7", "this is a PDF"),
        (b"[1, 2]", "the file holds a list"),
        (b"null", "the file holds nothing"),
        (b"{}", "it has no list of cells, but nothing"),
        (b'{"cells": {}}', "it has no list of cells, but 'cells'"),
        (b'{"cells": [\n {"cell_type": code}]}', "line 2, column 16: Expecting value"),
        (notebook()[:-30], "it ends in the middle, at line 1"),
        (b'{"cells": [\n<<<<<<< HEAD\n', "the marks of a merge conflict"),
        (b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"Dear Sir, I was ill.", "this is no JSON at all"),
        (b'{"cells": [' + b"9" * 10_000 + b"]", "it ends in the middle"),
        (notebook(CODE | {"source": "x" * 5_000_001}), "at most 5,000,000 are read"),
    ],
    ids=map(str, range(18)),
)
def test_what_is_no_notebook_is_told_in_words(raw, says):
    with pytest.raises(ValueError) as error:
        cells_of(raw)
    assert says in str(error.value)
    assert len(str(error.value)) < 300


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200))
def test_whatever_bytes_come_there_are_cells_or_a_sentence(raw):
    try:
        cells_of(raw)
    except ValueError as error:
        assert str(error).startswith("not a notebook")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cells", "cell_type", "source", "worksheets", "outputs", "input"]), inner, max_size=4
        )
    ),
)


@settings(deadline=None)  # the machine may be busy
@given(JSON)
def test_whatever_tree_comes_there_are_cells_or_a_sentence(tree):
    try:
        read = cells_of(json.dumps({"cells": tree}).encode())
    except ValueError as error:
        assert str(error).startswith("not a notebook")
    else:
        assert all(isinstance(n, int) and isinstance(code, str) for n, code in read.cells)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_whatever_is_made_of_an_archive_each_entry_is_read_or_refused(edits):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ann.ipynb", notebook())
        archive.writestr("bob/04.ipynb", notebook())
    raw = bytearray(made.getvalue())
    for edit in edits:
        at = sum(edit) * 7 % len(raw)
        raw[at : at + len(edit)] = edit
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"minigrad-{os.getpid()}.zip")
    try:
        with open(path, "wb") as file:
            file.write(raw)
        for submission in find(path):
            fails(submission)
    except ValueError:
        pass
    finally:
        os.unlink(path)
