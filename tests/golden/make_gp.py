#!/usr/bin/env python3
"""Writes gp.txt: a Gaussian process in float64, and Sobol points.

The reference for tests/search/test_gp.c: NumPy's general solver and inverse where the C code goes through
Cholesky's, and scipy's Sobol points. Run it again only when the model changes:  python3 make_gp.py > gp.txt
Needs numpy and scipy.
"""

import numpy as np
from scipy.stats import norm, qmc

rng = np.random.default_rng(20061117)


def emit(name, values):
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    print(name, len(flat), " ".join("%.17g" % v for v in flat))


def kernel(a, b, length, deviation):
    r = np.sqrt((((a[:, None] - b[None]) / length) ** 2).sum(2))
    return deviation**2 * (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)


for case, (n, d) in enumerate([(1, 1), (7, 2), (40, 5)]):
    x = rng.uniform(0, 1, (n, d))
    y = np.sin(4 * x[:, 0]) + x.sum(1) + 0.1 * rng.normal(size=n)
    v = rng.uniform(0, 0.05, n)
    length, deviation, noise = rng.uniform(0.2, 2, d), rng.uniform(0.5, 2), rng.uniform(0.01, 0.3)
    K = kernel(x, x, length, deviation) + np.diag(v + noise**2)
    inverse = np.linalg.inv(K)
    one = np.ones(n)
    mean = (one @ inverse @ y) / (one @ inverse @ one)
    likelihood = -0.5 * (y - mean) @ inverse @ (y - mean) - 0.5 * np.linalg.slogdet(K)[1] - n / 2 * np.log(2 * np.pi)
    at = np.concatenate([rng.uniform(0, 1, (5, d)), x[:1]])
    k = kernel(at, x, length, deviation)
    means = mean + k @ np.linalg.solve(K, y - mean)
    variances = deviation**2 - np.einsum("ij,jk,ik->i", k, inverse, k)
    best = y.max()
    s = np.sqrt(variances)
    z = (means - best) / s
    emit(f"{case}.size", [n, d])
    emit(f"{case}.x", x)
    emit(f"{case}.y", y)
    emit(f"{case}.v", v)
    emit(f"{case}.theta", np.log(np.concatenate([length, [deviation, noise]])))
    emit(f"{case}.mean", mean)
    emit(f"{case}.likelihood", likelihood)
    emit(f"{case}.at", at)
    emit(f"{case}.means", means)
    emit(f"{case}.variances", variances)
    emit(f"{case}.improvement", s * (z * norm.cdf(z) + norm.pdf(z)))

# In Gray code order, as scipy walks them.
emit("sobol", qmc.Sobol(31, scramble=False, bits=32).random(64))
