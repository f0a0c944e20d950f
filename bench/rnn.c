/* The same experiment in C, with the same tricks as nbrnn's kernels: rows padded to whole vectors of
 * 64 bytes, blocks of rows in registers, products over all steps of a window at once, U by rows of
 * which only those of the window's characters are touched, tanh and exp as branch-free polynomials.
 * W is kept by columns too long for one register file, so that both products with it go by rows.
 * Compiled with -Dreal=float or -Dreal=double. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 64 / sizeof(real) };
typedef real vec __attribute__((vector_size(64)));

typedef struct {
    int m, K, T, Q, P; /* rows of m numbers are Q vectors, rows of K numbers are P vectors */
    long windows, update, size, dense;
    const int *codes;
    real eta, epsilon, clip;
    vec *theta, *G, *grad; /* each U (K, Q), W (m, Q), V (K, Q), b (Q), c (P) */
    vec *h, *p, *da;       /* (T+1, Q), (T, P), (T, Q) */
    long *touched;
} Net;

static vec *zeros(long n) {
    vec *a = aligned_alloc(64, n * sizeof(vec));
    memset(a, 0, n * sizeof(vec));
    return a;
}

static inline real sum(vec v) {
    real total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
}

/* exp(x) = 2^k (1 + q), |x - k ln 2| < 0.35; ln 2 is taken off in two steps. */
static inline void exp_reduced(real x, real *scale, real *q) {
    real k = sizeof(real) == 4 ? rintf(x * 1.4426950408889634f) : rint(x * 1.4426950408889634);
    real r = (x - k * (real)0.693145751953125) - k * (real)1.4286068203094172e-06;
    real s = 1;
    if (sizeof(real) == 8) {
        s = 1 + r * (real)(1. / 13);
        s = 1 + r * (real)(1. / 12) * s;
        s = 1 + r * (real)(1. / 11) * s;
        s = 1 + r * (real)(1. / 10) * s;
        s = 1 + r * (real)(1. / 9) * s;
        s = 1 + r * (real)(1. / 8) * s;
    }
    s = 1 + r * (real)(1. / 7) * s;
    s = 1 + r * (real)(1. / 6) * s;
    s = 1 + r * (real)(1. / 5) * s;
    s = 1 + r * (real)(1. / 4) * s;
    s = 1 + r * (real)(1. / 3) * s;
    s = 1 + r * (real)(1. / 2) * s;
    *q = r * s;
    if (sizeof(real) == 4) {
        union { int bits; float value; } u = {((int)k + 127) << 23};
        *scale = u.value;
    } else {
        union { long bits; double value; } u = {((long)k + 1023) << 52};
        *scale = u.value;
    }
}

static void tanh_of(real *restrict a, int n) {
    for (int i = 0; i < n; i++) {
        real x = a[i], scale, q;
        x = x > 20 ? 20 : x;
        x = x < -20 ? -20 : x;
        exp_reduced(x + x, &scale, &q);
        real e = scale * q + (scale - 1);
        a[i] = e / (e + 2);
    }
}

static void exp_of(real *restrict a, int n) {
    real lowest = sizeof(real) == 4 ? -87 : -708;
    for (int i = 0; i < n; i++) {
        real scale, q;
        exp_reduced(a[i] < lowest ? lowest : a[i], &scale, &q);
        a[i] = scale + scale * q;
    }
}

/* y += A x, with rows of Q vectors. */
static void add_matvec(real *restrict y, const vec *restrict A, const vec *restrict x, int rows, int Q) {
    int i = 0;
    for (; i + 4 <= rows; i += 4, A += 4 * Q) {
        vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (int j = 0; j < Q; j++) {
            s0 += A[j] * x[j];
            s1 += A[Q + j] * x[j];
            s2 += A[2 * Q + j] * x[j];
            s3 += A[3 * Q + j] * x[j];
        }
        y[i] += sum(s0), y[i + 1] += sum(s1), y[i + 2] += sum(s2), y[i + 3] += sum(s3);
    }
    for (; i < rows; i++, A += Q) {
        vec s = {0};
        for (int j = 0; j < Q; j++) s += A[j] * x[j];
        y[i] += sum(s);
    }
}

/* C += A^T B over L steps: row i of C is the sum of a[l * stride + i] times row l of B. Four rows of
 * C, of two vectors each, stay in registers. `across` is 1 for A^T B, and the stride then that of A;
 * for A B it is the other way round. */
