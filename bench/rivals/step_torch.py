#!/usr/bin/env python3
"""One gradient step of the default learner in PyTorch.

    step_torch.py VARIANT HIDDEN THREADS [--compile] [--check]

Variants: flat (the first layer of all critics is one product, the second a batched one), bmm (three batched ones), vmap
(torch.func over 24 modules), loop (one critic after another), manual (flat without autograd: the backward pass written
out). Adam is the fused one. Weight gradients of the critics are not computed in the actor's pass. --check prints the
losses of twenty steps on fixed rows, which agree over all variants.
"""

import argparse
import json

import numpy as np
import torch
from step_data import *

F = torch.nn.functional


def relu_mlp(p, x):
    h = torch.relu(F.linear(x, p[0], p[1]))
    h = torch.relu(F.linear(h, p[2], p[3]))
    return F.linear(h, p[4], p[5])


def act(p, s):
    return torch.tanh(relu_mlp(p, s))


def transposed(mlp):
    """[W (out, in), b, ...] as F.linear has it."""
    return [torch.from_numpy(np.ascontiguousarray(t)) for W, b in mlp for t in (W.T, b)]


def critics_of(variant, nets, hidden):
    """Parameters, and q(parameters, x) -> (CRITICS, rows)."""
    stacked = [[torch.from_numpy(np.stack([net[layer][k] for net in nets])) for k in (0, 1)] for layer in range(3)]
    if variant == "bmm":
        params = [t.contiguous() for W, b in stacked for t in (W, b[:, None, :])]

        def q(p, x):
            h = x.unsqueeze(0).expand(CRITICS, -1, -1)
            h = torch.relu(torch.baddbmm(p[1], h, p[0]))
            h = torch.relu(torch.baddbmm(p[3], h, p[2]))
            return torch.baddbmm(p[5], h, p[4]).squeeze(-1)

    elif variant in ("flat", "manual"):
        (W1, b1), (W2, b2), (W3, b3) = stacked
        params = [
            W1.permute(1, 0, 2).reshape(INPUT, CRITICS * hidden).contiguous(),
            b1.reshape(-1).contiguous(),
            W2.contiguous(),
            b2[:, None, :].contiguous(),
            W3.permute(0, 2, 1).contiguous(),
            b3.contiguous(),
        ]

        def q(p, x):
            h = torch.relu(torch.addmm(p[1], x, p[0])).view(-1, CRITICS, hidden).transpose(0, 1)
            h = torch.relu(torch.baddbmm(p[3], h, p[2]))
            return (h * p[4]).sum(-1) + p[5]

    elif variant == "vmap":
        params = [torch.stack(parts) for parts in zip(*(transposed(net) for net in nets))]

        def q(p, x):
            return torch.func.vmap(lambda one: relu_mlp(one, x).squeeze(-1))(p)

    else:
        params = [t for net in nets for t in transposed(net)]

        def q(p, x):
            return torch.stack([relu_mlp(p[6 * i : 6 * i + 6], x).squeeze(-1) for i in range(CRITICS)])

    return params, q


class Step:
    """Networks, targets and optimisers; `losses` are those of the last step."""

    def __init__(self, variant, hidden, compiled):
        actor, critics = networks(hidden)
        self.actor, self.actor_target = transposed(actor), transposed(actor)
        self.critics, self.q = critics_of(variant, critics, hidden)
        self.critics_target = [p.clone() for p in self.critics]
        self.count, self.by_hand = 0, variant == "manual"
        for p in self.actor + self.critics:
            p.requires_grad_(not self.by_hand)
            if self.by_hand:
                p.grad = torch.zeros_like(p)
        self.critic_adam = torch.optim.Adam(self.critics, lr=RATE, fused=True)
        self.actor_adam = torch.optim.Adam(self.actor, lr=RATE, fused=True)
        self.frozen = [p.detach() for p in self.critics]  # the same memory, no gradient wanted
        self.critic_loss, self.actor_loss = self._critic_loss, self._actor_loss
        if compiled:
            self.critic_loss = torch.compile(self._critic_loss, dynamic=False)
            self.actor_loss = torch.compile(self._actor_loss, dynamic=False)
        if self.by_hand:
            self.scratch = Scratch(hidden)

    def target(self, b, q):
        """Formula 6; q(parameters, x)."""
        a2 = act(self.actor_target, b[:, COLUMNS["s2"]])
        beyond = ((a2 - b[:, COLUMNS["bp2"]]).abs() - BOX).clamp_min(0)
        phi = torch.exp(beyond.sum(1) * (-1 / KAPPA))
        q2 = q(self.critics_target, torch.cat([b[:, COLUMNS["s2"]], a2], 1))
        kept = torch.where(q2 > 0, phi * q2, q2)
        return b[:, COLUMNS["r"]].squeeze(1) + GAMMA * (1 - b[:, COLUMNS["done"]].squeeze(1)) * kept

    def _critic_loss(self, b):
        with torch.no_grad():
            y = self.target(b, self.q)
        return ((self.q(self.critics, b[:, :INPUT]) - y) ** 2).mean(1).sum()

    def _actor_loss(self, b):
        a = act(self.actor, b[:, COLUMNS["s"]])
        q = self.q(self.frozen, torch.cat([b[:, COLUMNS["s"]], a], 1))
        beyond = ((a - b[:, COLUMNS["bp"]]).abs() - BOX).clamp_min(0)
        penalty = torch.expm1((beyond * (1 / KAPPA)).clamp_max(5.0)).sum(1)
        return (-q.mean(0) + ETA * penalty + LAMBDA * torch.sqrt(q.var(0, unbiased=False) + 1e-8)).mean()

    def run(self, b):
        self.count += 1
        if self.by_hand:
            with torch.no_grad():
                self.losses = self.scratch.step(self, b)
        else:
            critic = self.critic_loss(b)
            self.critic_adam.zero_grad(set_to_none=True)
            critic.backward()
            self.critic_adam.step()
            actor = self.actor_loss(b)
            self.actor_adam.zero_grad(set_to_none=True)
            actor.backward()
            self.actor_adam.step()
            self.losses = critic, actor
        if self.count % EVERY == 0:
            with torch.no_grad():
                torch._foreach_lerp_(self.critics_target + self.actor_target, self.critics + self.actor, TAU)


