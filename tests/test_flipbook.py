"""Flipbooks tell each step of both passes, in HTML that needs nothing; figures and ranges become flipbooks too."""

import gc
import html
import importlib
import re
import subprocess
import sys
import weakref
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from test_draw import GRAPHS, document, leaf, mlp, random_pool

import minigrad as mg
from minigrad import draw
from minigrad.context import Observer, observing
from minigrad.draw import numbers, rules, share
from minigrad.draw.flipbook import plain
from minigrad.draw.text import name_html
from minigrad.graph import backward_pass

explore_module = importlib.import_module("minigrad.draw.explore")
matplotlib.use("Agg")

GRAPHS = {name: build for name, build in GRAPHS.items() if name != "constant"}
GRAPHS["random"] = lambda: sum(random_pool(8), start=0.0)


@pytest.fixture(params=GRAPHS)
def build(request):
    return GRAPHS[request.param]


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def tensor(build, request):
    if not request.param:
        return build()
    with mg.trace():
        return build()


@pytest.fixture(autouse=True)
def in_a_book(monkeypatch):
    monkeypatch.setenv("MINIGRAD_STATIC", "1")


def tree(flipbook):
    return ElementTree.fromstring(flipbook._repr_html_())


def pages(root):
    """The elements that hold the frames, and those that hold the captions."""
    return list(root.find(".//div[@class='mg-frames']")), list(root.find(".//figcaption"))


def figure(heights, size=(3, 2), **style):
    fig = Figure(figsize=size)
    ax = fig.subplots()
    ax.plot(heights, color="#0b5fa5", **style)
    ax.set_ylim(0, 1)
    return fig


# ---------------------------------------------------------------- the two passes, step by step


def test_the_document_s_example_is_told_with_its_numbers():
    assert draw.flipbook(lambda x, y: (2 * x + x * y) ** 2, x=3.0, y=4.0).captions == [
        "Leaves. x = 3, y = 4.",
        "Forward, 1 of 4. x = 3 goes through a multiplication by 2, giving I1 = 6.",
        "Forward, 2 of 4. x = 3 and y = 4 meet in a multiplication, giving I2 = 12.",
        "Forward, 3 of 4. I1 = 6 and I2 = 12 meet in an addition, giving I3 = 18.",
        "Forward, 4 of 4. I3 = 18 goes through the power 2, giving L = 324.",
        "Backward begins. The gradient of L with respect to itself is 1.",
        "Backward, 1 of 4, at L. Upstream gradient: g = 1. I3 receives g · 2 · I3 = 1 · 2 · 18 = 36.",
        "Backward, 2 of 4, at I3. Upstream gradient: g = 36. I1 receives g = 36. I2 receives g = 36.",
        "Backward, 3 of 4, at I2. Upstream gradient: g = 36. x receives g · y = 36 · 4 = 144. y receives g · x = 36 · 3 = 108.",
        "Backward, 4 of 4, at I1. Upstream gradient: g = 36. "
        "x receives g · 2 = 36 · 2 = 72, and with 144 from before that is 216.",
        "The gradients of the leaves are complete. x: 216, y: 108.",
    ]


def test_a_page_for_the_leaves_each_operation_twice_the_start_and_the_end(tensor):
    assert len(draw.flipbook(tensor).frames) == 1 + 2 * len(draw.graph(tensor).squares) + 2


def test_every_contribution_is_told_on_the_page_of_its_node(tensor):
    class Listener(Observer):
        told = []

        def contributed(self, node, position, g, contribution):
            self.told.append((node, numbers.equal(g), numbers.text(contribution)))

    captions = [c for c in draw.flipbook(tensor).captions if " at " in c]
    with observing(Listener()) as listener:
        backward_pass(tensor.node, np.ones(tensor.shape)[()], retain=True)
    visits = list(dict.fromkeys(node for node, _, _ in listener.told))
    assert len(captions) == len(visits)
    for caption, node in zip(captions, visits, strict=True):
        contributions = [(g, text) for other, g, text in listener.told if other is node]
        assert caption.count(" receives ") == len(contributions)
        for g, text in contributions:
            assert f"Upstream gradient: g{g}." in caption
            assert text in caption


