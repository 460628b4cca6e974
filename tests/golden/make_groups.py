#!/usr/bin/env python3
"""Writes what the default learner computes with groups of critics, one action a request (groups.txt) or one an
item of the request's list (enhanced.txt), in float64:

    python3 make_groups.py groups > groups.txt
    python3 make_groups.py enhanced > enhanced.txt

The reference for tests/learner/test_golden_groups.c: formulas 4 to 6 of arXiv:2404.17589 with the groups of its v6
and the lists of arXiv:2409.11678, as docs/learning.md has them, with PyTorch's autograd and Adam. Network, box,
penalty and clipping are make_integrated.py's. Needs torch 2 and numpy.
"""

import math
import sys

import torch

import make_integrated as one
from make_integrated import (ACTOR_CLIP, ACTOR_LR, BETA, CRITIC_CLIP, CRITIC_LR, DELTA, ETA, GAMMA, H, L, LAMBDA,
                             LR_FINAL, TENSORS, W, clipped, copy, emit, forward, mu, network, rounded, uniform)

LISTS = sys.argv[1] == "enhanced"
U, D, A, ITEMS = (4, 3, 4, 3) if LISTS else (5, 0, 4, 1)  # of a user, of an item, of an action; items of a list
S = U + D  # what the actor sees
M, Q, B, BATCHES, STEPS = 2, 2, 6, 4, 40
SCALE, SCALES, WEIGHTS = 2.0, [1.5, 0.8], [1.0, 0.6]
SHARES = [w * s / SCALE for w, s in zip(WEIGHTS, SCALES)]
GIVEN = [("expm1", target) for target in ("discount", "literal", "additive", "clip")] + [("printed", "discount"),
                                                                                         ("none", "additive")]
TRAINED = [("expm1", "discount"), ("none", "additive"), ("printed", "clip")]
one.A = A


def per_item(function, *arrays):
    """function on (B * ITEMS, .) rows, back to (B, ITEMS, .)."""
    out = function(*[x.reshape(B * ITEMS, -1) for x in arrays])
    return out.reshape(B, ITEMS, -1) if out.dim() > 1 else out.reshape(B, ITEMS)


def box(action):
    """make_integrated's boxes, item by item of the list."""
    parts = [one.box(action[:, j]) for j in range(ITEMS)]
    return [torch.stack([part[k] for part in parts], 1) for k in range(3)]


def side(actor, drop):
    """Item states (B, ITEMS, S), masks (B, ITEMS) of lists of which some are short, boxes round mu."""
    user, own = uniform(-2, 2, B, 1, U), uniform(-2, 2, B, ITEMS, D)
    x = torch.cat([user.expand(B, ITEMS, U), own], 2)
    mask = torch.ones(B, ITEMS)
    if LISTS:
        for row, kept in drop:
            mask[row, kept:] = 0.0
    return x, mask, box(per_item(lambda rows: mu(actor, rows), x))


def wide(x, mask):
    """The state as a batch has it."""
    if not LISTS:
        return x[:, 0]
    return torch.cat([x[:, 0, :U], mask, x[:, :, U:].reshape(B, -1)], 1)


def batch(actor, actor_target):
    x, mask, (bp, lower, upper) = side(actor, [(1, 2), (3, 1)])
    x2, mask2, (bp2, lower2, upper2) = side(actor_target, [(0, 1), (2, 2)])
    parts = uniform(-3, 3, B, Q)
    out = {"x": x, "mask": mask, "x2": x2, "mask2": mask2, "parts": parts, "bp": bp, "lower": lower, "upper": upper,
           "bp2": bp2, "lower2": lower2, "upper2": upper2, "done": torch.zeros(B)}
    out["a"] = rounded(bp + 0.5 * (lower + upper))
    out["done"][4] = 1.0
    for name in ("x2", "mask2", "bp2", "lower2", "upper2"):
        out[name][4] = 0.0
    out["weight"] = torch.tensor([1.0, 0.5, 2.0, 1.0, 1.5, 1.0])
    out["s"], out["s2"], out["r"] = wide(x, mask), wide(x2, mask2), rounded(parts.sum(1))
    return out


def values(net, x, action):
    return per_item(lambda rows, acts: forward(net, torch.cat([rows, acts], 1))[:, 0], x, action)


def penalties(kind, action, d, mark):
    def flat(rows, bp, lower, upper):
        return torch.stack([one.penalty(kind, rows[i:i + B], bp[i:i + B], lower[i:i + B], upper[i:i + B])
                            for i in range(0, B * ITEMS, B)]).reshape(-1)

    return per_item(flat, action, d["bp" + mark], d["lower" + mark], d["upper" + mark])


