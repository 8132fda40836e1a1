"""Which submission counts, how late it is and what an instructor decided: applied by rules that can be read, from files that are checked."""

from __future__ import annotations

import pytest

from minigrad.grading import policy
from minigrad.grading.course import Course, Late
from minigrad.grading.csvfile import cell
from minigrad.grading.policy import Override, Setting, grade, preference
from minigrad.grading.record import Item, Record
from minigrad.grading.roster import Person, Roster, read_roster
from minigrad.grading.submissions import Aside

TASKS = {"4.1": ("Addition", 1), "4.2": ("Product", 3)}
KNOWN = {"04": ("4.1", "4.2"), "05": ("5.1",)}
VIENNA = 'timezone = "Europe/Vienna"\n'


def record(student="ann", scores=(1, 3), submitted="", file="", **more) -> Record:
    items = tuple(
        Item(id, title, points, score) for (id, (title, points)), score in zip(TASKS.items(), scores, strict=True)
    )
    return Record(student, file or f"{student}.ipynb", "0" * 64, "04", items, submitted=submitted, **more)


def written(tmp_path, name: str, text: str | bytes):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def setting(tmp_path, **files: str) -> Setting:
    ends = {"course": "toml"}
    paths = {name: written(tmp_path, f"{name}.{ends.get(name, 'csv')}", text) for name, text in files.items()}
    return policy.read(**paths, known=KNOWN)


def graded(made: Setting, of: Record | None, tasks=TASKS):
    person = made.person(of) if of else Person("ann")
    return grade(made, person, "04", of, policy.tasks_of(made, "04", tasks))


# ---------------------------------------------------------------- late days


@pytest.mark.parametrize(
    "submitted, days, final",
    [
        ("2026-10-01T23:59:00", 0, 4),
        ("2026-10-02T00:14:00", 0, 4),  # within the grace
        ("2026-10-02T00:15:00", 1, 3.6),  # one minute more: it counts from the deadline
        ("2026-10-02T23:59:00", 1, 3.6),
        ("2026-10-03T00:00:00", 2, 3.2),
        ("2026-10-30T00:00:00", 29, 2),  # at most 50 %
        ("2026-10-01T21:59:00+00:00", 0, 4),  # the same moment as the deadline, in another zone
        ("2026-10-01T23:59:00+00:00", 1, 3.6),
        ("", 0, 4),
    ],
)
def test_days_late_cost_what_the_rule_says(tmp_path, submitted, days, final):
    rule = VIENNA + "[late]\nper_day = 10\nmost = 50\ngrace_minutes = 15\n"
    made = graded(
        setting(tmp_path, course=rule, deadlines="set,due\n4,2026-10-01T23:59\n"), record(submitted=submitted)
    )
    assert (made.late.days, made.raw) == (days, 4)
    assert made.final == pytest.approx(final)
    assert bool(made.late.note) == (submitted == ""), "an unknown time is not counted, and said"


def test_a_date_alone_is_until_its_end(tmp_path):
    made = setting(tmp_path, course=VIENNA, deadlines="set;due\n04;2026-10-01\n")
    assert graded(made, record(submitted="2026-10-01T23:59:59")).late.days == 0
    assert graded(made, record(submitted="2026-10-02T00:00:01")).late.days == 1


def test_extra_days_are_a_students_own(tmp_path):
    made = setting(
        tmp_path,
        course=VIENNA + "late = {per_day = 25}",
        deadlines="set,due\n04,2026-10-01T12:00\n05,2026-10-01T12:00\n",
        accommodations="student,extra_days,set\nann,2,\nbob,1.5,05\n",
    )
    late = "2026-10-03T11:00:00"
    assert [graded(made, record(who, submitted=late)).late.days for who in ("ann", "bob", "carol")] == [0, 2, 2]


def test_what_canvas_calls_late_is_said_where_no_time_shows_it(tmp_path):
    flagged = record(submitted="2026-10-01T10:00:00", notes=("Canvas calls it late.",))
    assert "no deadline is known" in graded(Setting(), flagged).late.note
    made = setting(tmp_path, course=VIENNA, deadlines="set,due\n04,2026-10-01T12:00\n")
    assert "by the time of the file it is not" in graded(made, flagged).late.note


# ---------------------------------------------------------------- which one counts


def test_of_several_the_last_or_the_best_counts():
    first = record(submitted="2026-10-01T10:00:00", file="a-2.ipynb")
    last = record(submitted="2026-10-01T10:00:00", file="a-10.ipynb", scores=(1, 0))
    for counts, wanted in (("last", last), ("best", first)):
        made = Setting(Course(counts=counts))
        best = max((first, last), key=lambda r: preference(made, r, r.score))
        assert best is wanted


def test_a_broken_or_empty_file_does_not_take_the_place_of_work():
    """Somebody adds a scratch notebook to the folder, or the second upload is cut off."""
    work = record(submitted="2026-10-01T10:00:00", scores=(1, 0))
    cut_off = record(submitted="2026-10-02T10:00:00", scores=(0, 0), error="not a notebook: it ends in the middle")
    scratch = record(submitted="2026-10-03T10:00:00", scores=(0, 0))
    for counts in ("last", "best"):
        made = Setting(Course(counts=counts))
        assert max((work, cut_off, scratch), key=lambda r: preference(made, r, r.score)) is work