def test_the_last_page_has_backward_s_gradients(tensor):
    last = draw.flipbook(tensor).captions[-1]
    g = draw.graph(tensor)
    leaves = [node for node in draw.read(tensor)[2] if getattr(node, "op", node) is None]
    tensor.backward(np.ones(tensor.shape))
    names = [circle.name for circle in g.circles if circle.kind == "leaf"]
    texts = [f"{plain(name_html(name))}: {numbers.text(leaf.grad)}" for name, leaf in zip(names, leaves, strict=True)]
    if g.squares:
        assert last == f"The gradients of the leaves are complete. {', '.join(texts)}."
    else:
        assert last.endswith("x: 1.")


def test_no_gradient_is_touched_and_the_graph_stays_usable():
    x = leaf(3.0, "x")
    L = x**2 * x
    L.backward(retain_graph=True)
    before = x.grad.copy()
    first = draw.flipbook(L)
    assert x.grad == before
    assert draw.flipbook(L).captions == first.captions
    L.backward()
    assert x.grad == 2 * before


def test_nothing_of_the_graph_is_kept():
    gc.collect()
    gc.disable()
    try:
        with mg.trace():
            t = mlp()
        node = weakref.ref(t.node)
        flipbook = draw.flipbook(t)
        del t
        assert node() is None
        assert flipbook.frames
    finally:
        gc.enable()


def test_what_was_not_traced_is_told_in_shapes():
    x = leaf(np.ones((5, 3)), "x")
    captions = draw.flipbook((x * 2).sum()).captions
    assert captions[0] == (
        "Leaves. x of shape (5, 3). Values were not kept: only a graph made under minigrad.trace() shows them."
    )
    assert captions[1].endswith("x of shape (5, 3) goes through a multiplication by 2, giving I1 of shape (5, 3).")
    assert captions[4].endswith("I1 receives g, handed to every element that was summed, of shape (5, 3).")


def test_small_arrays_are_told_in_numbers_and_broadcasting_in_words():
    X = mg.Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), name="X")
    flipbook = draw.flipbook(lambda b: X + b, b=[1.0, 0.5], gradient=[[1.0, 10.0], [100.0, 1000.0]])
    assert flipbook.captions[0] == "Leaves. b = [1, 0.5]. Constants. X = [[1, 2], [3, 4]]."
    assert flipbook.captions[2] == "Backward begins. It starts from the gradient given for L = [[1, 10], [100, 1000]]."
    assert "b receives g, summed over the axes along which it was stretched: [101, 1010]." in flipbook.captions[3]
    root = tree(flipbook)
    assert "grad [101, 1010]" in [e.text for e in root.iter("text")]
    assert ["[[1, 2],", "[3, 4]]"] == [e.text for e in root.iter("text") if e.text in ("[[1, 2],", "[3, 4]]")]


def test_a_large_tensor_used_twice_accumulates_in_words():
    x = leaf(np.ones((5, 3)), "x")
    assert "x receives g · x, of shape (5, 3), which is added to what came before." in str(draw.flipbook(x * x))
    assert "starts from ones: the gradient of the sum" in str(draw.flipbook(x * x))


def test_tensors_given_to_a_function_stay_what_they_are():
    c, x = mg.Tensor(2.0, name="c"), leaf(3.0, "theirs")
    flipbook = draw.flipbook(lambda c, x: c * x, c=c, x=x)
    assert flipbook.captions[0] == "Leaves. theirs = 3. Constants. c = 2."
    assert x.grad is None


def test_label_and_direction():
    down = draw.flipbook(lambda x: x * x, x=3.0, label="A square", direction="down")
    assert repr(down).startswith("A square\n1. Leaves.")
    assert tree(down).find("figure").get("aria-label") == "A square"
    assert down.frames[0].picture != draw.flipbook(lambda x: x * x, x=3.0).frames[0].picture