def critic_loss(kind, target, group, critic, critic_target, actor_target, d):
    with torch.no_grad():
        action = per_item(lambda rows: mu(actor_target, rows), d["x2"])
        z = one.excess(action, d["bp2"], d["lower2"], d["upper2"])
        extra = torch.zeros(B, ITEMS)
        if target == "clip":
            action = torch.minimum(torch.maximum(action, d["bp2"] + d["lower2"]), d["bp2"] + d["upper2"])
        value = values(critic_target, d["x2"], action)
        if target == "discount":
            value = torch.where(value > 0, value * torch.exp(-z.sum(2)), value)
        elif target == "additive":
            value = value - DELTA * (1 - torch.exp(-z)).sum(2)
        elif target == "literal":
            extra = DELTA * penalties(kind, action, d, "2")
        live = (1 - d["done"]) * 1.0
        y = d["parts"][:, group] / SCALES[group] + GAMMA * live * (d["mask2"] * value).sum(1)
        extra = live * (d["mask2"] * extra).sum(1)
    q_list = (d["mask"] * values(critic, d["x"], d["a"])).sum(1)
    return (d["weight"] * ((q_list - y) ** 2 + extra)).mean()


def actor_loss(kind, actor, critics, d):
    action = per_item(lambda rows: mu(actor, rows), d["x"])
    loss = ETA * (d["mask"] * penalties(kind, action, d, "")).sum(1)
    for g in range(Q):
        q = torch.stack([values(critic, d["x"], action) for critic in critics[g * M:(g + 1) * M]])
        std = torch.sqrt(((q - q.mean(0)) ** 2).mean(0) + 1e-8)
        loss = loss + SHARES[g] * (d["mask"] * (LAMBDA * std - q.mean(0) / ITEMS)).sum(1)
    return (d["weight"] * loss).mean()


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
        for i in range(Q * M):
            loss = critic_loss(kind, target, i // M, critics[i], targets[i], actor_target, d)
            total += float(loss.detach()) * SCALES[i // M] ** 2
            update(1 + i, loss, CRITIC_CLIP, CRITIC_LR)
        loss = actor_loss(kind, actor, critics, d)
        losses += [total, float(loss.detach()) * SCALE]
        update(0, loss, ACTOR_CLIP, ACTOR_LR)
        if (k + 1) % L == 0:
            with torch.no_grad():
                for net, slow in zip(nets, [actor_target] + targets):
                    for t, s in zip(net, slow):
                        s.copy_(W * t + (1 - W) * s)
    return losses, [t.detach() for t in actor], [t for t in actor_target]


def main():
    start = (network(S, A), network(S, A), [network(S + A, 1) for _ in range(Q * M)],
             [network(S + A, 1) for _ in range(Q * M)])
    data = [batch(start[0], start[1]) for _ in range(BATCHES)]
    emit("sizes", [data[0]["s"].shape[1], ITEMS * A, H, M, B, BATCHES, STEPS, Q, ITEMS if LISTS else 0, D])
    emit("settings", [GAMMA, ETA, BETA, LAMBDA, DELTA, W, L, SCALE, ACTOR_LR, CRITIC_LR, LR_FINAL, ACTOR_CLIP,
                      CRITIC_CLIP])
    emit("scales", SCALES)
    emit("weights", WEIGHTS)
    for name, net in [("actor", start[0]), ("actor'", start[1])] + [
            ("critic%d%s" % (i, mark), start[2 + k][i]) for i in range(Q * M) for k, mark in ((0, ""), (1, "'"))]:
        for tensor, numbers in zip(TENSORS, net):
            emit("%s.%s" % (name, tensor), numbers)
    for k, d in enumerate(data):
        for name in one.BLOCKS + ["parts"]:
            emit("batch%d.%s" % (k, name), d[name])
    for net in [start[0]] + start[2]:
        for t in net:
            t.requires_grad_(True)
    for kind, target in GIVEN:
        case = "%s.%s" % (kind, target)
        for i in range(Q * M):
            loss = critic_loss(kind, target, i // M, start[2][i], start[3][i], start[1], data[0])
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
    for kind, target in TRAINED:
        losses, actor, actor_target = train(kind, target, start, data)
        emit("train.%s.%s.losses" % (kind, target), losses)
        for tensor, numbers, slow in zip(TENSORS, actor, actor_target):
            emit("train.%s.%s.actor.%s" % (kind, target, tensor), numbers)
            emit("train.%s.%s.actor'.%s" % (kind, target, tensor), slow)


if __name__ == "__main__":
    main()
