"""Pictures, tables and sentences tell the truth about a graph, and leave it as it was."""

import gc
import re
import weakref
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise
from math import prod

import numpy as np
import pytest

import minigrad as mg
from minigrad import draw
from minigrad.context import Observer, observing
from minigrad.draw import layers, layout


def leaf(value, name=None):
    return mg.Tensor(value, requires_grad=True, name=name)


def diamond():
    T1 = leaf(0.5, "T1")
    return T1.exp() * T1.sigmoid()


def mse():
    y_true, y_pred = mg.Tensor(np.arange(5.0), name="y_true"), leaf(np.ones(5), "y_pred")
    return ((y_true - y_pred) ** 2).mean()


def chain(steps=4):
    t = leaf(0.5, "T_0")
    for k in range(1, steps + 1):
        t = t * mg.Tensor(float(k), name=f"X_{k}")
        t.name = f"T_{k}"
    return t


def mlp():
    X, y = mg.Tensor(np.ones((7, 5)), name="X"), mg.Tensor(np.ones((7, 2)), name="y_true")
    W1, b1, W2, b2 = (leaf(np.ones(s), n) for s, n in [((5, 3), "W1"), (3, "b1"), ((3, 2), "W2"), (2, "b2")])
    return mg.losses.mean_squared_error(y, (X @ W1 + b1).relu() @ W2 + b2)


def recurrent():
    w, u, h = leaf(0.5, "w"), leaf(0.2, "u"), leaf(0.3, "h_0")
    for k in range(6):
        h = (w * h + u * mg.Tensor(float(k), name="x")).tanh()
    return h


def many_operands():
    x, weights = leaf(np.ones((2, 3)), "x"), leaf(np.ones((2, 3)), "a_name_longer_than_any_circle")
    return mg.tensor_concat([x, weights, *[x] * 9, x * np.ones((2, 3))]).leaky_relu().sum(0)


def random_pool(steps, seed=0):
    """Leaves and what was made of them at random; the leaves come first."""
    rng = np.random.default_rng(seed)
    pool = [leaf(float(v)) for v in rng.random(4)]
    for _ in range(steps):
        a, b = (pool[i] for i in rng.integers(0, len(pool), 2))
        pool.append([lambda: a + b, lambda: a * b, lambda: a.sigmoid(), lambda: 2 * a][rng.integers(4)]())  # noqa: B023
    return pool


def random_graph():
    return sum(random_pool(25), start=0.0)


def document(section):
    x, y = leaf(3.0, "x"), leaf(4.0, "y")
    return {"3.5": lambda: x + y, "3.6": lambda: x**2 * y, "3.7": lambda: (2 * x + x * y) ** 2}[section]()


GRAPHS = {
    "sum": lambda: document("3.5"),
    "reuse": lambda: document("3.7"),
    "square": lambda: (x := leaf(3.0, "x")) * x,
    "diamond": diamond,
    "mse": mse,
    "chain": chain,
    "mlp": mlp,
    "recurrent": recurrent,
    "many operands": many_operands,
    "random": random_graph,
    "leaf": lambda: leaf(3.0, "x"),
    "constant": lambda: mg.Tensor(np.ones((2, 3))),
}


@pytest.fixture(params=GRAPHS)
def build(request):
    return GRAPHS[request.param]


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def graph(build, request):
    if not request.param:
        return draw.graph(build())
    with mg.trace():
        t = build()
    return draw.graph(t)


def elements(svg, kind):
    """The elements of an SVG whose class is `mg-<kind>`."""
    return [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == f"mg-{kind}"]


def placed(graph, direction=None):
    return layout.place(graph, [(c.caption,) if c.caption else () for c in graph.circles], direction)


# ---------------------------------------------------------------- the document's own examples