def test_what_can_not_be_turned_is_refused_with_advice():
    x = leaf(3.0, "x")
    with pytest.raises(RuntimeError, match="requires a gradient. Make a leaf"):
        draw.flipbook(mg.Tensor(3.0))
    with pytest.raises(TypeError, match=r"\['y'\] are for a function"):
        draw.flipbook(x * x, y=3.0)
    with pytest.raises(ValueError, match=r"gradient of shape \(2,\) for a tensor of shape \(\)"):
        draw.flipbook(x * x, gradient=[1.0, 2.0])
    t = x
    for _ in range(61):
        t = t.sigmoid()
    with pytest.raises(ValueError, match="61 operations"):
        draw.flipbook(t)
    used = x * x
    used.backward()
    with pytest.raises(RuntimeError, match="let go"):
        draw.flipbook(used)


# ---------------------------------------------------------------- what is seen


def test_the_current_operation_has_a_ring_and_a_pointer():
    flipbook = draw.flipbook(document("3.7"))
    marks = [
        [
            part[0].tag.partition("}")[2]
            for part in ElementTree.fromstring(picture).iter()
            if part.get("class") == "mg-here"
        ]
        for picture, _ in flipbook.frames
    ]
    assert marks[0] == marks[-1] == []
    assert marks[5] == ["circle"]  # where the backward pass begins
    for k in (*range(1, 5), *range(6, 10)):
        assert marks[k].count("circle") == marks[k].count("rect") == 1
        assert marks[k][-1] == "path"


def test_values_appear_forward_and_gradients_backward():
    with mg.trace():
        t = document("3.7")
    labels = [ElementTree.fromstring(picture).get("aria-label") for picture, _ in draw.flipbook(t).frames]
    assert labels[0] == "The graph with what is known so far: x = 3; y = 4."
    assert labels[4].endswith("x = 3; y = 4; I1 = 6; I2 = 12; I3 = 18; L = 324.")
    assert labels[5].endswith("L = 324. Gradients: L 1.")
    assert labels[-1].endswith("Gradients: x 216; y 108; I1 36; I2 36; I3 36; L 1.")
    sizes = {ElementTree.fromstring(picture).get("viewBox") for picture, _ in draw.flipbook(t).frames}
    assert len(sizes) == 1


def test_a_flipbook_is_small():
    with mg.trace():
        t = document("3.7")
    assert len(draw.flipbook(t).html().encode()) < 25_000
    with mg.trace():
        t = mlp()
    assert len(draw.flipbook(t).html().encode()) < 60_000


# ---------------------------------------------------------------- HTML


def test_without_scripts_the_last_page_is_seen_and_no_control(tensor):
    flipbook = draw.flipbook(tensor)
    for pile in pages(tree(flipbook)):
        assert [e.get("hidden") is None for e in pile] == [False] * (len(pile) - 1) + [True]
    (controls,) = tree(flipbook).findall(".//div[@class='mg-turn']")
    assert controls.get("hidden") is not None


def test_ids_are_unique_and_every_reference_finds_its_target(tensor):
    flipbook = draw.flipbook(tensor)
    page = flipbook._repr_html_() + flipbook._repr_html_() + draw.flipbook(document("3.6"))._repr_html_()
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_the_last_picture_needs_no_other(tensor):
    *_, last = pages(tree(draw.flipbook(tensor)))[0]
    ids = {e.get("id") for e in last.iter()}
    assert all(e.get("href")[1:] in ids for e in last.iter("use"))


def test_everything_has_a_name():
    root = tree(draw.flipbook(document("3.6")))
    assert root.find("figure").get("aria-label").startswith("Graph: x goes through")
    assert [button.get("aria-label") for button in root.iter("button")] == ["Step: back", "Step: on"]
    assert [label.text.strip() for label in root.iter("label")] == ["Step"]
    assert root.find(".//label/input").get("type") == "range"
    assert root.find(".//figcaption").get("aria-live") == "polite"
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in root.iter("svg"))


