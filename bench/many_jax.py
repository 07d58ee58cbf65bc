"""The jobs of bench_many.py in JAX, as somebody writes them who knows it well.

The gradient is written by hand (here three times as fast as JAX's own), examples are columns (twice as fast as rows),
and networks are shared by as many CPU devices as there are threads. Each job has several ways, of which the fastest
counts: all networks of a device at once, in batches that fit its cache, or, of little data, in the last axis.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

import nn_backend as nn
from nn_backend.engines.machine import count_threads

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", count_threads())
MESH = Mesh(np.array(jax.devices("cpu")), ("networks",))
Ways = dict[str, Callable[[], Any]]


def parameters(params: nn.Params) -> dict[str, np.ndarray]:
    """Return the parameters of networks of one output as JAX's users have them."""
    w1, b1, w2, b2 = params
    return {"w1": w1, "b1": b1[..., 0], "w2": w2[..., 0, :], "b2": b2[..., 0, 0]}


def sigmoid(z: Any) -> Any:
    return 1 / (1 + jnp.exp(-z))


def logits(p: Any, X: Any) -> Any:
    return p["w2"] @ sigmoid(p["w1"] @ X + p["b1"][:, None]) + p["b2"]


def cost(z: Any, y: Any) -> Any:
    return jnp.mean(jax.nn.softplus(z) - y * z)


def train(p: Any, X: Any, y: Any, w: Any, rate: Any, iterations: int, penalty: Any = None) -> Any:
    """Do that many updates of a network, of weights w whose sum is 1."""

    def step(_: int, p: Any) -> Any:
        f1 = sigmoid(p["w1"] @ X + p["b1"][:, None])
        d2 = (sigmoid(p["w2"] @ f1 + p["b2"]) - y) * w
        d1 = p["w2"][:, None] * d2 * (1 - f1) * f1
        g = {"w1": d1 @ X.T, "b1": d1.sum(1), "w2": f1 @ d2, "b2": d2.sum()}
        if penalty is not None:
            g |= {name: g[name] + penalty * p[name] for name in ("w1", "w2")}
        return {name: p[name] - rate * g[name] for name in p}

    return jax.lax.fori_loop(0, iterations, step, p)


def mapped(function: Callable[..., Any], batch: int | None, *, to_numpy: bool = True) -> Callable[..., Any]:
    """Return a function of what each network has (leading axis), and of what they share, on all devices in batches."""

    def on_a_device(own: Any, shared: Any) -> Any:
        if batch is None:
            return jax.vmap(lambda one: function(one, *shared))(own)
        return jax.lax.map(lambda one: function(one, *shared), own, batch_size=batch)

    specs = PartitionSpec("networks"), PartitionSpec()
    run = jax.jit(jax.shard_map(on_a_device, mesh=MESH, in_specs=specs, out_specs=specs[0], check_vma=False))

    def call(own: Any, *shared: Any) -> Any:
        networks = len(jax.tree.leaves(own)[0])
        missing = -networks % MESH.size
        if missing:
            own = jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], missing, 0)]), own)
        found = jax.block_until_ready(run(own, shared))
        return jax.tree.map(lambda a: np.asarray(a)[:networks], found) if to_numpy else found

    return call


def in_ways(function: Callable[..., Any], *batches: int | None, **options: Any) -> dict[str, Callable[..., Any]]:
    """Return `mapped` functions by what a way is called."""
    return {"vmap" if batch is None else f"lax.map({batch})": mapped(function, batch, **options) for batch in batches}


