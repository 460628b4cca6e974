#!/usr/bin/env python3
"""Writes rivals_<learner>.txt: losses, gradients and training steps of a learner to compare with, in float64.

The reference for tests/learner/test_golden_rivals.c, written from the papers' losses (docs/learning.md has them)
with PyTorch's autograd and PyTorch's Adam, and nothing of the C code's structure but its random draws, which are
made here once more so that both sides see the same noise. Run it again only when a formula changes:
    for learner in td3bc iql cql_sac batchrl; do python3 make_rivals.py $learner > rivals_$learner.txt; done
Needs torch 2 and numpy. Every number that goes in is a float32, so that both sides start from the same.
"""

import math
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
S, A, H, B, BATCHES, STEPS = 4, 3, 8, 6, 3, 24
GAMMA, W, L, SCALE = 0.9, 0.08, 5, 2.0
ACTOR_LR, CRITIC_LR, LR_FINAL, ACTOR_CLIP, CRITIC_CLIP, SEED = 3e-3, 1e-2, 0.05, 0.5, 1.0, 5
TENSORS = ["w1", "b1", "w2", "b2", "w3", "b3"]
BLOCKS = ["s", "a", "bp", "lower", "upper", "r", "s2", "bp2", "lower2", "upper2", "done", "weight"]
rng = np.random.default_rng(20240911)


def emit(name, values):
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    print(name, len(flat), " ".join("%.9g" % v for v in flat))


def uniform(low, high, *shape):
    return torch.tensor(rng.uniform(low, high, shape).astype(np.float32).astype(np.float64))


def rounded(x):
    return x.to(torch.float32).to(torch.float64)


def network(inputs, outputs):
    """Of some size: so that critics cross, actions reach tanh's ends, and each min and clip has both sides."""
    shapes = [(H, inputs), (H,), (H, H), (H,), (outputs, H), (outputs,)]
    bounds = [2 / math.sqrt(inputs), 1, 2 / math.sqrt(H), 0.3, 4 / math.sqrt(H), 0.1]
    return [uniform(-bound, bound, *shape) for shape, bound in zip(shapes, bounds)]