def test_names_that_look_like_markup_stay_text():
    flipbook = draw.flipbook(leaf(1.0, "a<b>&\"c'") * leaf(2.0, "</p><script>"))
    root = tree(flipbook)
    assert not list(root.iter("script"))
    assert "</p><script>" in "".join(root.find(".//figcaption").itertext())
    assert "a<b>&\"c'" in flipbook.captions[0]


def test_a_notebook_brings_style_and_script_and_a_page_does_not(monkeypatch):
    flipbook = draw.frames(["one", "two"], ["First.", "Second."], label="Two")
    assert flipbook._repr_html_().startswith("<mg-flipbook")
    monkeypatch.delenv("MINIGRAD_STATIC")
    shown = flipbook._repr_html_()
    assert shown.startswith("<style>")
    assert shown.rstrip().endswith("</script>")
    assert shown.count("</script") == 1
    assert 'customElements.define("mg-flipbook"' in shown


# ---------------------------------------------------------------- sharing


def expanded(element, found):
    """The element as it was before parts of it became references."""
    if element.tag == "use" and element.get("href")[1:] in found:
        return expanded(found[element.get("href")[1:]], found)
    copy = ElementTree.Element(element.tag, {k: v for k, v in element.attrib.items() if k != "id"})
    copy.text, copy.tail = element.text, None
    copy.extend(expanded(child, found) for child in element)
    return copy


def test_shared_pictures_show_what_they_showed(tensor):
    pictures = [picture for picture, _ in draw.flipbook(tensor).frames]
    found = {
        e.get("id"): e for svg in share.share(pictures, "p") for e in ElementTree.fromstring(svg).iter() if e.get("id")
    }
    for picture, small in zip(pictures, share.share(pictures, "p"), strict=True):
        before = expanded(share.tidied(share.without_namespaces(picture)), {})
        after = expanded(ElementTree.fromstring(small), found)
        assert share.text_of(after) == share.text_of(before)


def test_figures_share_their_axes_and_keep_their_clips():
    flipbook = draw.frames([figure([0, k / 9]) for k in range(10)], [f"{k}" for k in range(10)], "Lines")
    alone = draw.frames([figure([0, 1])], ["1"], "Line")
    assert len(flipbook.html()) < 4 * len(alone.html())
    page = flipbook.html()
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(set(ids)) == len(ids)
    references = set(re.findall(r'(?:href="|url\()#([^")]*)', page))
    assert references == set(ids)
    assert any("url(#" in style for style in re.findall(r'clip-path="[^"]*"', page))


def test_pictures_that_mean_different_things_by_one_id_share_nothing():
    template = '<svg><defs><path id="a" d="M0 {}"/></defs><use href="#a"/></svg>'
    page = draw.frames([template.format(k) for k in range(2)], ["a", "b"], "Ids").html()
    assert len(set(re.findall(r'\sid="([^"]*)"', page))) == 2
    assert "M0 0" in page
    assert "M0 1" in page


# ---------------------------------------------------------------- rules in words


def test_every_rule_can_be_told():
    found = {}
    for module in (mg.operations, mg.functions, mg.fused):
        for name, x in vars(module).items():
            op = getattr(x, "__globals__", {}).get("_op") if callable(x) else None
            if op is not None and not name.startswith("_"):
                found[op.name] = [rules.expression(rule) for _, rule in op.rules]
    assert {*rules.WORDS, *rules.FORMULAS} <= {*found, "tensor_concat"}
    told = {text for name, texts in found.items() if name not in {*rules.WORDS, *rules.FORMULAS} for text in texts}
    assert {"g", "-g", "g * b", "g / b", "g * y * (1 - y)", "tensor_where(x != 0.0, g, 0.0) * _sign(x)"} <= told
    assert not any("_share" in text or "_spread" in text or "lambda" in text for text in told)


