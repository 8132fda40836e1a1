"""Notebooks that arrive damaged, old, edited or huge: each is made from one that is right."""

from __future__ import annotations

import copy
import json

from . import ID, POINTS, RELU, Attack, code, instead, packed, place

WRONG = "def relu_backward(G, X):\n    return 0"
MADE: list[Attack] = []


def file(score: float = POINTS, says: str = "", notes: str = "", slow: bool = False):
    """Registers a function that makes a submission."""

    def register(make):
        name = make.__name__.replace("_", " ")
        MADE.append(Attack(name, "file", (), (says,), (notes,) if notes else (), slow, score, make))
        return make

    return register


@file()
def a_cell_copied_with_its_id(nb):
    i = place(nb, ID)
    nb["cells"].insert(i, copy.deepcopy(nb["cells"][i]))
    return packed(nb)


@file()
def every_cell_twice(nb):
    nb["cells"] = [cell for cell in nb["cells"] for _ in range(2)]
    return packed(nb)


@file(0, "it ends in the middle")
def cut_off(nb):
    return packed(nb)[:-40]


@file(0, "it ends in the middle")
def cut_off_in_the_middle_of_a_letter(nb):
    raw = json.dumps(nb, ensure_ascii=False).encode()
    return raw[: max(i for i, byte in enumerate(raw) if byte > 0xC0) + 1]


@file(0, "the file is empty")
def nothing_at_all(nb):
    return b""


@file(0, "not a notebook")
def zeros(nb):
    return bytes(100_000)


@file(0, "not a notebook")
def noise(nb):
    return bytes((i * 7919 + 13) % 256 for i in range(10_000))


@file(0, "an HTML page")
def the_view_of_a_notebook(nb):
    return b"<!DOCTYPE html><html><script>alert(1)</script></html>"


@file(0, "too deeply")
def nested_a_million_deep(nb):
    return b'{"cells": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"


@file(notes="Latin-1")
def in_latin_1(nb):
    nb["cells"][0]["source"] = "r\xe9sum\xe9"
    for cell in nb["cells"]:
        cell["source"] = cell["source"].encode("latin-1", "replace").decode("latin-1")
    return json.dumps(nb, ensure_ascii=False).encode("latin-1", "replace")


@file(notes="UTF-16")
def in_utf_16(nb):
    return json.dumps(nb, ensure_ascii=False).encode("utf-16")


@file()
def with_a_byte_order_mark(nb):
    return b"\xef\xbb\xbf" + packed(nb)


@file()
def with_the_line_ends_of_windows(nb):
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    return json.dumps(nb, indent=1).replace("\n", "\r\n").encode()


@file()
def with_the_line_ends_of_an_old_mac(nb):
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r")
    return packed(nb)