def sweep(draw: Callable[[], nn.Params], rates: Any, train_on: Any, test_on: Any, iterations: int) -> Ways:
    """Return ways to train each network at its rate; they return costs and accuracies on the test rows."""

    def one(own: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
        p = train(own["p"], X, y, 1 / X.shape[1], own["rate"], iterations)
        return cost(logits(p, X), y), jnp.mean((logits(p, X_test) > 0) == y_test, dtype=X.dtype)

    shared = (train_on[0], train_on[1][0], test_on[0], test_on[1][0])
    ways = in_ways(one, None, 4, 16)
    return {name: lambda way=way: way({"p": parameters(draw()), "rate": rates}, *shared) for name, way in ways.items()}


def cross_validate(draw: Any, sizes: Any, folds: Any, X: np.ndarray, y: np.ndarray, rate: float, steps: int) -> Ways:
    """Return ways to train networks of several sizes on each fold, scaled by its rows; they return accuracies."""

    def one(p: Any, X: Any, y: Any, w: Any, X_held: Any, y_held: Any, w_held: Any) -> Any:
        q = jax.vmap(train, (None, 0, 0, 0, None, None))(p, X, y, w, rate, steps)
        return (((jax.vmap(logits)(q, X_held) > 0) == y_held) * w_held).sum(1)

    def padded(parts: Any) -> Any:
        """Return which rows each part has, as many for all, and their weights, 0 of those that fill up."""
        inside = np.arange(max(map(len, parts))) < np.array([[len(rows)] for rows in parts])
        rows = np.zeros(inside.shape, int)
        rows[inside] = np.concatenate(parts)
        return rows, inside / inside.sum(axis=1, keepdims=True)

    def data() -> Any:
        (trained, w), (held, w_held) = (padded([fold[k] for fold in folds]) for k in range(2))
        scales = [nn.standardization(X[:, rows]) for rows, _ in folds]
        mean, deviation = (np.stack([scale[k] for scale in scales]) for k in range(2))
        cut = [(np.moveaxis(X[:, rows], 0, 1) - mean) / deviation for rows in (trained, held)]
        return cut[0], y[0][trained], w, cut[1], y[0][held], w_held

    return {
        name: lambda way=way: np.stack([way(parameters(draw(n1)), *data()) for n1 in sizes])
        for name, way in in_ways(one, 1, 2, 5).items()
    }


def groups(start: nn.Params, ids: Any, X: np.ndarray, y: np.ndarray, rate: float, steps: int, width: int) -> Ways:
    """Return ways to train a network on each group, padded to a multiple of a width; they return probabilities."""

    def one(own: Any, p: Any) -> Any:
        X, y, w = own
        mean = X @ w
        X = (X - mean[:, None]) / jnp.sqrt((X - mean[:, None]) ** 2 @ w)[:, None]
        p = train(p, X, y, w, rate, steps)
        return p, sigmoid(logits(p, X))

    def run(way: Callable[..., Any]) -> np.ndarray:
        order, counts = np.argsort(ids, kind="stable"), np.bincount(ids)
        firsts, room, yhat = np.cumsum(counts) - counts, -(-counts // width) * width, np.empty(len(ids))
        for m in np.unique(room).tolist():
            own = np.flatnonzero(room == m)
            inside = np.arange(m) < counts[own, None]
            rows = order[np.where(inside, firsts[own, None] + np.arange(m), 0)]
            _, found = way((np.moveaxis(X[:, rows], 0, 1), y[0, rows], inside / counts[own, None]), parameters(start))
            yhat[rows[inside]] = found[inside]
        return yhat

    return {name: lambda way=way: run(way) for name, way in in_ways(one, None, 4, 16).items()}


def weighted(draw: Any, X: np.ndarray, y: np.ndarray, counts: np.ndarray, rate: float, steps: int) -> Ways:
    """Return ways to train the same start with each row of weights; they return probabilities of all rows."""

    def one(w: Any, p: Any, X: Any, y: Any) -> Any:
        return sigmoid(logits(train(p, X, y, w / w.sum(), rate, steps), X))

    ways = in_ways(one, None, 4, 16)
    return {name: lambda way=way: way(counts, parameters(draw()), X, y[0]) for name, way in ways.items()}


def folds_apart(draw: Any, X: np.ndarray, y: np.ndarray, trained: np.ndarray, rate: float, steps: int) -> Ways:
    """Return ways to train on rows of weight 1, scaled by them; they return the accuracy of the others."""

    def one(w: Any, p: Any, X: Any, y: Any) -> Any:
        share = w / w.sum()
        mean = X @ share
        X = (X - mean[:, None]) / jnp.sqrt((X - mean[:, None]) ** 2 @ share)[:, None]
        right = (logits(train(p, X, y, share, rate, steps), X) > 0) == y
        return (right * (1 - w)).sum() / (1 - w).sum()

    ways = in_ways(one, 4, 16)
    return {name: lambda way=way: way(trained, parameters(draw()), X, y[0]) for name, way in ways.items()}


def stop_early(
    start: nn.Params, train_on: Any, watched: Any, rate: float, every: int, patience: int, most: int
) -> Ways:
    """Return ways to stop each network by itself; they return its lowest cost of the watched rows."""

    def one(p: Any, X: Any, y: Any, X_watched: Any, y_watched: Any) -> Any:
        def look(run: Any) -> Any:
            p, best, kept, waited, done = run
            p = train(p, X, y, 1 / X.shape[1], rate, every)
            now = cost(logits(p, X_watched), y_watched)
            better = now < best
            kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), p, kept)
            return p, jnp.minimum(now, best), kept, jnp.where(better, 0, waited + 1), done + every

        run = (p, cost(logits(p, X_watched), y_watched), p, 0, 0)
        run = jax.lax.while_loop(lambda run: (run[3] < patience) & (run[4] < most), look, run)
        return run[1], run[2]

    shared = (train_on[0], train_on[1][0], watched[0], watched[1][0])
    ways = in_ways(one, None, 1, 4)
    return {name: lambda way=way: way(parameters(start), *shared)[0] for name, way in ways.items()}