def formula_rows():
    rng = np.random.default_rng(0)
    a, b, x, p = rng.random((2, 3)), rng.random((3, 4)), rng.random((2, 3)) + 0.5, rng.random((2, 3)) + 1
    return {
        "tensor_pow": (lambda t, u: t**u, x, p, {"x": x, "p": p}),
        "matmul_tensor": (lambda t, u: t @ u, a, b, {"a": a, "b": b}),
        "affine": (lambda t, u: mg.fused.affine(t, u, np.zeros(4)), a, b.T, {"x": a, "w": b.T}),
        "binary_cross_entropy_with_logits": (
            lambda z: mg.fused.binary_cross_entropy_with_logits(a > 0.5, z),
            x,
            {"y_true": a > 0.5, "y_pred": x, "n": 6},
        ),
    }


@pytest.mark.parametrize("name", rules.FORMULAS)
def test_formulas_written_for_readers_are_the_library_s_rules(name):
    f, *operands, names = formula_rows()[name]
    tensors = [leaf(x) for x in operands]
    y = f(*tensors)
    g = np.random.default_rng(1).random(y.shape)
    names |= {"g": g, "log": np.log, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}
    for formula, gradient in zip(rules.FORMULAS[name], mg.grad(y, tensors, gradient=g), strict=False):
        np.testing.assert_allclose(eval(formula, names), gradient, rtol=1e-12)


def test_what_is_no_number_keeps_the_name_that_the_library_gives_it():
    assert "x receives g.astype(x_dtype) = 1." in str(draw.flipbook(leaf(3.0, "x").astype(np.float32)))


def test_a_rule_of_one_s_own_is_told_in_its_own_words():
    @mg.primitive(
        lambda g, a, b: (
            g * b  # over several lines
            + 0 * a
        ),
        lambda g, a, b: own_rule(g, a, b),
    )
    def product(a, b):
        return a * b

    def own_rule(g, a, b):
        """g ⊙ A.  Not more."""
        return g * a

    told = draw.flipbook(product(leaf(3.0, "x"), leaf(4.0, "y"))).captions[3]
    assert "x receives g · y + 0 · x = 1 · 4 + 0 · 3 = 4." in told
    assert rules.expression(own_rule) == "g ⊙ A"
    assert rules.expression(eval("lambda g: g")) == "its rule"


# ---------------------------------------------------------------- frames of figures


def test_figures_become_pages_in_the_page_s_colours_and_are_closed():
    figures = [pyplot.figure(figsize=(3, 2)) for _ in range(2)]
    for fig in figures:
        fig.subplots().plot([0, 1], color="#0b5fa5")
    flipbook = draw.frames(figures, ["<b> & so on", "Second."], label="A line")
    assert not pyplot.get_fignums()
    assert flipbook.captions[0] == "<b> & so on"
    assert "stroke: var(--c-0b5fa5, #0b5fa5)" in flipbook.html()
    assert [svg.get("aria-label") for svg in tree(flipbook).iter("svg")] == [
        "A line, picture 1 of 2",
        "A line, picture 2 of 2",
    ]
    assert "<metadata" not in flipbook.html()


def test_one_figure_drawn_again_and_again():
    fig = Figure(figsize=(3, 2))
    ax = fig.subplots()

    def steps():
        for k in range(3):
            ax.clear()
            ax.plot([0, k])
            yield ax

    assert len({picture for picture, _ in draw.frames(steps(), "abc", label="Steps").frames}) == 3


def test_a_figure_of_too_many_lines_becomes_pixels(monkeypatch):
    monkeypatch.setattr("minigrad.draw.figures.HEAVY", 1000)
    (image, _) = tree(draw.frames([figure([0, 1])] * 2, "ab", label="Pixels")).iter("img")
    assert image.get("alt") == "Pixels, picture 1 of 2"
    assert (image.get("width"), image.get("height")) == ("288", "192")
    assert image.get("src").startswith("data:image/png;base64,")


def test_figures_of_different_sizes_and_missing_captions_are_refused():
    with pytest.raises(ValueError, match="same figsize"):
        draw.frames([figure([0, 1]), figure([0, 1], (4, 2))], "ab", label="")
    with pytest.raises(ValueError, match="zip"):
        draw.frames([figure([0, 1])], "ab", label="")
    with pytest.raises(ValueError, match="0 frames"):
        draw.frames([], [], label="")