# ---------------------------------------------------------------- the course file


def test_points_and_a_subset_of_tasks(tmp_path):
    made = setting(tmp_path, course='[sets.04]\ntasks = ["4.2"]\npoints = {"4.2" = 10}\n')
    of = graded(made, record(scores=(1, 1.5)))
    assert [(m.id, m.score, m.points) for m in of.marks] == [("4.2", 5, 10)]
    assert (of.raw, of.points) == (5, 10)


def test_a_task_that_was_not_graded_is_said(tmp_path):
    made = setting(tmp_path, course='[sets.04]\ntasks = ["4.1", "4.2"]\n')
    only = Record("ann", "ann.ipynb", "", "04", (Item("4.1", "Addition", 1, 1),))
    assert graded(made, only, {"4.1": ("Addition", 1)}).marks[1].reason == policy.NOT_GRADED


@pytest.mark.parametrize(
    "text, says",
    [
        ("title = 3", "course.toml, line 1, title: 3; allowed is a text."),
        ("\ncounts = 'first'", "line 2, counts: 'first'; allowed is 'last' or 'best'."),
        ("[late]\nper_day = -1", "line 2, late.per_day: -1; allowed is a number from 0 to 100."),
        ("[late]\nper_day = nan", "late.per_day: nan;"),
        ("[late]\nmost = true", "late.most: True;"),
        ("late = 10", "late: 10; allowed is a table."),
        ("[sets.04]\n\npoints = {'4.2' = inf}", "line 3, sets.04.points.4.2: inf; allowed is a number, 0 or more."),
        ("[sets.04]\ntasks = ['4.1', '4.22']", "line 2, sets.04.tasks: '4.22'; allowed is a task of set 04, in quotes; did you mean '4.2'?"),
        ("[sets.04]\ntasks = [4.1]", "sets.04.tasks: 4.1; allowed is a task of set 04, in quotes."),
        ("[sets.04]\ntasks = ['4.1', '4.1']", "allowed is each task once."),
        ("[sets.99]\n", "sets.99: '99'; allowed is one of the sets 04, 05."),
        ("due = 1", "line 1, due: 'due'; allowed is title or version or counts or timezone or late or sets."),
        ("timezone = 'Mars'", "timezone: 'Mars'; allowed is a name such as 'Europe/Vienna'."),
        ("title = \nx = 1", "course.toml: not TOML: Invalid value (at line 1, column 9)"),
        (b"title = '\xff'", "course.toml, line 1: not UTF-8."),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_course_file_is_told_with_its_place(tmp_path, text, says):
    with pytest.raises(ValueError) as error:
        setting(tmp_path, course=text)
    assert says in str(error.value)


# ---------------------------------------------------------------- overrides


def test_an_override_of_a_task_and_one_of_the_set(tmp_path):
    """The first is subject to the penalty, the second is final; both leave what was graded to be seen."""
    files = {"course": VIENNA + "late = {per_day = 50}", "deadlines": "set,due\n04,2026-10-01T12:00\n"}
    made = setting(
        tmp_path, **files, overrides="student,task,score,comment,set\nann,4.2,2,half right,\nbob,,3.5,ill,4\n"
    )
    ann = graded(made, record("ann", (1, 0), submitted="2026-10-01T13:00:00"))
    assert (ann.marks[1].score, ann.marks[1].graded, ann.raw, ann.final) == (2, 0, 3, 1.5)
    assert ann.marks[1].override.comment == "half right"
    bob = graded(made, record("bob", (1, 0), submitted="2026-10-01T13:00:00"))
    assert (bob.raw, bob.final) == (1, 3.5)
    assert graded(made, record("carol", (1, 0))).final == 1


def test_an_override_reaches_who_handed_in_nothing():
    made = Setting(overrides=(Override("ann", "4.1", 1),))
    assert graded(made, None).final == 1


def test_a_mistyped_student_is_reported():
    made = Setting(overrides=(Override("anm", "4.1", 1, line=7),), accommodations={("bpb", ""): 2})
    assert made.unused([Person("ann")]) == [
        "Overrides, line 7: 'anm', who is not in this class.",
        "Accommodations: 'bpb', who is not in this class.",
    ]


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("overrides", "student,task,score\nann,4.1,x\n", "overrides.csv, line 2, column score: 'x'; allowed is a number, 0 or more."),
        ("overrides", "student,task,score\n\nann,4.1,nan\n", "line 3, column score: 'nan';"),
        ("overrides", "student,task,score\nann,4.1,-1\n", "column score: '-1';"),
        ("overrides", "student,task,score\nann,4.9,1\n", "column task: '4.9';"),
        ("overrides", "student,task,score\n,4.1,1\n", "column student: '';"),
        ("overrides", "student,task,score\nann,4.1,1\nANN,4.1,2\n", "line 3, column task: '4.1'; allowed is one override for a student and a task; line 2 is another."),
        ("overrides", "student,tusk,score\nann,4.1,1\n", "line 1: no column task. There are student, tusk, score; known are student, task, score, comment, set. Rename 'tusk' if it is that."),
        ("overrides", "student,task,score\nann,4.1,1,,,x\n", "line 2: 6 cells; the header has 3."),
        ("overrides", "student,task,score\n\"ann,4.1,1\n", "not CSV: unexpected end of data."),
        ("overrides", "student,student,task,score\n", "line 1: two columns for student."),
        ("overrides", "", "overrides.csv: the file is empty."),
        ("overrides", b"student,task,score\n\xff,4.1,1", "overrides.csv, line 2: not UTF-8."),
        ("deadlines", "set,due\n04,soon\n", "deadlines.csv, line 2, column due: 'soon'; allowed is a moment such as"),
        ("deadlines", "set,due\n44,2026-10-01\n", "column set: '44'; allowed is one of 04, 05."),
        ("deadlines", "set,due\n4,2026-10-01\n04,2026-10-02\n", "line 3, column set: '04'; allowed is one deadline for each set"),
        ("accommodations", "student,extra_days\nann,two\n", "column extra_days: 'two'; allowed is a number of days"),
        ("roster", "id,name\n1,Ann\n1,Bob\n", "roster.csv, line 3, column id: '1'; allowed is one line for each student; this one stands in line 2 already."),
        ("roster", "id,lms_id\na,1\nb,1\n", "line 3, column lms_id: '1';"),
        ("roster", "id,name\n,Ann\n", "line 2, column id: '';"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_table_is_told_with_its_place(tmp_path, name, text, says):
    with pytest.raises(ValueError) as error:
        setting(tmp_path, **{name: text})
    assert says in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="nowhere.csv: can't be read: No such file"):
        policy.read(roster=tmp_path / "nowhere.csv")


# ---------------------------------------------------------------- the roster


def test_a_roster_finds_students_by_what_the_download_calls_them(tmp_path):
    roster = read_roster(
        written(tmp_path, "r.csv", "\ufeffID;Name;LMS_ID;Email\ns1;Jane Doe;123;jd@x.org\ns2;Bob Roe;;\n")
    )
    made = Setting(roster=roster)
    canvas = record("doejane_123", lms="123", name="doejane")
    moodle = record("bob  roe_77", lms="77", name="bob  roe")
    assert [made.person(r).id for r in (canvas, moodle, record("s2"), record("JD@x.org"))] == ["s1", "s2", "s2", "s1"]
    stranger = made.person(record("eve"))
    assert (stranger.id, stranger.known) == ("eve", False)


def test_two_of_one_name_are_not_mistaken_for_each_other():
    roster = Roster([Person("s1", "Jane Doe"), Person("s2", "Jane Doe")])
    assert Setting(roster=roster).person(record("Jane Doe_5", name="Jane Doe", lms="5")).known is False


def test_an_override_for_an_id_does_not_reach_whose_other_number_it_is():
    made = Setting(
        roster=Roster([Person("7", lms_id="9"), Person("9", lms_id="3")]), overrides=(Override("9", "4.1", 1),)
    )
    assert [list(made.overrides_of(made.roster.people[id], "04")) for id in ("7", "9")] == [[], ["4.1"]]


def test_what_canvas_and_moodle_export_is_a_roster(tmp_path):
    canvas = 'Student,ID,SIS User ID,SIS Login ID,Section,HW (12)\n    Points Possible,,,,,30\n"Doe, Jane",123,u1,jdoe,A,\nTest Student,,,,,\n'
    people = read_roster(written(tmp_path, "c.csv", canvas)).people
    assert list(people.values()) == [Person("jdoe", "Doe, Jane", "123", "", "u1", "jdoe", "A")]
    moodle = 'Identifier,"Full name","Email address",Status,Grade\n"Participant 77","Jane Doe",jd@x.org,-,\n'
    people = read_roster(written(tmp_path, "m.csv", moodle)).people
    assert list(people.values()) == [Person("77", "Jane Doe", "77", "jd@x.org")]


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "|", "%", "＝"])
def test_no_text_becomes_a_formula(start):
    assert cell(f"{start}cmd|' /C calc'!A0")[0] == "'"


def test_numbers_stay_numbers():
    assert [cell(x) for x in (-1.5, "-1.5", 0.1 + 0.2, "12")] == ["-1.5", "-1.5", "0.3", "12"]


def test_the_sentences_of_the_rules():
    made = Setting(Course(counts="best", late=Late(10, 50, 15)), deadlines={"04": None}, aside=[Aside("a", "b", "c")])
    assert policy.rules(made) == [
        "Of several submissions of a student the one with the best final score counts, of those with an answer in them.",
        "Each day late that has begun costs 10 % of the score, at most 50 %, after 15 minutes of grace.",
    ]
    assert "There is no deadline." in policy.rules(Setting())
    assert str(Late()) == "Being late costs nothing."