static void add_matmul(vec *restrict C, int rows, const real *restrict A, int across, int along,
                       const vec *restrict B, int L, int Q) {
    int i = 0;
    for (; i + 4 <= rows; i += 4) {
        const real *a = A + (long)i * across;
        int j = 0;
        for (; j + 2 <= Q; j += 2) {
            vec *c = C + (long)i * Q + j;
            vec c00 = c[0], c01 = c[1], c10 = c[Q], c11 = c[Q + 1];
            vec c20 = c[2 * Q], c21 = c[2 * Q + 1], c30 = c[3 * Q], c31 = c[3 * Q + 1];
            for (int l = 0; l < L; l++) {
                vec b0 = B[l * Q + j], b1 = B[l * Q + j + 1];
                real a0 = a[l * along], a1 = a[across + l * along];
                real a2 = a[2 * across + l * along], a3 = a[3 * across + l * along];
                c00 += a0 * b0, c01 += a0 * b1, c10 += a1 * b0, c11 += a1 * b1;
                c20 += a2 * b0, c21 += a2 * b1, c30 += a3 * b0, c31 += a3 * b1;
            }
            c[0] = c00, c[1] = c01, c[Q] = c10, c[Q + 1] = c11;
            c[2 * Q] = c20, c[2 * Q + 1] = c21, c[3 * Q] = c30, c[3 * Q + 1] = c31;
        }
        for (; j < Q; j++)
            for (int row = i; row < i + 4; row++) {
                vec c = C[(long)row * Q + j];
                for (int l = 0; l < L; l++) c += A[(long)row * across + l * along] * B[l * Q + j];
                C[(long)row * Q + j] = c;
            }
    }
    for (; i < rows; i++)
        for (int j = 0; j < Q; j++) {
            vec c = C[(long)i * Q + j];
            for (int l = 0; l < L; l++) c += A[(long)i * across + l * along] * B[l * Q + j];
            C[(long)i * Q + j] = c;
        }
}

/* P (T, K) += H V^T: four rows of V times two of H at a time. */
static void add_matmul_transposed(real *restrict p, int stride, const vec *restrict H,
                                  const vec *restrict V, int T, int K, int Q) {
    int k = 0;
    for (; k + 4 <= K; k += 4) {
        const vec *v = V + (long)k * Q;
        int t = 0;
        for (; t + 2 <= T; t += 2) {
            const vec *g = H + (long)t * Q;
            vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, r0 = {0}, r1 = {0}, r2 = {0}, r3 = {0};
            for (int j = 0; j < Q; j++) {
                vec v0 = v[j], v1 = v[Q + j], v2 = v[2 * Q + j], v3 = v[3 * Q + j];
                s0 += g[j] * v0, s1 += g[j] * v1, s2 += g[j] * v2, s3 += g[j] * v3;
                r0 += g[Q + j] * v0, r1 += g[Q + j] * v1, r2 += g[Q + j] * v2, r3 += g[Q + j] * v3;
            }
            real *o = p + (long)t * stride + k, *u = o + stride;
            o[0] += sum(s0), o[1] += sum(s1), o[2] += sum(s2), o[3] += sum(s3);
            u[0] += sum(r0), u[1] += sum(r1), u[2] += sum(r2), u[3] += sum(r3);
        }
        for (; t < T; t++) add_matvec(p + (long)t * stride + k, v, H + (long)t * Q, 4, Q);
    }
    for (int t = 0; t < T; t++)
        add_matvec(p + (long)t * stride + k, V + (long)k * Q, H + (long)t * Q, K - k, Q);
}

static void adagrad(real *restrict theta, real *restrict G, const real *restrict grad, long n, real eta,
                    real epsilon, real clip) {
    for (long i = 0; i < n; i++) {
        real g = grad[i];
        g = g > clip ? clip : g;
        g = g < -clip ? -clip : g;
        G[i] += g * g;
        theta[i] -= eta * g / (sizeof(real) == 4 ? sqrtf(G[i] + epsilon) : sqrt(G[i] + epsilon));
    }
}

