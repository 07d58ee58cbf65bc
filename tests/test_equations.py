"""The ten equations against the article's digits and formulas, central differences, and PyTorch."""

import ast
import inspect
import math

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


def draw(n0: int, n1: int, n2: int, m: int, *lead: int, seed: int = 0) -> tuple[nn.Params, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    normal = generator.standard_normal
    params = nn.Params(normal((*lead, n1, n0)), normal((*lead, n1, 1)), normal((*lead, n2, n1)), normal((*lead, n2, 1)))
    return params, normal((n0, m)), (generator.random((n2, m)) < 0.5).astype(np.float64)


def gradients_of(params: nn.Params, X: np.ndarray, y: np.ndarray) -> nn.Params:
    return equations.backward(params, equations.forward(params, X, xp=np), X, y, X.shape[1], xp=np)


KINDS = pytest.mark.parametrize("kind", equations.OUTPUTS)


def test_weighted_inputs_and_sigmoids_are_the_articles(backend: Place) -> None:
    params = backend.params(nn.Params(ARTICLE_W, np.zeros((4, 1)), np.zeros((1, 4)), np.zeros((1, 1))))
    layers = equations.forward(params, backend.asarray(ARTICLE_X), xp=backend.xp)
    assert_close(layers.z1, [[1.705], [-1.876], [-0.6], [-0.504]], backend, rtol=1e-5, atol=1e-6)
    digits = [[0.84618664], [0.132849], [0.35434369], [0.37660112]]  # the article cuts after the eighth
    assert_close(layers.f1, digits, backend, rtol=0, atol=1e-7)


def test_initial_weights_are_the_articles() -> None:
    params = nn.init_params(3, 4, seed=3, factor=0.1)
    np.testing.assert_allclose(params.w1, ARTICLE_W, atol=5e-4)
    np.testing.assert_allclose(params.w2, [[0.088, 0.171, 0.005, -0.040]], atol=5e-4)
    assert not params.b1.any()
    assert not params.b2.any()


@pytest.mark.parametrize(("factor", "yhat"), [(0.1, 0.5208876705997051), (0.01, 0.503)])
def test_one_forward_pass_gives_the_articles_output(factor: float, yhat: float) -> None:
    layers = equations.forward(nn.init_params(3, 4, seed=3, factor=factor), ARTICLE_X, xp=np)
    assert layers.yhat.item() == pytest.approx(yhat, abs=1e-15 if factor == 0.1 else 5e-4)


def test_shapes_are_the_articles(backend: Place) -> None:
    params = backend.params(nn.init_params(3, 4, seed=3, factor=0.1))
    layers = equations.forward(params, backend.asarray(ARTICLE_X), xp=backend.xp)
    assert [tuple(array.shape) for array in params] == [(4, 3), (4, 1), (1, 4), (1, 1)]
    assert [tuple(array.shape) for array in layers] == [(4, 1), (4, 1), (1, 1), (1, 1)]


def test_cost_is_the_articles_formula(backend: Place) -> None:
    params, X, y = draw(5, 3, 2, 40)
    yhat = 1 / (1 + np.exp(-(params.w2 @ (1 / (1 + np.exp(-(params.w1 @ X + params.b1)))) + params.b2)))
    expected = -np.sum(y * np.log(yhat) + (1 - y) * np.log(1 - yhat)) / 40
    layers = equations.forward(backend.params(params), backend.asarray(X), xp=backend.xp)
    cost = equations.cost(layers.z2, backend.asarray(y), 40.0, xp=backend.xp)
    assert_close(cost, expected, backend, rtol=RTOL[backend.dtype])


@KINDS
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


def test_gradients_of_blocks_add_up_to_those_of_the_whole() -> None:
    params, X, y = draw(4, 3, 1, 20)
    shares = [
        equations.backward(params, equations.forward(params, X[:, part], xp=np), X[:, part], y[:, part], 20, xp=np)
        for part in (slice(0, 7), slice(7, 20))
    ]
    for left, right, whole in zip(*shares, gradients_of(params, X, y), strict=True):
        np.testing.assert_allclose(left + right, whole, rtol=1e-12)


def test_update_steps_against_the_gradient(backend: Place) -> None:
    params, gradients = nn.init_params(2, 3, seed=1, factor=1), nn.init_params(2, 3, seed=2, factor=1)
    updated = equations.update(backend.params(params), backend.params(gradients), 0.25)
    for new, old, gradient in zip(updated, params, gradients, strict=True):
        assert_close(new, old - 0.25 * gradient, backend, rtol=RTOL[backend.dtype], atol=1e-7)


def test_leading_axes_are_as_many_networks(backend: Place) -> None:
    params, X, y = draw(3, 4, 1, 300, 2, 5)
    placed, data, truth = backend.params(params), backend.asarray(X), backend.asarray(y)
    layers = equations.forward(placed, data, xp=backend.xp)
    together = equations.update(placed, equations.backward(placed, layers, data, truth, 300.0, xp=backend.xp), 0.2)
    costs = equations.cost(layers.z2, truth, 300.0, xp=backend.xp)
    for e in np.ndindex(2, 5):
        single = backend.params(nn.Params(*(np.ascontiguousarray(array[e]) for array in params)))
        layers = equations.forward(single, data, xp=backend.xp)
        alone = equations.update(single, equations.backward(single, layers, data, truth, 300.0, xp=backend.xp), 0.2)
        cost = equations.cost(layers.z2, truth, 300.0, xp=backend.xp)
        tolerance = 0.0 if backend.xp is np else RTOL[backend.dtype]  # NumPy's batched products give the same bits here
        for one, many in zip(alone, together, strict=True):
            assert_close(many[(*e, ...)], backend.backend.to_numpy(one), backend, rtol=tolerance, atol=tolerance)
        assert_close(costs[(*e, ...)], backend.backend.to_numpy(cost), backend, rtol=tolerance)


@KINDS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_cost_that_the_dtype_can_hold_is_finite(kind: str, dtype: str) -> None:
    """Although what one of the four examples adds to their sum is beyond the dtype."""
    largest, z2, y = np.finfo(dtype).max, np.zeros((2, 4), dtype), np.zeros((2, 4), dtype)
    if kind == "identity":
        z2[0, 0] = 1.6 * math.sqrt(largest)
    else:
        z2[:, 0] = largest, -largest if kind == "softmax" else largest
        y[1] = kind == "softmax"
    with np.errstate(over="ignore"):  # as engines do
        cost = equations.cost(z2, y, 4.0, output=equations.OUTPUTS[kind], xp=np)
    assert cost == pytest.approx(float(largest) * (0.32 if kind == "identity" else 0.5), rel=1e-6)


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
    for function in functions:
        assert "xp" not in [argument.arg for argument in function.args.args]
        own_names = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
        for node in ast.walk(function):
            assert not isinstance(
                node, ast.AugAssign | ast.Global | ast.Nonlocal | ast.If | ast.IfExp | ast.While | ast.For | ast.Delete
            )
            if isinstance(node, ast.Assign):
                assert not any(
                    isinstance(part, ast.Subscript | ast.Attribute) for t in node.targets for part in ast.walk(t)
                )
                own_names |= {part.id for t in node.targets for part in ast.walk(t) if isinstance(part, ast.Name)}
            if isinstance(node, ast.comprehension):
                own_names |= {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xp":
                assert node.attr in allowed
        classes = {"Params", "Layers", "Tally", "Output"}
        public = {*classes, "SIGMOID", "Array", "Any", "float", *(f.name for f in functions)}
        read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert read <= own_names | public


def test_every_equation_is_numbered_once() -> None:
    source = inspect.getsource(equations)
    for number in range(1, 11):
        assert source.count(f"# ({number})") == 1
