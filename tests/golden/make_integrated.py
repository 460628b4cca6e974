#!/usr/bin/env python3
"""Writes integrated.txt: losses, gradients and training steps of the default learner in float64.

The reference for tests/learner/test_golden.c, written from the formulas of arXiv:2404.17589 (4 to 6, and this
project's switches on them) with PyTorch's autograd and PyTorch's Adam, and nothing of the C code's
structure. Run it again only when a formula changes:  python3 make_integrated.py > integrated.txt
Needs torch 2 and numpy. Every number that goes in is a float32, so that both sides start from the same.
"""

import math

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
S, A, H, M, B, BATCHES, STEPS = 5, 4, 8, 3, 6, 4, 40
GAMMA, ETA, BETA, LAMBDA, DELTA, W, L = 0.9, 1.2, 0.3, 0.2, 0.7, 0.08, 5
SCALE, ACTOR_LR, CRITIC_LR, LR_FINAL, ACTOR_CLIP, CRITIC_CLIP = 2.0, 3e-3, 1e-2, 0.05, 0.5, 1.0
TENSORS = ["w1", "b1", "w2", "b2", "w3", "b3"]
BLOCKS = ["s", "a", "bp", "lower", "upper", "r", "s2", "bp2", "lower2", "upper2", "done", "weight"]
rng = np.random.default_rng(20240417)


def emit(name, values):
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    print(name, len(flat), " ".join("%.9g" % v for v in flat))


def uniform(low, high, *shape):
    return torch.tensor(rng.uniform(low, high, shape).astype(np.float32).astype(np.float64))


def network(inputs, outputs):
    shapes = [(H, inputs), (H,), (H, H), (H,), (outputs, H), (outputs,)]
    fans = [inputs, inputs, H, H, H, H]
    return [uniform(-1 / math.sqrt(f), 1 / math.sqrt(f), *shape) for shape, f in zip(shapes, fans)]