Net *begin(int m, int K, int T, long N, const int *codes, const double *W, const double *U,
           const double *V, double eta, double epsilon, double clip) {
    Net *n = calloc(1, sizeof *n);
    int Q = (m + LANES - 1) / LANES, P = (K + LANES - 1) / LANES;
    n->m = m, n->K = K, n->T = T, n->Q = Q, n->P = P;
    n->windows = (N - 1) / T, n->codes = codes;
    n->eta = eta, n->epsilon = epsilon, n->clip = clip;
    n->dense = (long)K * Q, n->size = n->dense + (long)m * Q + (long)K * Q + Q + P;
    n->theta = zeros(n->size), n->G = zeros(n->size), n->grad = zeros(n->size);
    n->h = zeros((long)(T + 1) * Q), n->p = zeros((long)T * P), n->da = zeros((long)T * Q);
    n->touched = malloc(K * sizeof(long));
    for (int k = 0; k < K; k++) n->touched[k] = -1;
    real *u = (real *)n->theta, *w = u + n->dense * LANES, *v = w + (long)m * Q * LANES;
    for (int k = 0; k < K; k++)
        for (int j = 0; j < m; j++) u[(long)k * Q * LANES + j] = U[(long)j * K + k];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) w[(long)i * Q * LANES + j] = W[(long)i * m + j];
    for (int k = 0; k < K; k++)
        for (int j = 0; j < m; j++) v[(long)k * Q * LANES + j] = V[(long)k * m + j];
    return n;
}

static double one(Net *n) {
    int m = n->m, K = n->K, T = n->T, Q = n->Q, P = n->P, M = Q * LANES, S = P * LANES;
    vec *U = n->theta, *W = U + n->dense, *V = W + (long)m * Q, *b = V + (long)K * Q, *c = b + Q;
    vec *dU = n->grad, *dW = dU + n->dense, *dV = dW + (long)m * Q, *db = dV + (long)K * Q, *dc = db + Q;
    vec *h = n->h, *da = n->da;
    real *p = (real *)n->p;
    long start = n->update % n->windows * T;
    const int *x = n->codes + start, *y = x + 1;
    if (start == 0) memset(h, 0, Q * sizeof(vec));
    /* forward */
    for (int t = 0; t < T; t++) {
        vec *a = h + (long)(t + 1) * Q, *u = U + (long)x[t] * Q;
        for (int j = 0; j < Q; j++) a[j] = b[j] + u[j];
        add_matvec((real *)a, W, h + (long)t * Q, m, Q);
        tanh_of((real *)a, M);
        memcpy(n->p + (long)t * P, c, P * sizeof(vec));
    }
    add_matmul_transposed(p, S, h + Q, V, T, K, Q);
    /* softmax and loss */
    double loss = 0;
    for (int t = 0; t < T; t++) {
        real *o = p + (long)t * S, largest = o[0], total = 0;
        for (int k = 0; k < K; k++) largest = o[k] > largest ? o[k] : largest;
        for (int k = 0; k < K; k++) o[k] -= largest;
        real target = o[y[t]];
        exp_of(o, K);
        for (int k = 0; k < K; k++) total += o[k];
        loss += log((double)total) - target;
        for (int k = 0; k < K; k++) o[k] /= total;
        o[y[t]] -= 1;
    }
    /* backward */
    memset(dW, 0, (n->size - n->dense) * sizeof(vec));
    for (int t = 0; t < T; t++) memset(dU + (long)x[t] * Q, 0, Q * sizeof(vec));
    add_matmul(dV, K, p, 1, S, h + Q, T, Q);
    memset(da, 0, (long)T * Q * sizeof(vec));
    add_matmul(da, T, p, S, 1, V, K, Q);
    for (int t = T - 1; t >= 0; t--) {
        vec *d = da + (long)t * Q, *g = h + (long)(t + 1) * Q;
        if (t < T - 1) add_matmul(d, 1, (real *)(d + Q), M, 1, W, m, Q);
        for (int j = 0; j < Q; j++) d[j] *= 1 - g[j] * g[j];
    }
    add_matmul(dW, m, (real *)da, 1, M, h, T, Q);
    for (int t = 0; t < T; t++) {
        for (int j = 0; j < Q; j++) db[j] += da[(long)t * Q + j], dU[(long)x[t] * Q + j] += da[(long)t * Q + j];
        for (int j = 0; j < P; j++) dc[j] += n->p[(long)t * P + j];
    }
    for (int k = K; k < S; k++) ((real *)dc)[k] = 0;
    /* AdaGrad */
    adagrad((real *)W, (real *)(n->G + n->dense), (real *)dW, (n->size - n->dense) * LANES, n->eta,
            n->epsilon, n->clip);
    for (int t = 0; t < T; t++) {
        long row = (long)x[t] * Q;
        if (n->touched[x[t]] == n->update) continue;
        n->touched[x[t]] = n->update;
        adagrad((real *)(U + row), (real *)(n->G + row), (real *)(dU + row), M, n->eta, n->epsilon, n->clip);
    }
    memcpy(h, h + (long)T * Q, Q * sizeof(vec));
    n->update++;
    return loss;
}

void train(Net *n, long updates, double *losses) {
    for (long i = 0; i < updates; i++) losses[i] = one(n);
}
