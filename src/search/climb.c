#include "search/climb.h"

#include <math.h>
#include <string.h>

#include "core/status.h"

#define HALVINGS_MAX 30
#define ARMIJO       1e-4
#define GAIN_MIN     1e-10

enum { N = MTF_CLIMB_DIMS_MAX };

typedef struct climb {
    uint32_t n;
    const double *lower, *upper;
    double h[N][N]; /* of -f: about the inverse of its second derivative */
    double way[N];
} climb;

static double dot(const double *a, const double *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void forget(climb *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t j = 0; j < c->n; j++) c->h[i][j] = i == j;
}

/** The way up from x: H g over the coordinates that no side holds. False: there is none. */
static bool find_way(climb *c, const double *x, const double *g)
{
    bool held[N];
    double slope = 0;
    for (uint32_t i = 0; i < c->n; i++)
        held[i] = (x[i] <= c->lower[i] && g[i] <= 0) || (x[i] >= c->upper[i] && g[i] >= 0);
    for (uint32_t i = 0; i < c->n; i++) {
        c->way[i] = 0;
        for (uint32_t j = 0; j < c->n && !held[i]; j++)
            if (!held[j]) c->way[i] += c->h[i][j] * g[j];
        slope += c->way[i] * g[i];
    }
    return slope > 0;
}

/** y = -(g' - g) and s = x' - x go into H, if the curvature along s is that of a hill. */
static void learn(climb *c, const double *s, const double *y)
{
    const uint32_t n = c->n;
    const double curve = dot(s, y, n);
    double hy[N];
    if (!(curve > 1e-12 * sqrt(dot(s, s, n) * dot(y, y, n)))) return;
    for (uint32_t i = 0; i < n; i++) hy[i] = dot(c->h[i], y, n);
    const double scale = (1 + dot(y, hy, n) / curve) / curve;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            c->h[i][j] += scale * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / curve;
}

double mtf_climb(uint32_t n, const double *lower, const double *upper, double *x, mtf_climb_fn *fn,
                 void *arg, uint32_t steps)
{
    MTF_ASSERT(n <= N);
    climb c = {.n = n, .lower = lower, .upper = upper};
    double g[N], next[N], next_g[N], s[N], y[N];
    double value = fn(arg, x, g);
    forget(&c);
    bool fresh = true; /* H is I: its length means nothing */
    for (uint32_t step = 0; step < steps && isfinite(value); step++) {
        if (!find_way(&c, x, g)) {
            forget(&c);
            fresh = true;
            if (!find_way(&c, x, g)) break;
        }
        double length = fresh ? fmin(1, 0.1 / sqrt(dot(c.way, c.way, n))) : 1, gained = 0;
        bool found = false;
        for (int halving = 0; halving < HALVINGS_MAX && !found; halving++, length /= 2) {
            for (uint32_t i = 0; i < n; i++) {
                next[i] = fmin(upper[i], fmax(lower[i], x[i] + length * c.way[i]));
                s[i] = next[i] - x[i];
            }
            gained = fn(arg, next, next_g) - value;
            found = gained >= ARMIJO * dot(g, s, n);
        }
        if (!found) {
            if (fresh) break;
            forget(&c);
            fresh = true;
            continue;
        }
        for (uint32_t i = 0; i < n; i++) y[i] = g[i] - next_g[i];
        learn(&c, s, y);
        fresh = false;
        memcpy(x, next, n * sizeof *x);
        memcpy(g, next_g, n * sizeof *g);
        value += gained;
        if (gained <= GAIN_MIN * (1 + fabs(value))) break;
    }
    return value;
}
