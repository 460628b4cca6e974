#!/usr/bin/env python3
"""Writes cmaes.txt: parameters and a dozen generations of CMA-ES in float64.

The reference for tests/search/test_cmaes.c, written with NumPy from figure 6 and table 1 of "The CMA Evolution
Strategy: A Tutorial" (arXiv:1604.00772v2), minimising as the tutorial does, and nothing of the C code's structure.
Run it again only when a formula changes:  python3 make_cmaes.py > cmaes.txt
"""

import numpy as np

rng = np.random.default_rng(20160404)


def emit(name, values):
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    print(name, len(flat), " ".join("%.17g" % v for v in flat))


def inverse_root(c):
    values, vectors = np.linalg.eigh(c)
    return (vectors / np.sqrt(values)) @ vectors.T


class Strategy:
    """The tutorial's algorithm; its formula numbers stand at the lines."""

    def __init__(self, mean, sigma):
        n = self.n = len(mean)
        self.lam = 4 + int(3 * np.log(n))  # 48
        raw = np.log((self.lam + 1) / 2) - np.log(np.arange(1, self.lam + 1))  # 49
        self.mu = self.lam // 2
        up, down = raw[: self.mu], raw[self.mu :]
        self.mu_eff = up.sum() ** 2 / (up**2).sum()
        mu_eff_down = down.sum() ** 2 / (down**2).sum()
        self.c_sigma = (self.mu_eff + 2) / (n + self.mu_eff + 5)  # 55
        self.d_sigma = 1 + 2 * max(0, np.sqrt((self.mu_eff - 1) / (n + 1)) - 1) + self.c_sigma
        self.c_c = (4 + self.mu_eff / n) / (n + 4 + 2 * self.mu_eff / n)  # 56
        self.c_1 = 2 / ((n + 1.3) ** 2 + self.mu_eff)  # 57
        self.c_mu = min(
            1 - self.c_1, 2 * (0.25 + self.mu_eff + 1 / self.mu_eff - 2) / ((n + 2) ** 2 + 2 * self.mu_eff / 2)
        )  # 58
        alpha = min(
            1 + self.c_1 / self.c_mu,  # 50
            1 + 2 * mu_eff_down / (self.mu_eff + 2),  # 51
            (1 - self.c_1 - self.c_mu) / (n * self.c_mu),  # 52
        )
        self.w = np.where(raw >= 0, raw / raw[raw > 0].sum(), alpha * raw / -raw[raw < 0].sum())  # 53
        self.chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        self.m, self.sigma, self.C = np.array(mean), sigma, np.eye(n)
        self.p_sigma, self.p_c, self.g = np.zeros(n), np.zeros(n), 0

    def ask(self):
        return rng.multivariate_normal(self.m, self.sigma**2 * self.C, size=self.lam)

    def tell(self, x, f):
        y = (x[np.argsort(f, kind="stable")] - self.m) / self.sigma
        white = inverse_root(self.C)
        y_w = self.w[: self.mu] @ y[: self.mu]  # 41
        self.m = self.m + self.sigma * y_w  # 42
        self.p_sigma = (1 - self.c_sigma) * self.p_sigma + np.sqrt(
            self.c_sigma * (2 - self.c_sigma) * self.mu_eff
        ) * white @ y_w  # 43
        length = np.linalg.norm(self.p_sigma)
        self.sigma *= np.exp(self.c_sigma / self.d_sigma * (length / self.chi - 1))  # 44
        h = length / np.sqrt(1 - (1 - self.c_sigma) ** (2 * (self.g + 1))) < (1.4 + 2 / (self.n + 1)) * self.chi
        self.p_c = (1 - self.c_c) * self.p_c + h * np.sqrt(self.c_c * (2 - self.c_c) * self.mu_eff) * y_w  # 45
        w = np.where(self.w >= 0, self.w, self.w * self.n / ((y @ white) ** 2).sum(1))  # 46
        delta = (1 - h) * self.c_c * (2 - self.c_c)
        self.C = (
            (1 + self.c_1 * delta - self.c_1 - self.c_mu * self.w.sum()) * self.C
            + self.c_1 * np.outer(self.p_c, self.p_c)
            + self.c_mu * (y.T * w) @ y
        )  # 47
        self.g += 1
        return h


def run(name, n, sigma, generations, f):
    es = Strategy(rng.uniform(-1, 1, n), sigma)
    emit(f"{name}.start", es.m)
    emit(f"{name}.parameters", [n, es.lam, es.mu, es.mu_eff, es.c_c, es.c_sigma, es.c_1, es.c_mu, es.d_sigma, es.chi])
    emit(f"{name}.weights", es.w)
    emit(f"{name}.sigma", sigma)
    for g in range(generations):
        x = es.ask()
        values = np.array([f(p) for p in x])
        emit(f"{name}.{g}.x", x)
        emit(f"{name}.{g}.values", -values)
        h = es.tell(x, values)
        emit(f"{name}.{g}.after", np.concatenate([[es.sigma, h], es.m, es.p_sigma, es.p_c, es.C.reshape(-1)]))


turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
run("ellipsoid", 5, 0.5, 12, lambda p: (10.0 ** np.arange(0, 5) * (turn @ p) ** 2).sum())
# Far from the optimum with a small step: the path grows long and h_sigma stops the rank-one update.
run("slope", 3, 0.01, 12, lambda p: 100 * p[0] + p[1])
# Many equal values, and one dimension alone.
run("steps", 1, 0.3, 8, lambda p: np.floor(4 * abs(p[0])))