class Scratch:
    """The backward pass written out, into buffers of its own."""

    def __init__(self, hidden):
        self.h1, self.d1 = torch.empty(BATCH, CRITICS * hidden), torch.empty(BATCH, CRITICS * hidden)
        self.h2, self.d2 = torch.empty(CRITICS, BATCH, hidden), torch.empty(CRITICS, BATCH, hidden)
        self.x, self.a1, self.a2 = torch.empty(BATCH, INPUT), torch.empty(BATCH, hidden), torch.empty(BATCH, hidden)
        self.ones, self.hidden = torch.ones(1, BATCH), hidden

    def per_critic(self, t):
        return t.view(BATCH, CRITICS, self.hidden).transpose(0, 1)

    def q(self, p, x):
        torch.addmm(p[1], x, p[0], out=self.h1).relu_()
        torch.baddbmm(p[3], self.per_critic(self.h1), p[2], out=self.h2).relu_()
        return torch.bmm(self.h2, p[4].transpose(1, 2)).squeeze(-1) + p[5]

    def to_first(self, g, p):
        """d1 from g = dloss/dq."""
        torch.mul(g.unsqueeze(-1), p[4], out=self.d2)
        torch.ops.aten.threshold_backward.grad_input(self.d2, self.h2, 0, grad_input=self.d2)
        torch.bmm(self.d2, p[2].transpose(1, 2), out=self.per_critic(self.d1))
        torch.ops.aten.threshold_backward.grad_input(self.d1, self.h1, 0, grad_input=self.d1)

    def critic_part(self, step, b):
        p = step.critics
        y = step.target(b, lambda params, x: self.q(params, x))
        self.x.copy_(b[:, :INPUT])
        e = self.q(p, self.x).sub_(y)
        loss = (e * e).mean(1).sum()
        g = e.mul_(2.0 / BATCH)
        torch.bmm(g.unsqueeze(1), self.h2, out=p[4].grad)
        torch.sum(g, 1, keepdim=True, out=p[5].grad)
        self.to_first(g, p)
        torch.bmm(self.per_critic(self.h1).transpose(1, 2), self.d2, out=p[2].grad)
        torch.sum(self.d2, 1, keepdim=True, out=p[3].grad)
        torch.mm(self.x.t(), self.d1, out=p[0].grad)
        torch.mm(self.ones, self.d1, out=p[1].grad.view(1, -1))
        step.critic_adam.step()
        return loss

    def actor_part(self, step, b):
        p, w = step.actor, step.critics
        s = b[:, COLUMNS["s"]]
        torch.addmm(p[1], s, p[0].t(), out=self.a1).relu_()
        torch.addmm(p[3], self.a1, p[2].t(), out=self.a2).relu_()
        a = torch.tanh(torch.addmm(p[5], self.a2, p[4].t()))
        self.x[:, STATE:] = a
        q = self.q(w, self.x)
        off = a - b[:, COLUMNS["bp"]]
        z = (off.abs() - BOX) * (1 / KAPPA)
        grown = torch.exp(z.clamp(0, 5.0))
        apart = q - q.mean(0)
        spread = torch.sqrt((apart * apart).mean(0) + 1e-8)
        loss = (-q.mean(0) + ETA * (grown - 1).sum(1) + LAMBDA * spread).mean()
        self.to_first((apart * (LAMBDA / CRITICS) / spread - 1.0 / CRITICS) * (1.0 / BATCH), w)
        g = torch.mm(self.d1, w[0][STATE:].t())
        g += (ETA / (BATCH * KAPPA)) * grown * torch.sign(off) * ((z > 0) & (z < 5.0))
        g *= 1 - a * a
        for layer, below in ((4, self.a2), (2, self.a1), (0, s)):
            torch.mm(g.t(), below, out=p[layer].grad)
            torch.sum(g, 0, out=p[layer + 1].grad)
            if layer:
                g = torch.mm(g, p[layer]).mul_(below > 0)
        step.actor_adam.step()
        return loss

    def step(self, step, b):
        return self.critic_part(step, b), self.actor_part(step, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=["flat", "bmm", "vmap", "loop", "manual"])
    parser.add_argument("hidden", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    o = parser.parse_args()
    pin(o.threads)
    torch.set_flush_denormal(True)  # before the pool starts, whose threads inherit it
    torch.set_num_threads(o.threads)
    step = Step(o.variant, o.hidden, o.compile)
    data = torch.from_numpy(rows(20_000 if o.check else 1_000_000))
    if o.check:
        chosen = np.random.default_rng(3).integers(0, len(data), (20, BATCH))
        for index in chosen:
            step.run(data.index_select(0, torch.from_numpy(index)))
        print(json.dumps([float(loss.detach()) for loss in step.losses]))
        return
    draw = lambda: step.run(data.index_select(0, torch.randint(0, len(data), (BATCH,))))
    for _ in range(30):
        draw()
    name = f"torch {o.variant}{' compiled' if o.compile else ''}"
    report(name, torch.__version__, time_calls(draw, 1, o.steps, o.seconds))


if __name__ == "__main__":
    main()
