"""The ten equations against the article's digits; and that each is written once, as a formula."""

import ast
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from places import Place, assert_close

import nn_backend as nn
from nn_backend import equations

ARTICLE_W = np.array(
    [[0.179, 0.044, 0.01], [-0.186, -0.028, -0.035], [-0.008, -0.063, -0.004], [-0.048, -0.131, 0.088]]
)
ARTICLE_X = np.array([[7.0], [8.0], [10.0]])
RTOL = {"float64": 1e-12, "float32": 2e-5}


def test_initial_weights_and_one_forward_pass_are_the_articles(backend: Place) -> None:
    start, smaller = (nn.init_params(3, 4, seed=3, factor=factor) for factor in (0.1, 0.01))
    np.testing.assert_allclose(start.w1, ARTICLE_W, atol=5e-4)
    np.testing.assert_allclose(start.w2, [[0.088, 0.171, 0.005, -0.040]], atol=5e-4)
    assert not start.b1.any()
    assert not start.b2.any()
    one, two, rounded = (
        equations.forward(backend.params(params), backend.asarray(ARTICLE_X), xp=backend.xp)
        for params in (start, smaller, start._replace(w1=ARTICLE_W))
    )
    exact = {"float64": 1e-15, "float32": 1e-6}[backend.dtype]
    assert_close(one.yhat, [[0.5208876705997051]], backend, rtol=0, atol=exact)
    assert_close(two.yhat, [[0.503]], backend, rtol=0, atol=5e-4)
    assert_close(rounded.z1, [[1.705], [-1.876], [-0.6], [-0.504]], backend, rtol=1e-5, atol=1e-6)
    digits = [[0.84618664], [0.132849], [0.35434369], [0.37660112]]  # the article cuts after the eighth
    assert_close(rounded.f1, digits, backend, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", equations.OUTPUTS)
def test_errors_are_what_accuracy_and_r2_are_made_of(kind: str, backend: Place) -> None:
    yhat = backend.asarray([[0.1, 0.5, 0.9, 0.5], [0.9, 0.5, 0.1, 0.49]])
    y = backend.asarray([[0.0, 1, 1, 0], [1, 0, 0, 1]])
    expected = {
        "sigmoid": [[0, 0, 0, 1], [0, 1, 0, 1]],
        "softmax": [[0, 0, 0, 1]],  # of two that are equally large, the first is chosen
        "identity": [[0.01, 0.25, 0.01, 0.25], [0.01, 0.25, 0.01, 0.2601]],
    }[kind]
    errors = equations.OUTPUTS[kind].errors(yhat, y, xp=backend.xp)
    assert_close(errors, expected, backend, rtol=RTOL[backend.dtype])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_squared_error_that_the_dtype_can_hold_only_as_a_share_of_the_cost_is_finite(dtype: str) -> None:
    largest, y = float(np.finfo(dtype).max), np.zeros((2, 4), dtype)
    z2 = y.copy()
    z2[0, 0] = 1.6 * largest**0.5  # half its square is beyond the dtype, a quarter of that is not
    cost = equations.cost(z2, y, 4.0, output=equations.OUTPUTS["identity"], xp=np)
    assert cost == pytest.approx(0.32 * largest, rel=1e-6)


@given(st.data(), st.sampled_from(["float64", "float32"]))
def test_gradients_keep_shape_and_dtype_and_stay_finite(data: st.DataObject, dtype: str) -> None:
    n0, n1, n2, m = (data.draw(st.integers(1, 5)) for _ in range(4))
    # products of two such numbers stay finite; the sigmoids are deep in saturation
    moderate = st.floats(-(2.0**50), 2.0**50, width=32)
    shapes = [(n1, n0), (n1, 1), (n2, n1), (n2, 1)]
    params = nn.Params(*(data.draw(arrays(dtype, shape, elements=moderate)) for shape in shapes))
    X = data.draw(arrays(dtype, (n0, m), elements=moderate))
    y = data.draw(arrays(dtype, (n2, m), elements=st.sampled_from([0.0, 1.0])))
    with np.errstate(over="ignore"):  # exp(-z), see sigmoid
        layers = equations.forward(params, X, xp=np)
    assert ((layers.yhat >= 0) & (layers.yhat <= 1)).all()
    gradients = equations.backward(params, layers, X, y, float(m), xp=np)
    for gradient, shape in zip(gradients, shapes, strict=True):
        assert gradient.shape == shape
        assert gradient.dtype == dtype
        assert np.isfinite(gradient).all()


def test_module_is_pure() -> None:
    """No import of the project, no array creation, no write in place, no branch, no global; xp keyword-only."""
    tree = ast.parse(inspect.getsource(equations))
    imported = [name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in [node.module]]
    assert imported == ["collections.abc", "typing"]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    allowed = {"exp", "log1p", "abs", "sum", "where", "max", "argmax", "matrix_transpose"}
    branches = ast.If | ast.IfExp | ast.While | ast.For
    for function in functions:
        nodes = list(ast.walk(function))
        assert "xp" not in [argument.arg for argument in function.args.args]
        assert not any(isinstance(n, ast.AugAssign | ast.Global | ast.Nonlocal | ast.Delete | branches) for n in nodes)
        assigned = [part for n in nodes if isinstance(n, ast.Assign) for t in n.targets for part in ast.walk(t)]
        assert not any(isinstance(part, ast.Subscript | ast.Attribute) for part in assigned)
        of_xp = (n for n in nodes if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "xp")
        assert allowed.issuperset(n.attr for n in of_xp)
        own = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
        own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        public = {"Params", "Layers", "Tally", "Output", "SIGMOID", "Array", "Any", "float"}
        read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert read <= own | public | {f.name for f in functions}


def test_every_equation_is_numbered_once() -> None:
    source = inspect.getsource(equations)
    for number in range(1, 11):
        assert source.count(f"# ({number})") == 1