@file(notes="old notebook format")
def in_format_3(nb):
    cells = [
        {"cell_type": "code", "input": cell["source"], "outputs": [], "language": "python", "collapsed": False}
        for cell in nb["cells"]
        if cell["cell_type"] == "code"
    ]
    return json.dumps({"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}).encode()


@file()
def in_a_format_of_the_future(nb):
    return packed(nb | {"nbformat": 9, "nbformat_minor": 1})


@file()
def outputs_of_50_megabytes(nb):
    nb["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * (50 << 20)}]
    return packed(nb)


@file(slow=True)
def outputs_of_a_million_lines(nb):
    nb["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": [f"{i}, 0.5\n" for i in range(1_000_000)]}
    ]
    return packed(nb)


@file(POINTS - RELU, "dX is 0")
def points_in_its_metadata(nb):
    for cell in nb["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("grade"):
            about["points"] = 100
            cell["source"] = "pass"
    nb["metadata"]["points"] = nb["metadata"]["score"] = 1000
    return packed(instead(nb, ID, [WRONG]))


@file(POINTS - RELU, "dX is 0")
def checks_edited(nb):
    for cell in nb["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = "check = lambda *a: True\nassert True"
    return packed(instead(nb, ID, [WRONG]))


@file(POINTS - RELU, "dX is 0")
def outputs_that_say_it_passed(nb):
    said = {"output_type": "stream", "name": "stdout", "text": "✔ 4.13 ReLU, 1 point"}
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [said]
    return packed(instead(nb, ID, [WRONG]))


@file()
def another_kernel(nb):
    nb["metadata"]["kernelspec"] = {"name": "evil; rm -rf", "display_name": "x", "language": "R"}
    nb["metadata"]["language_info"] = {"name": "julia"}
    return packed(nb)


@file()
def no_metadata_at_all(nb):
    cells = [{"cell_type": cell["cell_type"], "source": cell["source"]} for cell in nb["cells"]]
    return json.dumps({"cells": cells}).encode()


@file()
def metadata_that_are_none(nb):
    for cell in nb["cells"]:
        cell["metadata"] = ["no", "object"]
        cell["outputs"] = {"no": "list"}
    return packed(nb | {"metadata": 7})


@file()
def every_check_deleted(nb):
    nb["cells"] = [c for c in nb["cells"] if not c["metadata"].get("nbgrader", {}).get("grade")]
    return packed(nb)


@file(POINTS - RELU, "There is no relu_backward")
def an_answer_deleted(nb):
    del nb["cells"][place(nb, ID)]
    return packed(nb)


@file(POINTS - RELU, "There is no relu_backward")
def an_answer_renamed(nb):
    return packed(instead(nb, ID, ["def relu_gradient(G, X):\n    return G * (X > 0)"]))


@file(POINTS - RELU, "There is no relu_backward")
def an_answer_in_a_cell_of_prose(nb):
    nb["cells"][place(nb, ID)]["cell_type"] = "markdown"
    return packed(nb)


@file()
def ids_and_names_of_cells_changed(nb):
    for i, cell in enumerate(nb["cells"]):
        cell["id"] = "same"
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["grade_id"] = f"mine-{i}"
    return packed(nb)


@file()
def answers_in_reverse_order(nb):
    first = next(i for i, c in enumerate(nb["cells"]) if c["cell_type"] == "code")
    nb["cells"] = nb["cells"][: first + 1] + nb["cells"][first + 1 :][::-1]
    return packed(nb)


@file()
def everything_in_one_cell(nb):
    kept = [c["source"] for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
    return packed([code("import numpy as np\n" + "\n\n".join(kept))])


@file(POINTS - RELU, "There is no relu_backward")
def a_syntax_error_in_one_cell(nb):
    return packed(instead(nb, ID, ["def relu_backward(G, X):\nreturn G * (X > 0)"]))


@file(notes="ModuleNotFoundError: No module named 'pandas'")
def an_import_that_is_missing_beside(nb):
    nb["cells"].insert(1, code("import pandas as pd"))
    return packed(nb)


@file()
def a_thousand_cells(nb):
    nb["cells"] += [code(f"x{i} = {i}") for i in range(1000)]
    return packed(nb)


@file()
def cells_that_are_none(nb):
    nb["cells"][1:1] = [
        None,
        7,
        "cell",
        [],
        {},
        {"cell_type": "code"},
        {"cell_type": "code", "source": 7},
        {"source": "x"},
    ]
    return packed(nb)


@file(slow=True)
def a_hundred_thousand_cells_that_fail(nb):
    nb["cells"] += [code("x_" + "y" * 30)] * 100_000
    return packed(nb)


@file()
def a_million_empty_lines(nb):
    nb["cells"].append(code("\n" * 1_000_000 + "x = 1"))
    return packed(nb)


@file()
def an_object_with_many_keys_and_one_of_them_twice(nb):
    many = ", ".join(f'"k{i}": 0' for i in range(100_000))
    return packed(nb)[:-1] + f', "more": {{{many}, "k99999": 1}}}}'.encode()


@file(0, "characters of code")
def more_code_than_anybody_writes(nb):
    nb["cells"].append(code("x = 1\n" * 1_000_000))
    return packed(nb)


@file()
def a_line_of_a_million_characters(nb):
    nb["cells"].append(code("x = '" + "y" * 1_000_000 + "'"))
    return packed(nb)


@file()
def lone_halves_of_letters(nb):
    nb["cells"].append(code("x = '\ud83d'"))
    nb["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "\udcff\x00"})
    return packed(nb)


@file()
def a_cell_with_a_zero_byte(nb):
    nb["cells"].append(code("x = 1\x00"))
    return packed(nb)


@file()
def numbers_that_json_does_not_know(nb):
    return packed(nb | {"metadata": {"x": float("nan"), "y": float("inf")}})


@file()
def a_number_of_a_million_digits(nb):
    return packed(nb)[:-1] + b', "n": ' + b"9" * 1_000_000 + b"}"