@pytest.mark.parametrize(
    ("section", "rows"),
    [
        ("3.5", [("x", (), ""), ("y", (), ""), ("L", ("x", "y"), "+")]),
        ("3.6", [("x", (), ""), ("y", (), ""), ("I1", ("x",), "x²"), ("L", ("I1", "y"), "×")]),
        (
            "3.7",
            [
                ("x", (), ""),
                ("y", (), ""),
                ("I1", ("x",), "×2"),
                ("I2", ("x", "y"), "×"),
                ("I3", ("I1", "I2"), "+"),
                ("L", ("I3",), "x²"),
            ],
        ),
    ],
)
def test_breakdown_tables_are_the_document_s(section, rows):
    assert list(draw.table(document(section)).rows) == rows


def test_mean_squared_error_shows_its_data():
    with mg.trace():
        t = mse()
    assert [(c.name, c.kind, c.shape, c.value) for c in draw.graph(t).circles] == [
        ("y_true", "constant", (5,), ""),
        ("y_pred", "leaf", (5,), ""),
        ("I1", "intermediate", (5,), ""),
        ("I2", "intermediate", (5,), ""),
        ("L", "result", (), "3"),
    ]


def test_words_of_an_untraced_graph_give_shapes():
    assert draw.words(mse()) == (
        "Graph: C1 and y_pred meet in a subtraction, giving I1; I1 goes through the power 2, giving I2; "
        "I2 goes through a mean, giving L. Leaves: y_pred. Constants: C1. Shapes: y_pred (5,), I1 (5,), I2 (5,)."
    )


def test_table_as_html_has_a_head_for_each_row_and_column():
    root = ElementTree.fromstring(draw.table(document("3.6"))._repr_html_())
    assert [th.text for th in root.iter("th") if th.get("scope") == "col"] == ["Tensor", "Inputs", "Operation"]
    assert ["".join(th.itertext()) for th in root.iter("th") if th.get("scope") == "row"] == ["x", "y", "I1", "L"]
    assert ["".join(td.itertext()) for td in root.iter("td")] == ["—", "—", "—", "—", "x", "x²", "I1, y", "×"]


# ---------------------------------------------------------------- names and symbols


def test_generated_names_avoid_given_ones():
    t = (leaf(1.0, "I1") * leaf(2.0, "L")).exp()
    assert [c.name for c in draw.graph(t).circles] == ["I1", "L", "I2", "L1"]


def test_leaves_and_constants_without_names_are_numbered():
    t = leaf(np.ones(5)) * leaf(np.ones(5)) * np.ones(5) * np.ones(5)
    assert [c.name for c in draw.graph(t).circles] == ["T1", "T2", "C1", "C2", "I1", "I2", "L"]


def test_one_constant_used_twice_is_one_circle():
    data, x = mg.Tensor(np.ones(5)), leaf(np.ones(5))
    assert [c.kind for c in draw.graph(x * data * data).circles].count("constant") == 1


def test_a_constant_with_a_name_is_drawn_even_if_it_is_a_number():
    with mg.trace():
        t = leaf(3.0, "x") * mg.Tensor(2.0, name="c")
    assert list(draw.table(t).rows) == [("x", (), ""), ("c", (), ""), ("L", ("x", "c"), "×")]


@pytest.mark.parametrize(
    ("expression", "symbol"),
    [
        ("2 * x", "×2"),
        ("x * -0.5", "×−0.5"),
        ("mg.scalar_multiply_tensor(3, x)", "×3"),
        ("x / 4", "÷4"),
        ("4 / x", "4÷"),
        ("x + 1", "+1"),
        ("1 + x", "+1"),
        ("x - 1", "−1"),
        ("1 - x", "1−"),
        ("x**2", "x²"),
        ("x**-1", "x⁻¹"),
        ("x**0.5", "x^0.5"),
        ("2**x", "2ˣ"),
        ("mg.tensor_maximum(x, 0)", "max 0"),
        ("x * mg.Tensor(2.0)", "×2"),
        ("x**x", "xᵖ"),
        ("x.relu()", "relu"),
        ("x.leaky_relu()", "leaky relu"),
        ("x.T", "xᵀ"),
        ("x.sigmoid()", "σ"),
    ],
)
def test_symbols(expression, symbol):
    with mg.trace():
        t = eval(expression, {"x": leaf(3.0, "x"), "mg": mg})
    assert [square.symbol for square in draw.graph(t).squares] == [symbol]