def forward(net, x):
    w1, b1, w2, b2, w3, b3 = net
    return torch.relu(torch.relu(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3


def mu(net, s):
    return torch.tanh(forward(net, s))


def q(net, s, a):
    return forward(net, torch.cat([s, a], 1))[:, 0]


def rounded(x):
    return x.to(torch.float32).to(torch.float64)


def box(action):
    """Boxes that leave `action` inside, a little and far outside; some frozen or narrow dimensions."""
    bp = action + uniform(-0.35, 0.35, B, A)
    lower, upper = torch.full((B, A), -0.15), torch.full((B, A), 0.15)
    lower[0, 1], upper[1, 2] = -0.05, 0.1
    bp[1, 0] = action[1, 0] - 0.7  # beyond the penalty's cap
    lower[2, 0] = upper[2, 0] = 0.0  # frozen
    lower[3, 3], upper[3, 3] = 0.0, 0.002  # narrower than the floor of kappa
    bp[3, 3] = action[3, 3] + 0.005
    return rounded(bp), rounded(lower), rounded(upper)


def batch(actor, actor_target):
    out = {"s": uniform(-2, 2, B, S), "r": uniform(-3, 3, B), "s2": uniform(-2, 2, B, S)}
    out["bp"], out["lower"], out["upper"] = box(mu(actor, out["s"]))
    out["bp2"], out["lower2"], out["upper2"] = box(mu(actor_target, out["s2"]))
    out["a"] = rounded(out["bp"] + 0.5 * (out["lower"] + out["upper"]))
    out["done"] = torch.zeros(B)
    out["done"][4] = 1.0
    for name in ("s2", "bp2", "lower2", "upper2"):
        out[name][4] = 0.0
    out["weight"] = torch.tensor([1.0, 0.5, 2.0, 1.0, 1.5, 1.0])
    return out


def excess(action, bp, lower, upper):
    """x / kappa, 0 in frozen dimensions."""
    x = torch.clamp(torch.maximum(action - (bp + upper), (bp + lower) - action), min=0.0)
    width = upper - lower
    return torch.where(width > 0, x / (BETA * torch.clamp(width, min=0.01)), torch.zeros_like(x))


def penalty(kind, action, bp, lower, upper):
    z = excess(action, bp, lower, upper)
    if kind == "none":
        return torch.zeros(B)
    if kind == "printed":
        return torch.where(z > 0, torch.exp(-z), torch.zeros_like(z)).sum(1)
    capped = torch.clamp(z, max=5.0)
    return torch.where(z > 5.0, math.expm1(5.0) + math.exp(5.0) * (z - 5.0), torch.expm1(capped)).sum(1)


def critic_loss(kind, target, critic, critic_target, actor_target, d):
    with torch.no_grad():
        live = GAMMA * (1 - d["done"])
        next_box = (d["bp2"], d["lower2"], d["upper2"])
        action = mu(actor_target, d["s2"])
        z = excess(action, *next_box)
        extra = torch.zeros(B)
        if target == "clip":
            action = torch.minimum(torch.maximum(action, d["bp2"] + d["lower2"]), d["bp2"] + d["upper2"])
        value = q(critic_target, d["s2"], action)
        if target == "discount":
            value = torch.where(value > 0, value * torch.exp(-z.sum(1)), value)
        elif target == "additive":
            value = value - DELTA * (1 - torch.exp(-z)).sum(1)
        elif target == "literal":
            extra = DELTA * (1 - d["done"]) * penalty(kind, action, *next_box)
        y = d["r"] / SCALE + live * value
    return (d["weight"] * ((q(critic, d["s"], d["a"]) - y) ** 2 + extra)).mean()


def actor_loss(kind, actor, critics, d):
    action = mu(actor, d["s"])
    values = torch.stack([q(critic, d["s"], action) for critic in critics])
    std = torch.sqrt(((values - values.mean(0)) ** 2).mean(0) + 1e-8)
    return (d["weight"] * (-values.mean(0) + ETA * penalty(kind, action, d["bp"], d["lower"], d["upper"])
                           + LAMBDA * std)).mean()


def clipped(grads, limit):
    norm = math.sqrt(sum(float((g * g).sum()) for g in grads))
    return [g * min(1.0, limit / norm) for g in grads]


def copy(net):
    return [t.clone() for t in net]


def train(kind, target, start, data):
    actor, actor_target, critics, targets = (copy(start[0]), copy(start[1]), [copy(c) for c in start[2]],
                                             [copy(c) for c in start[3]])
    nets = [actor] + critics
    for net in nets:
        for t in net:
            t.requires_grad_(True)
    optimisers = [torch.optim.Adam(net, lr=1.0) for net in nets]
    losses = []
    for k in range(STEPS):
        d = data[k % BATCHES]
        decay = LR_FINAL + (1 - LR_FINAL) * 0.5 * (1 + math.cos(math.pi * k / STEPS))

        def update(index, loss, limit, rate):
            grads = torch.autograd.grad(loss, nets[index])
            for t, g in zip(nets[index], clipped(grads, limit)):
                t.grad = g
            optimisers[index].param_groups[0]["lr"] = rate * decay
            optimisers[index].step()

        total = 0.0
        for i in range(M):
            loss = critic_loss(kind, target, critics[i], targets[i], actor_target, d)
            total += float(loss.detach())
            update(1 + i, loss, CRITIC_CLIP, CRITIC_LR)
        loss = actor_loss(kind, actor, critics, d)
        losses += [total, float(loss.detach())]
        update(0, loss, ACTOR_CLIP, ACTOR_LR)
        if (k + 1) % L == 0:
            with torch.no_grad():
                for net, slow in zip(nets, [actor_target] + targets):
                    for t, s in zip(net, slow):
                        s.copy_(W * t + (1 - W) * s)
    return losses, [t.detach() for t in actor], [t for t in actor_target]


def main():
    start = (network(S, A), network(S, A), [network(S + A, 1) for _ in range(M)],
             [network(S + A, 1) for _ in range(M)])
    data = [batch(start[0], start[1]) for _ in range(BATCHES)]
    emit("sizes", [S, A, H, M, B, BATCHES, STEPS])
    emit("settings", [GAMMA, ETA, BETA, LAMBDA, DELTA, W, L, SCALE, ACTOR_LR, CRITIC_LR, LR_FINAL,
                      ACTOR_CLIP, CRITIC_CLIP])
    for name, net in [("actor", start[0]), ("actor'", start[1])] + [
            ("critic%d%s" % (i, mark), start[2 + k][i]) for i in range(M) for k, mark in ((0, ""), (1, "'"))]:
        for tensor, values in zip(TENSORS, net):
            emit("%s.%s" % (name, tensor), values)
    for k, d in enumerate(data):
        for name in BLOCKS:
            emit("batch%d.%s" % (k, name), d[name])
    for net in [start[0]] + start[2]:
        for t in net:
            t.requires_grad_(True)
    for kind in ("expm1", "printed", "none"):
        for target in ("discount", "literal", "additive", "clip"):
            case = "%s.%s" % (kind, target)
            for i in range(M):
                loss = critic_loss(kind, target, start[2][i], start[3][i], start[1], data[0])
                emit("%s.critic%d.loss" % (case, i), [float(loss.detach())])
                for tensor, g in zip(TENSORS, torch.autograd.grad(loss, start[2][i])):
                    emit("%s.critic%d.%s" % (case, i, tensor), g)
            loss = actor_loss(kind, start[0], start[2], data[0])
            emit("%s.actor.loss" % case, [float(loss.detach())])
            for tensor, g in zip(TENSORS, torch.autograd.grad(loss, start[0])):
                emit("%s.actor.%s" % (case, tensor), g)
    for net in [start[0]] + start[2]:
        for t in net:
            t.requires_grad_(False)
    for kind, target in (("expm1", "discount"), ("none", "additive"), ("printed", "clip")):
        losses, actor, actor_target = train(kind, target, start, data)
        emit("train.%s.%s.losses" % (kind, target), losses)
        for tensor, values, slow in zip(TENSORS, actor, actor_target):
            emit("train.%s.%s.actor.%s" % (kind, target, tensor), values)
            emit("train.%s.%s.actor'.%s" % (kind, target, tensor), slow)


if __name__ == "__main__":
    main()