def test_anything_that_a_notebook_shows_can_be_a_page():
    table = draw.table(document("3.5"))
    flipbook = draw.frames([table, "1 < 2", draw.svg(document("3.5"))], "abc", label="Things")
    first, second, third = pages(tree(flipbook))[0]
    assert first[0].tag == "table"
    assert (second[0].tag, second[0].text) == ("pre", "1 < 2")
    assert third[0].get("aria-label").startswith("Graph: x and y")


def test_pictures_load_matplotlib_only_when_there_is_a_figure():
    code = "import sys, minigrad.draw as d; d.frames(['a'], ['b'], label=''); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "IPython", "ipywidgets"} & set(done.stdout.split())


# ---------------------------------------------------------------- explore


def test_a_range_becomes_frames_with_what_the_slider_says():
    flipbook = draw.explore(lambda slope: f"{slope}", slope=(0, 0.3))
    assert [html.unescape(picture) for picture, _ in flipbook.frames][:3] == [
        "<pre>0.0</pre>",
        "<pre>0.025</pre>",
        "<pre>0.05</pre>",
    ]
    assert flipbook.captions[-1] == "slope = 0.3"
    assert len(flipbook.frames) == 13
    assert '"0.025"' in tree(flipbook).find(".//input").get("data-texts")


def test_two_ranges_have_two_sliders_and_a_frame_for_each_pair():
    flipbook = draw.explore(
        lambda x, kind: f"{kind} {x}", x=(1, 3), kind=["relu", "tanh"], caption=lambda x, kind: f"{x}: {kind}."
    )
    assert flipbook.captions == ["1: relu.", "1: tanh.", "2: relu.", "2: tanh.", "3: relu.", "3: tanh."]
    assert [label.text.strip() for label in tree(flipbook).iter("label")] == ["x", "kind"]


def test_figures_drawn_by_the_function_are_taken_and_closed():
    kept = pyplot.figure()

    def line(slope):
        """A line through 0

        More."""
        pyplot.figure(figsize=(3, 2))
        pyplot.plot([0, slope])

    flipbook = draw.explore(line, slope=(0.0, 1.0), places=3)
    assert pyplot.get_fignums() == [kept.number]
    pyplot.close(kept)
    assert flipbook.label == "A line through 0"
    assert [svg.get("aria-label") for svg in tree(flipbook).iter("svg")][1] == "A line through 0, slope = 0.5"


@pytest.mark.parametrize("given", [(0, 0), (1,), [], "ab", 3, (1, 0)])
def test_what_is_no_range_is_refused(given):
    with pytest.raises(ValueError, match="is no range"):
        draw.explore(str, x=given)


def test_explore_refuses_with_advice():
    with pytest.raises(TypeError, match="Name a parameter"):
        draw.explore(str)
    with pytest.raises(ValueError, match="625 frames"):
        draw.explore(str, a=(0.0, 1.0), b=(0.0, 1.0), c=(0.0, 1.0), d=(0.0, 1.0))
    with pytest.raises(TypeError, match="nothing drew no figure and returned nothing"):

        def nothing(x):
            pass

        draw.explore(nothing, x=(0, 1))


def test_a_kernel_gives_sliders_and_a_book_never_does(monkeypatch):
    class Shell:
        kernel = object()

    IPython = pytest.importorskip("IPython")
    monkeypatch.setattr(IPython, "get_ipython", Shell)
    assert not explore_module.has_kernel()
    monkeypatch.delenv("MINIGRAD_STATIC")
    assert explore_module.has_kernel()
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    widgets = draw.explore(lambda slope: f"slope {slope}", slope=(0, 0.3))
    slider = widgets.children[0]
    assert len(slider.options) == 101
    slider.index = 50
    widgets.update()
    assert shown[-1].data == "<pre>slope 0.15</pre><p>slope = 0.15</p>"


# ---------------------------------------------------------------- in a browser