def test_a_number_that_no_symbol_says_is_a_circle_named_by_its_value():
    with mg.trace():
        t = mg.tensor_where(np.array(True), leaf(3.0, "x"), 0)
    assert [(c.name, c.caption) for c in draw.graph(t).circles] == [("x", "3"), ("0", ""), ("L", "3")]


def test_values_of_all_tensors_or_of_none():
    assert all(not circle.value for circle in draw.graph(document("3.7")).circles)
    with mg.trace():
        t = document("3.7")
    assert [circle.value for circle in draw.graph(t).circles] == ["3", "4", "6", "12", "18", "324"]
    assert "Values: x = 3, y = 4, I1 = 6, I2 = 12, I3 = 18, L = 324." in draw.words(t)


def test_special_characters_are_escaped():
    t = leaf(1.0, 'a<b>&"c"') * leaf(2.0, "<script>")
    t.name = "]]>"
    g = draw.graph(t)
    texts = [" ".join(e.itertext()) for e in ElementTree.fromstring(g.svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["×", 'a<b>&"c"', "<script>", "]]>"]
    assert ElementTree.fromstring(g.svg()).get("aria-label") == g.words()
    assert "<script>" in "".join(ElementTree.fromstring(g.table()._repr_html_()).itertext())


# ---------------------------------------------------------------- every picture


def test_every_node_is_drawn_once_and_every_operand_has_an_edge(graph):
    svg = graph.svg()
    assert {kind: len(elements(svg, kind)) for kind in ("leaf", "constant", "intermediate", "result")} == {
        kind: sum(circle.kind == kind for circle in graph.circles)
        for kind in ("leaf", "constant", "intermediate", "result")
    }
    assert [e[-1].text for e in elements(svg, "operation")] == [square.symbol for square in graph.squares]
    paths = [e.get("d") for e in elements(svg, "edge")]
    assert len(paths) == sum(len(square.inputs) + 1 for square in graph.squares)
    assert len(set(paths)) == len(paths)  # parallel edges, too, are drawn apart


def test_the_picture_says_its_words(graph):
    root = ElementTree.fromstring(graph.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == graph.words() == repr(graph)
    assert graph._repr_html_() == graph.svg()


def test_the_words_and_the_table_name_every_tensor(graph):
    for circle in graph.circles:
        assert re.search(rf"(?<!\w){re.escape(circle.name)}(?!\w)", graph.words())
    assert [row.tensor for row in graph.table().rows] == [circle.name for circle in graph.circles]
    assert [len(row.inputs) for row in graph.table().rows if row.operation] == [len(s.inputs) for s in graph.squares]


@pytest.mark.parametrize("direction", ["right", "down"])
def test_nothing_overlaps_and_all_is_inside(graph, direction):
    plan = placed(graph, direction)
    boxes = [*plan.circles, *plan.squares]
    for a, b in combinations(boxes, 2):
        assert abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2
    for box in boxes:
        assert box.width / 2 <= box.x <= plan.width - box.width / 2
        assert box.height / 2 <= box.y <= plan.height - box.height / 2
    for x, y in (point for edge in plan.edges for point in edge):
        assert 0 <= x <= plan.width
        assert 0 <= y <= plan.height


@pytest.mark.parametrize("direction", ["right", "down"])
def test_arrows_go_one_way_and_end_at_their_nodes(graph, direction):
    plan, axis = placed(graph, direction), "xy".index("x" if direction == "right" else "y")
    edges = iter(plan.edges)
    for square, box in zip(graph.squares, plan.squares, strict=True):
        ends = [(plan.circles[i], box) for i in square.inputs] + [(box, plan.circles[square.output])]
        for (tail, head), edge in zip(ends, edges, strict=False):
            assert all(a[axis] <= b[axis] for a, b in pairwise(edge))
            assert edge[-1][axis] == pytest.approx(head[axis] - head[axis + 2] / 2)
            assert tail[axis] < edge[0][axis] <= tail[axis] + tail[axis + 2] / 2 + 1e-9
            across, half = 1 - axis, (3 - axis)
            assert abs(edge[-1][across] - head[across]) <= head[half] / 2
            assert abs(edge[0][across] - tail[across]) <= tail[half] / 2
    assert next(edges, None) is None


def test_the_same_graph_gives_the_same_picture(build):
    assert draw.svg(build()) == draw.svg(build())


def test_no_two_pictures_share_an_id(graph):
    assert " id=" not in graph.svg()


# ---------------------------------------------------------------- layout


def test_a_long_chain_is_straight():
    with mg.trace():
        t = mlp()
    g = draw.graph(t, "right")
    computed = [box.y for c, box in zip(g.circles, placed(g, "right").circles, strict=True) if c.name[0] in "IL"]
    assert len(set(computed)) == 1


def test_pictures_go_down_where_a_phone_could_not_show_them_sideways():
    assert placed(draw.graph(document("3.7"))).direction == "right"
    assert placed(draw.graph(mlp())).direction == "down"
    assert placed(draw.graph(mlp()), "right").direction == "right"
    assert draw.svg(mlp(), "right") != draw.svg(mlp(), "down") == draw.svg(mlp())


def test_operands_enter_in_order_where_order_matters():
    x, y = leaf(1.0, "x"), leaf(2.0, "y")
    for t in (x - y.exp(), x.exp() - y):
        *operands, _ = placed(draw.graph(t), "right").edges[-3:]
        assert operands[0][-1][1] < operands[1][-1][1]


def test_captions_can_be_others_than_the_graph_s():
    g = draw.graph(document("3.7"))
    plan = layout.place(g, [("4", "∂ 12")] * len(g.circles))
    assert plan.height > placed(g).height
    assert len(plan.circles) == len(g.circles)


def test_a_chain_of_190_operations():
    t = leaf(0.5, "x")
    for _ in range(190):
        t = t.sigmoid()
    g = draw.graph(t)
    assert len(elements(g.svg(), "operation")) == 190
    assert g.words().count("a sigmoid") == 190


def test_a_tensor_kept_for_long_costs_a_stop_per_layer_and_not_per_use():
    x = t = leaf(0.5, "x")
    for _ in range(100):
        t = t + x
    g = draw.graph(t)
    links = [
        link for k, s in enumerate(g.squares, len(g.circles)) for link in [*((i, k) for i in s.inputs), (k, s.output)]
    ]
    depth = layers.depths(len(g.circles) + len(g.squares), links)
    assert len({stop for link in links for stop in layers.stops(link, depth)}) < 2 * len(depth)


def test_a_graph_too_large_to_be_read_is_refused():
    t = leaf(0.5, "x")
    for _ in range(3000):
        t = t.sigmoid()
    g = draw.graph(t)
    with pytest.raises(ValueError, match=r"the graph has 6001 nodes, and .* 400 .*draw\.table"):
        g.svg()
    assert len(g.table().rows) == 3001


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="'left' is neither"):
        draw.svg(document("3.5"), "left")


# ---------------------------------------------------------------- what drawing leaves alone


def test_drawing_runs_nothing_and_touches_no_gradient():
    class Listener(Observer):
        def computed(self, op, operands, result):
            raise AssertionError(f"{op} was run")

        def contributed(self, node, position, g, contribution):
            raise AssertionError(f"a rule of {node.op} was run")

    x = leaf(3.0, "x")
    L = x**2 * x
    L.backward(retain_graph=True)
    before = x.grad.copy()
    with observing(Listener()):
        g = draw.graph(L)
        assert g.svg() and g.words() and g.table() and draw.paths(L, x)
    assert x.grad == before
    L.backward()
    assert x.grad == 2 * before


def test_drawings_keep_no_reference_to_the_graph():
    gc.collect()
    gc.disable()
    try:
        with mg.trace():
            t = mse()
        node, array = weakref.ref(t.node), weakref.ref(t.node.parents[0].traced.value)
        g = draw.graph(t)
        drawn = g.svg(), g.table(), g.words()
        del t
        assert node() is None
        assert array() is None
        assert drawn
    finally:
        gc.enable()


def test_a_graph_that_backward_used_is_refused_with_advice():
    L = document("3.7")
    L.backward(retain_graph=True)
    draw.graph(L)
    L.backward()
    with pytest.raises(RuntimeError, match=r"tensor_pow has let go .* before backward\(\), or pass retain_graph"):
        draw.graph(L)


def test_a_tensor_without_a_graph_is_one_circle():
    assert [c.kind for c in draw.graph(mg.Tensor([1.0, 2.0], name="data")).circles] == ["constant"]
    assert draw.words(mg.Tensor(3.0)) == "Graph: 3 alone, which no operation computed. Constants: 3."
    assert draw.words(leaf(3.0)) == "Graph: T1 alone, which no operation computed. Leaves: T1. Values: T1 = 3."


# ---------------------------------------------------------------- paths


def local_derivative(edge):
    return dict(edge.node.op.rules)[edge.position](1.0, *edge.node.saved)


@pytest.mark.parametrize("expression", ["x * x", "(2 * x + x * x) ** 2 / x", "x**3", "x"])
def test_the_gradient_is_the_sum_over_paths_of_products(expression):
    x = leaf(3.0, "x")
    L = eval(expression, {"x": x})
    total = sum(prod(map(local_derivative, path)) for path in draw.paths(L, x))
    assert total == pytest.approx(mg.grad(L, x))


def test_parallel_edges_are_two_paths():
    x = leaf(3.0, "x")
    assert [[edge.position for edge in path] for path in draw.paths(x * x, x)] == [[0], [1]]


def test_paths_from_an_intermediate_tensor_and_from_elsewhere():
    x = leaf(3.0, "x")
    middle = x * x
    L = middle.exp() + middle
    assert [[(e.source, e.operation, e.target) for e in path] for path in draw.paths(L, middle)] == [
        [("I1", "exp", "I2"), ("I2", "+", "L")],
        [("I1", "+", "L")],
    ]
    assert draw.paths(L, leaf(1.0)) == []
    assert draw.paths(mg.Tensor(1.0), x) == []


def test_too_many_paths_are_counted_and_refused():
    x = t = leaf(1.0, "x")
    for _ in range(60):
        t = t + t
    with pytest.raises(ValueError, match=f"{2**60} paths lead from x to L, and the limit is 1000"):
        draw.paths(t, x)
    with pytest.raises(ValueError, match="the source is a constant"):
        draw.paths(t, mg.Tensor(1.0))


@pytest.mark.parametrize("seed", range(5))
def test_paths_are_as_many_as_walks_in_the_graph_s_matrix(seed):
    pool = random_pool(12, seed)
    for k, source in enumerate(pool[:4]):
        source.name = f"x{k}"
    t = sum(pool, start=0.0)
    g = draw.graph(t)
    steps = np.zeros((len(g.circles), len(g.circles)))
    for square in g.squares:
        for i in square.inputs:
            steps[i, square.output] += 1
    walks = np.linalg.inv(np.eye(len(steps)) - steps)  # I + steps + steps² + …
    names = [circle.name for circle in g.circles]
    for source in pool[:4]:
        found = draw.paths(t, source, limit=10**5)
        assert len(set(found)) == len(found) == round(walks[names.index(source.name), names.index("L")])