def forward(net, *parts):
    w1, b1, w2, b2, w3, b3 = net
    x = torch.cat(parts, -1)
    return torch.relu(torch.relu(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3


def q(net, s, a):
    return forward(net, s, a)[..., 0]


# ---- the draws of core/rng.h and of mtf_rival_draws, mtf_rival_normals ----

MASK = 2**64 - 1


def mix(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


class Draws:
    """Of step `taken`, purpose `use`."""

    def __init__(self, taken, use):
        key, stream = SEED ^ 0x6D74667269766C73, taken * 8 + use
        lane = mix(key + 0x9E3779B97F4A7C15 & MASK) ^ mix(stream + 0xD1B54A32D192ED03 & MASK) * 3 & MASK
        self.lane, self.index = mix(lane), 0

    def one(self):
        self.index += 1
        return (mix(self.lane + 0x9E3779B97F4A7C15 * self.index & MASK) >> 11) * 2.0**-53

    def uniforms(self, *shape):
        return torch.tensor([self.one() for _ in range(math.prod(shape))]).reshape(shape)

    def normals(self, *shape):
        out = []
        while len(out) < math.prod(shape):
            radius, angle = math.sqrt(-2 * math.log(1 - self.one())), 2 * math.pi * self.one()
            out += [radius * math.cos(angle), radius * math.sin(angle)]
        return torch.tensor(out[:math.prod(shape)]).reshape(shape)


# ---- data ----


def box():
    """Boxes with an action inside; one frozen and one narrow dimension."""
    bp = uniform(-0.6, 0.6, B, A)
    lower, upper = uniform(-0.3, -0.05, B, A), uniform(0.05, 0.3, B, A)
    lower[2, 0] = upper[2, 0] = 0.0
    lower[3, 2], upper[3, 2] = 0.0, rounded(torch.tensor(0.002))
    return bp, lower, upper


def batch():
    out = {"s": uniform(-2, 2, B, S), "r": uniform(-3, 3, B), "s2": uniform(-2, 2, B, S)}
    out["bp"], out["lower"], out["upper"] = box()
    out["bp2"], out["lower2"], out["upper2"] = box()
    out["a"] = rounded(out["bp"] + out["lower"] + uniform(0, 1, B, A) * (out["upper"] - out["lower"]))
    out["a"][1, 1] = rounded(out["bp"][1, 1] + 0.4)  # logged outside its box
    out["a"][0, 2] = rounded(out["bp"][0, 2] - 0.4)
    out["done"] = torch.zeros(B)
    out["done"][4] = 1.0
    for name in ("s2", "bp2", "lower2", "upper2"):
        out[name][4] = 0.0
    out["weight"] = torch.tensor([1.0, 0.5, 2.0, 1.0, 1.5, 1.0])
    return out


def mean(d, x):
    """The weighted mean over the batch."""
    return (d["weight"] * x).sum() / B


def bootstrap(d, value):
    return d["r"] / SCALE + GAMMA * (1 - d["done"]) * value


def regressions(d, nets, y):
    for i in range(2):
        yield i, mean(d, (q(nets[i], d["s"], d["a"]) - y) ** 2)


# ---- the learners: each yields (networks, loss) in its order; the driver takes the step at once ----


class Td3bc:
    own = {"alpha": 2.5, "noise": 0.3, "noise_clip": 0.4, "policy_every": 2}
    shapes = [(S + A, 1), (S + A, 1), (S, A)]
    moving, loose = [0, 1, 2], 0

    def step(self, nets, targets, loose, d, k):
        with torch.no_grad():
            noise = torch.clamp(0.3 * Draws(k, 0).normals(B, A), -0.4, 0.4)
            a2 = torch.clamp(torch.tanh(forward(targets[2], d["s2"])) + noise, -1, 1)
            y = bootstrap(d, torch.minimum(q(targets[0], d["s2"], a2), q(targets[1], d["s2"], a2)))
        yield from regressions(d, nets, y)
        mu = torch.tanh(forward(nets[2], d["s"]))
        value = q(nets[0], d["s"], mu)
        pull = 2.5 / mean(d, value.abs()).detach()
        loss = mean(d, ((mu - d["a"]) ** 2).mean(1) - pull * value)
        yield (2 if (k + 1) % 2 == 0 else None), loss


class Iql:
    own = {"expectile": 0.7, "beta": 2.0, "weight_max": 6.0}
    shapes = [(S + A, 1), (S + A, 1), (S, A), (S, 1)]
    values, moving, loose = (0, 1, 3), [0, 1], A
    rates = [CRITIC_LR, CRITIC_LR, ACTOR_LR, CRITIC_LR]

    def step(self, nets, targets, loose, d, k):
        with torch.no_grad():
            data = torch.minimum(q(targets[0], d["s"], d["a"]), q(targets[1], d["s"], d["a"]))
        u = data - forward(nets[3], d["s"])[:, 0]
        yield 3, mean(d, torch.where(u < 0, 0.3, 0.7) * u**2)
        with torch.no_grad():
            weight = torch.clamp(torch.exp(2.0 * (data - forward(nets[3], d["s"])[:, 0])), max=6.0)
        pi = torch.distributions.Normal(torch.tanh(forward(nets[2], d["s"])), torch.exp(torch.clamp(loose, -5, 2)))
        yield (2, 4), mean(d, weight * -pi.log_prob(d["a"]).sum(1))
        with torch.no_grad():
            y = bootstrap(d, forward(nets[3], d["s2"])[:, 0])
        yield from regressions(d, nets, y)


class CqlSac:
    own = {"weight": 5.0, "actions": 2}
    shapes = [(S + A, 1), (S + A, 1), (S, 2 * A)]
    moving, loose, loose_clip = [0, 1], 1, math.inf

    def prepare(self, start):
        start[2][5][A] += 2  # a log deviation beyond its limit in some rows

    def draw(self, net, s, noise):
        """Actions and their log densities."""
        head = forward(net, s)
        gauss = torch.distributions.Normal(head[:, :A], torch.exp(torch.clamp(head[:, A:], -5, 2)))
        u = gauss.mean + gauss.stddev * noise
        log_cosh = u.abs() + torch.log1p(torch.exp(-2 * u.abs())) - math.log(2)
        return torch.tanh(u), (gauss.log_prob(u) + 2 * log_cosh).sum(1)

    def proposals(self, net, d, k):
        low, high = torch.minimum(d["bp"] + d["lower"], d["a"]), torch.maximum(d["bp"] + d["upper"], d["a"])
        width = torch.clamp(high - low, min=0.01)
        uniforms, here, there = Draws(k, 0), Draws(k, 1), Draws(k, 2)
        for _ in range(2):
            yield (low + high) / 2 + width * (uniforms.uniforms(B, A) - 0.5), -torch.log(width).sum(1)
            yield self.draw(net, d["s"], here.normals(B, A))
            yield self.draw(net, d["s2"], there.normals(B, A))

    def step(self, nets, targets, loose, d, k):
        with torch.no_grad():
            a2, _ = self.draw(nets[2], d["s2"], Draws(k, 3).normals(B, A))
            y = bootstrap(d, torch.minimum(q(targets[0], d["s2"], a2), q(targets[1], d["s2"], a2)))
            proposals = list(self.proposals(nets[2], d, k))
        for i in range(2):
            soft = torch.logsumexp(torch.stack([q(nets[i], d["s"], a) - p for a, p in proposals]), 0)
            data = q(nets[i], d["s"], d["a"])
            yield i, mean(d, (data - y) ** 2 + 5.0 * (soft - data))
        a, likely = self.draw(nets[2], d["s"], Draws(k, 4).normals(B, A))
        value = torch.minimum(q(nets[0], d["s"], a), q(nets[1], d["s"], a))
        yield 2, mean(d, torch.exp(loose.detach()) * likely - value)
        yield 3, mean(d, -loose * (likely.detach() - A))


class BatchRl:
    Z = 2 * A
    own = {"perturbation": 0.15, "latent_clip": 0.5, "candidates": 3, "generator_lr": 5e-3}
    shapes = [(S + A, 1), (S + A, 1), (S + A, A), (S + A, 2 * Z), (S + Z, A)]
    moving, loose = [0, 1, 2], 0
    rates = [CRITIC_LR, CRITIC_LR, ACTOR_LR, 5e-3, 5e-3]

    def prepare(self, start):
        start[4][4] *= 3  # candidates beyond the range
        start[3][5][self.Z] -= 5  # a log deviation beyond its limit

    def candidate(self, decoder, perturbation, s, draws):
        z = torch.clamp(draws.normals(B, self.Z), -0.5, 0.5)
        with torch.no_grad():
            a = torch.tanh(forward(decoder, s, z))
        return torch.clamp(a + 0.15 * torch.tanh(forward(perturbation, s, a)), -1, 1)

    def step(self, nets, targets, loose, d, k):
        code = forward(nets[3], d["s"], d["a"])
        gauss = torch.distributions.Normal(code[:, :self.Z], torch.exp(torch.clamp(code[:, self.Z:], -4, 15)))
        made = torch.tanh(forward(nets[4], d["s"], gauss.mean + gauss.stddev * Draws(k, 0).normals(B, self.Z)))
        kl = torch.distributions.kl_divergence(gauss, torch.distributions.Normal(0.0, 1.0)).mean(1)
        yield (3, 4), mean(d, ((made - d["a"]) ** 2).mean(1) + 0.5 * kl)
        with torch.no_grad():
            draws = Draws(k, 1)
            values = []
            for _ in range(3):
                a2 = self.candidate(nets[4], targets[2], d["s2"], draws)
                values.append(torch.minimum(q(targets[0], d["s2"], a2), q(targets[1], d["s2"], a2)))
            y = bootstrap(d, torch.stack(values).amax(0))
        yield from regressions(d, nets, y)
        yield 2, mean(d, -q(nets[0], d["s"], self.candidate(nets[4], nets[2], d["s"], Draws(k, 2))))


LEARNERS = {"batchrl": BatchRl, "td3bc": Td3bc, "iql": Iql, "cql_sac": CqlSac}


# ---- the driver ----


def clipped(grads, limit):
    norm = math.sqrt(sum(float((g * g).sum()) for g in grads))
    return [g * min(1.0, limit / norm) if norm > 0 else g for g in grads]


def copy(net):
    return [t.clone() for t in net]


def rates(learner):
    return getattr(learner, "rates", [CRITIC_LR, CRITIC_LR] + [ACTOR_LR] * (len(learner.shapes) - 2))


def losses_and_gradients(learner, start, slow, loose, d):
    """Of one step in which nothing moves; as (networks, loss, gradients)."""
    nets = [copy(net) for net in start] + ([[loose.clone()]] if learner.loose else [])
    for net in nets:
        for t in net:
            t.requires_grad_(True)
    for index, loss in learner.step(nets, slow, nets[-1][0], d, 1):
        for i in index if isinstance(index, tuple) else (index,):
            yield i, float(loss.detach()), torch.autograd.grad(loss, nets[i], retain_graph=True)


def train(learner, start, slow, loose, data):
    nets = [copy(net) for net in start] + ([[loose.clone()]] if learner.loose else [])
    slow = [copy(net) for net in slow]
    rate = rates(learner) + [ACTOR_LR]
    limits = [CRITIC_CLIP if i in learner.values else ACTOR_CLIP for i in range(len(start))]
    limits.append(getattr(learner, "loose_clip", ACTOR_CLIP))
    for net in nets:
        for t in net:
            t.requires_grad_(True)
    optimisers = [torch.optim.Adam(net, lr=1.0) for net in nets]
    for k in range(STEPS):
        decay = LR_FINAL + (1 - LR_FINAL) * 0.5 * (1 + math.cos(math.pi * k / STEPS))
        for index, loss in learner.step(nets, slow, nets[-1][0], data[k % BATCHES], k):
            if index is None:
                continue
            indices = index if isinstance(index, tuple) else (index,)
            grads = [torch.autograd.grad(loss, nets[i], retain_graph=True) for i in indices]
            for i, g in zip(indices, grads):
                for t, part in zip(nets[i], clipped(g, limits[i])):
                    t.grad = part
                optimisers[i].param_groups[0]["lr"] = rate[i] * decay
                optimisers[i].step()
        if (k + 1) % L == 0:
            with torch.no_grad():
                for i in learner.moving:
                    for t, s in zip(nets[i], slow[i]):
                        s.copy_(W * t + (1 - W) * s)
    return [[t.detach() for t in net] for net in nets], slow


def emit_net(name, net):
    for tensor, values in zip(TENSORS, net):
        emit("%s.%s" % (name, tensor), values)


def main():
    learner = LEARNERS[sys.argv[1]]()
    learner.values = getattr(learner, "values", (0, 1))
    count = len(learner.shapes)
    start, slow = [network(*shape) for shape in learner.shapes], [network(*shape) for shape in learner.shapes]
    if hasattr(learner, "prepare"):
        learner.prepare(start)
    loose = uniform(-1.5, 0, learner.loose)
    if learner.loose > 1:
        loose[1] = 2.25  # a deviation beyond its limit
    data = [batch() for _ in range(BATCHES)]
    emit("sizes", [S, A, H, B, BATCHES, STEPS, SEED])
    emit("settings", [GAMMA, W, L, SCALE, ACTOR_LR, CRITIC_LR, LR_FINAL, ACTOR_CLIP, CRITIC_CLIP])
    for name, value in learner.own.items():
        emit("own." + name, [value])
    for i in range(count):
        emit_net("net%d" % i, start[i])
        emit_net("net%d'" % i, slow[i])
    if learner.loose:
        emit("loose", loose)
    for k, d in enumerate(data):
        for name in BLOCKS:
            emit("batch%d.%s" % (k, name), d[name])
    for i, loss, gradient in losses_and_gradients(learner, start, slow, loose, data[0]):
        if i < count:
            emit("step.net%d.loss" % i, [loss])
            emit_net("step.net%d" % i, gradient)
        else:
            emit("step.loose", gradient[0])
    nets, slow = train(learner, start, slow, loose, data)
    for i in range(count):
        emit_net("train.net%d" % i, nets[i])
        if i in learner.moving:
            emit_net("train.net%d'" % i, slow[i])
    if learner.loose:
        emit("train.loose", nets[-1][0])


if __name__ == "__main__":
    main()