@pytest.fixture
def opened(browser, monkeypatch, tmp_path):
    """A function that opens flipbooks in a page of 390 pixels, as a live notebook shows them."""
    monkeypatch.delenv("MINIGRAD_STATIC")

    def opened(*flipbooks, **options):
        page = browser.new_context(viewport={"width": 390, "height": 800}, **options).new_page()
        path = Path(tmp_path, "page.html")
        body = "<hr>".join(flipbook._repr_html_() for flipbook in flipbooks)
        path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}<p id='after'>After", encoding="utf-8")
        page.goto(path.as_uri())
        return page

    return opened


def seen(page, n=0):
    """(the number of the frame, the caption) that the n-th flipbook shows."""
    return (
        page.locator("mg-flipbook")
        .nth(n)
        .evaluate(
            """book => {
            const shown = (pile) => [...pile.children].findIndex((e) => getComputedStyle(e).visibility === "visible");
            const [frames, captions] = [book.querySelector(".mg-frames"), book.querySelector("figcaption")];
            const count = [...frames.children].filter((e) => getComputedStyle(e).visibility === "visible").length;
            if (count !== 1 || shown(frames) !== shown(captions)) throw new Error("not one page");
            return [shown(frames), captions.children[shown(captions)].textContent];
        }"""
        )
    )


@pytest.mark.slow
def test_slider_buttons_and_arrow_keys_turn_the_pages_and_nothing_moves(opened):
    flipbook = draw.flipbook(lambda x, y: (2 * x + x * y) ** 2, x=3.0, y=4.0)
    page = opened(flipbook, draw.explore(str, object=(1, 3), places=3))
    slider, (back, on) = page.locator("input").first, page.locator("button").all()[:2]
    top = "document.getElementById('after').getBoundingClientRect().top"
    places = {page.evaluate(top)}
    assert seen(page) == [0, flipbook.captions[0]]
    slider.focus()
    for k in range(1, 12):
        page.keyboard.press("ArrowRight")
        places.add(page.evaluate(top))
        assert seen(page)[0] == min(k, 10)
    assert slider.get_attribute("aria-valuetext") == "11 of 11"
    assert on.get_attribute("aria-disabled") == "true"
    back.click()
    back.press("ArrowLeft")
    assert seen(page) == [8, flipbook.captions[8]]
    slider.fill("3")
    assert seen(page)[0] == 3
    page.keyboard.press("Home")
    assert seen(page)[0] == 0
    assert seen(page, 1)[0] == 0  # the other flipbook is another
    assert len(places) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_two_sliders_say_together_which_frame(opened):
    page = opened(draw.explore(lambda a, b: f"{a} {b}", a=(1, 3), b=(1, 2)))
    first, second = page.locator("input").all()
    first.fill("2")
    second.fill("1")
    assert seen(page) == [5, "a = 3, b = 2"]


@pytest.mark.slow
def test_lines_that_are_clipped_are_seen_on_every_page(opened):
    page = opened(draw.frames([figure([0.5, 0.5], linewidth=30) for _ in range(2)], "ab", label="A thick line"))
    pictures = []
    for place in "01":
        page.locator("input").fill(place)
        pictures.append(page.locator(".mg-frames").screenshot())
    assert seen(page)[0] == 1
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_without_scripts_and_on_paper(opened):
    flipbook = draw.flipbook(lambda x, y: x * y, x=3.0, y=4.0)
    page = opened(flipbook, java_script_enabled=False)
    assert page.locator(".mg-turn").is_hidden()
    shown = "e => getComputedStyle(e).visibility === 'visible' && getComputedStyle(e).display !== 'none'"
    assert [frame.evaluate(shown) for frame in page.locator(".mg-frames > *").all()] == [False] * 4 + [True]
    page = opened(flipbook)
    page.emulate_media(media="print")
    assert [frame.evaluate(shown) for frame in page.locator(".mg-frames > *").all()] == [False] * 4 + [True]
    assert all(caption.evaluate(shown) for caption in page.locator("figcaption > *").all())
    assert page.locator(".mg-turn").is_hidden()
