#!/usr/bin/env python3
"""One gradient step of the default learner in JAX: jit, 50 steps a dispatch by lax.scan, buffers donated.

    step_jax.py VARIANT HIDDEN THREADS [--check]

Variants: unroll (24 critics, the loop unrolled when traced), flat (the first layer of all critics is one product, the
second a batched one), vmap. --check prints the losses of twenty steps on fixed rows.
"""

import argparse
import json
import os

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("variant", choices=["unroll", "flat", "vmap"])
parser.add_argument("hidden", type=int)
parser.add_argument("threads", type=int)
parser.add_argument("--check", action="store_true")
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--seconds", type=float, default=20)
o = parser.parse_args()
os.environ["JAX_PLATFORMS"] = "cpu"
if o.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from step_data import *

DISPATCH = 50
tree_map = jax.tree_util.tree_map


def mlp(p, x):
    h = jax.nn.relu(x @ p[0][0] + p[0][1])
    h = jax.nn.relu(h @ p[1][0] + p[1][1])
    return h @ p[2][0] + p[2][1]


def act(p, s):
    return jnp.tanh(mlp(p, s))


def critics_of(variant, nets, hidden):
    """Parameters, and q(parameters, x) -> (CRITICS, rows)."""
    stacked = [tuple(np.stack([net[layer][k] for net in nets]) for k in (0, 1)) for layer in range(3)]
    if variant == "vmap":
        return tree_map(jnp.asarray, stacked), lambda p, x: jax.vmap(lambda one: mlp(one, x)[:, 0])(p)
    if variant == "unroll":
        return tree_map(jnp.asarray, nets), lambda p, x: jnp.stack([mlp(one, x)[:, 0] for one in p])
    (W1, b1), (W2, b2), (W3, b3) = stacked
    first = W1.transpose(1, 0, 2).reshape(INPUT, CRITICS * hidden), b1.reshape(-1)
    params = tree_map(jnp.asarray, [first, (W2, b2), (W3[:, :, 0], b3[:, 0])])

    def q(p, x):
        h = jax.nn.relu(x @ p[0][0] + p[0][1]).reshape(-1, CRITICS, hidden)
        h = jax.nn.relu(jnp.einsum("bnh,nhk->nbk", h, p[1][0]) + p[1][1][:, None, :])
        return (h * p[2][0][:, None, :]).sum(-1) + p[2][1][:, None]

    return params, q


def critic_loss(p, target, actor_target, b, q):
    a2 = act(actor_target, b[:, COLUMNS["s2"]])
    beyond = jnp.maximum(jnp.abs(a2 - b[:, COLUMNS["bp2"]]) - BOX, 0)
    phi = jnp.exp(-beyond.sum(1) / KAPPA)
    q2 = q(target, jnp.concatenate([b[:, COLUMNS["s2"]], a2], 1))
    kept = jnp.where(q2 > 0, phi * q2, q2)
    y = b[:, COLUMNS["r"]][:, 0] + GAMMA * (1 - b[:, COLUMNS["done"]][:, 0]) * kept
    return ((q(p, b[:, :INPUT]) - lax.stop_gradient(y)) ** 2).mean(1).sum()


def actor_loss(p, critics, b, q):
    a = act(p, b[:, COLUMNS["s"]])
    value = q(critics, jnp.concatenate([b[:, COLUMNS["s"]], a], 1))
    beyond = jnp.maximum(jnp.abs(a - b[:, COLUMNS["bp"]]) - BOX, 0)
    penalty = jnp.expm1(jnp.minimum(beyond / KAPPA, 5.0)).sum(1)
    return (-value.mean(0) + ETA * penalty + LAMBDA * jnp.sqrt(value.var(0) + 1e-8)).mean()


def adam(p, g, m, v, t):
    m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    c1, c2 = 1 - 0.9**t, 1 - 0.999**t
    return tree_map(lambda p, m, v: p - (RATE / c1) * m / (jnp.sqrt(v / c2) + 1e-8), p, m, v), m, v


def step(state, b, q):
    critics, critics_target, cm, cv, actor, actor_target, am, av, count = state
    count = count + 1
    t = count.astype(jnp.float32)
    loss, g = jax.value_and_grad(critic_loss)(critics, critics_target, actor_target, b, q)
    critics, cm, cv = adam(critics, g, cm, cv, t)
    actors_loss, g = jax.value_and_grad(actor_loss)(actor, critics, b, q)
    actor, am, av = adam(actor, g, am, av, t)
    move = lambda x, y: tree_map(lambda a, b: a + TAU * (b - a), x, y)
    critics_target, actor_target = lax.cond(
        count % EVERY == 0,
        lambda c, a: (move(c, critics), move(a, actor)),
        lambda c, a: (c, a),
        critics_target,
        actor_target,
    )
    return (critics, critics_target, cm, cv, actor, actor_target, am, av, count), (loss, actors_loss)


def start(critics, actor):
    copy = lambda x: tree_map(lambda t: jnp.array(t, copy=True), x)
    zeros = lambda x: tree_map(jnp.zeros_like, x)
    return (copy(critics), copy(critics), zeros(critics), zeros(critics)) + (
        copy(actor), copy(actor), zeros(actor), zeros(actor), jnp.int32(0))


def main():
    pin(o.threads)
    actor, nets = networks(o.hidden)
    critics, q = critics_of(o.variant, nets, o.hidden)
    state = start(critics, tree_map(jnp.asarray, actor))
    data = jnp.asarray(rows(20_000 if o.check else 1_000_000))
    take = lambda state, index: step(state, jnp.take(data_of[0], index, axis=0, mode="clip"), q)
    data_of = [data]
    if o.check:
        chosen = np.random.default_rng(3).integers(0, len(data), (20, BATCH)).astype(np.int32)
        _, losses = jax.jit(lambda s, i: lax.scan(take, s, i))(state, jnp.asarray(chosen))
        print(json.dumps([float(loss[-1]) for loss in losses]))
        return

    def many(state, data, key):
        index = jax.random.randint(key, (DISPATCH, BATCH), 0, data.shape[0])
        return lax.scan(lambda s, i: step(s, jnp.take(data, i, axis=0, mode="clip"), q), state, index)

    run = jax.jit(many, donate_argnums=0)
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 1000))
    held = [state]

    def call():
        held[0], losses = run(held[0], data, next(keys))
        jax.block_until_ready((held[0], losses))

    call()  # traces and compiles
    report(f"jax {o.variant}", jax.__version__, time_calls(call, DISPATCH, o.steps, o.seconds))


if __name__ == "__main__":
    main()