def restarts(start: nn.Params, X: np.ndarray, y: np.ndarray, rate: float, steps: int) -> Ways:
    """Return ways to train many starts on very little data, networks in the last axis; they return costs."""
    n1, (n0, m) = start.w1.shape[1], X.shape

    def hidden(w1: Any, b1: Any, r: int) -> Any:
        return [sigmoid(sum(w1[j, i] * X[i, r] for i in range(n0)) + b1[j]) for j in range(n1)]

    def chunk(p: Any) -> Any:
        def step(_: int, p: Any) -> Any:
            w1, b1, w2, b2 = p
            f1 = [hidden(w1, b1, r) for r in range(m)]
            d2 = [(sigmoid(sum(w2[j] * f[j] for j in range(n1)) + b2) - y[0, r]) / m for r, f in enumerate(f1)]
            d1 = [[w2[j] * d * (1 - f[j]) * f[j] for d, f in zip(d2, f1, strict=True)] for j in range(n1)]
            dw1 = jnp.stack([jnp.stack([sum(d[r] * X[i, r] for r in range(m)) for i in range(n0)]) for d in d1])
            dw2 = jnp.stack([sum(d * f[j] for d, f in zip(d2, f1, strict=True)) for j in range(n1)])
            db1 = jnp.stack([sum(d) for d in d1])
            return w1 - rate * dw1, b1 - rate * db1, w2 - rate * dw2, b2 - rate * sum(d2)

        w1, b1, w2, b2 = jax.lax.fori_loop(0, steps, step, tuple(jnp.moveaxis(a, 0, -1) for a in p))
        z = [sum(w2[j] * f for j, f in enumerate(hidden(w1, b1, r))) + b2 for r in range(m)]
        return sum(jax.nn.softplus(each) - y[0, r] * each for r, each in enumerate(z)) / m

    def run(way: Callable[..., Any], size: int) -> np.ndarray:
        own = parameters(start)
        chunks = tuple(own[name].reshape(-1, size, *own[name].shape[1:]) for name in ("w1", "b1", "w2", "b2"))
        return way(chunks).reshape(-1)

    way = mapped(chunk, 1)
    return {f"networks last, {size}": lambda size=size: run(way, size) for size in (250, 1000, 5000)}


def penalties(draw: Any, alphas: Any, train_on: Any, test_on: Any, rate: float, steps: int) -> Ways:
    """Return ways to train each network with its penalty; they return costs on the test rows."""

    def one(own: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> Any:
        p = train(own["p"], X, y, 1 / X.shape[1], rate, steps, own["alpha"] / X.shape[1])
        return cost(logits(p, X_test), y_test)

    shared = (train_on[0], train_on[1][0], test_on[0], test_on[1][0])
    ways = in_ways(one, None, 4, 16)
    own = {"alpha": np.asarray(alphas)}
    return {name: lambda way=way: way({"p": parameters(draw()), **own}, *shared) for name, way in ways.items()}


def predict(params: nn.Params, X: np.ndarray) -> Ways:
    """Return ways to ask all networks about all rows; they return probabilities, left on the devices."""
    ways = in_ways(lambda p, X: sigmoid(logits(p, X)), None, 1, 16, to_numpy=False)
    p = jax.tree.map(jnp.asarray, parameters(params))
    return {name: lambda way=way: way(p, X) for name, way in ways.items()}


def scores(params: nn.Params, X: np.ndarray, y: np.ndarray, size: int = 250) -> Ways:
    """Return ways to score networks; they return costs."""

    def blocks(p: Any, X: Any, y: Any) -> Any:  # networks in the last axis
        w1, b1, w2, b2 = (jnp.moveaxis(p[name], 0, -1) for name in ("w1", "b1", "w2", "b2"))
        f1 = [sigmoid(sum(w1[j, i] * X[i][:, None] for i in range(len(X))) + b1[j]) for j in range(len(w1))]
        z = sum(w2[j] * f for j, f in enumerate(f1)) + b2
        return jnp.mean(jax.nn.softplus(z) - y[:, None] * z, 0), jnp.mean((z > 0) == y[:, None], 0, dtype=X.dtype)

    def one(p: Any, X: Any, y: Any) -> Any:
        z = logits(p, X)
        return cost(z, y), jnp.mean((z > 0) == y, dtype=X.dtype)

    p = parameters(params)
    cut = {name: array.reshape(-1, size, *array.shape[1:]) for name, array in p.items()}
    last = mapped(blocks, 1)
    ways: Ways = {name: lambda way=way: way(p, X, y[0])[0] for name, way in in_ways(one, 64, 256).items()}
    return {**ways, f"networks last, {size}": lambda: last(cut, X, y[0])[0].reshape(-1)}
