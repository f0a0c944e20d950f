/* The same experiment in C, with the same tricks as nbrnn's kernels: rows padded to whole vectors of
 * BYTES bytes, blocks of rows in registers, W gone through upwards and downwards in turn, products over
 * all steps of a window at once, U by rows of which only those of the window's characters are touched,
 * tanh and exp as branch-free polynomials, roots by Newton's method from an estimate. */

#include <stdlib.h>
#include <string.h>
#include "vectors.h"

#define ROWS (BYTES == 64 ? 20 : 12) /* of the 32 or 16 registers that the processor has */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

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
    vec *a = aligned_alloc(sizeof(vec), n * sizeof(vec));
    memset(a, 0, n * sizeof(vec));
    return a;
}

typedef real quad __attribute__((vector_size(4 * sizeof(real))));

/* `neighbours`: sums of neighbours, within each 4 numbers first two of a, then two of b.
 * `folded`: the sum of all fours. */
#if LANES == 16
INLINE vec neighbours(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
           __builtin_shufflevector(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}

INLINE quad folded(vec v) {
    typedef real half __attribute__((vector_size(BYTES / 2)));
    half h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
             __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
}
#elif LANES == 8
INLINE vec neighbours(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}

INLINE quad folded(vec v) {
    return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
}
#else
INLINE vec neighbours(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
}

INLINE quad folded(vec v) { return v; }
#endif

/* y[r] += the sum of all numbers in s[r]; R is 1, or a multiple of 4. */
INLINE void add_sums(real *y, const vec *s, const int R) {
    if (R == 1) {
        quad four = folded(s[0]);
        y[0] += (four[0] + four[1]) + (four[2] + four[3]);
        return;
    }
    UNROLL for (int r = 0; r < R; r += 4) {
        quad sums;
        memcpy(&sums, y + r, sizeof sums);
        sums += folded(neighbours(neighbours(s[r], s[r + 1]), neighbours(s[r + 2], s[r + 3])));
        memcpy(y + r, &sums, sizeof sums);
    }
}

/* exp(x) = 2^k (1 + q), |x - k ln 2| < 0.35; ln 2 is taken off in two steps. */
static inline void exp_reduced(real x, real *scale, real *q) {
    real k = rint(x * (real)1.4426950408889634);
    real r = (x - k * (real)0.693145751953125) - k * (real)1.4286068203094172e-06;
    real s = (real)(1 / 5040.);
    if (sizeof(real) == 8) {
        s = r * (real)(1 / 6227020800.) + (real)(1 / 479001600.);
        s = r * s + (real)(1 / 39916800.);
        s = r * s + (real)(1 / 3628800.);
        s = r * s + (real)(1 / 362880.);
        s = r * s + (real)(1 / 40320.);
        s = r * s + (real)(1 / 5040.);
    }
    s = r * s + (real)(1 / 720.);
    s = r * s + (real)(1 / 120.);
    s = r * s + (real)(1 / 24.);
    s = r * s + (real)(1 / 6.);
    s = r * s + (real)(1 / 2.);
    s = r * s + 1;
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

/* y[r] += the product of row r of A with x, for R rows of Q vectors. */
INLINE void add_dots(real *y, const vec *A, const vec *x, int Q, const int R) {
    vec s[R];
    UNROLL for (int r = 0; r < R; r++) s[r] = (vec){0};
    for (int j = 0; j < Q; j++) {
        vec b = x[j];
        UNROLL for (int r = 0; r < R; r++) s[r] += A[(long)r * Q + j] * b;
    }
    add_sums(y, s, R);
}

/* y_t += A x_t for n vectors x_t, of which y_t begin `stride` numbers apart. */
INLINE void add_matvecs(real *y, long stride, const vec *A, const vec *x, int rows, int Q, int n, int up) {
    int blocks = rows / ROWS, i = ROWS * blocks;
    for (int block = 0; block < blocks; block++) {
        int k = ROWS * (up ? block : blocks - 1 - block);
        for (int t = 0; t < n; t++)
            add_dots(y + t * stride + k, A + (long)k * Q, x + (long)t * Q, Q, ROWS);
    }
    for (; i + 4 <= rows; i += 4)
        for (int t = 0; t < n; t++)
            add_dots(y + t * stride + i, A + (long)i * Q, x + (long)t * Q, Q, 4);
    for (; i < rows; i++)
        for (int t = 0; t < n; t++)
            add_dots(y + t * stride + i, A + (long)i * Q, x + (long)t * Q, Q, 1);
}

/* y += the sum of x[r] times row r of A, for R rows of Q vectors. */
INLINE void add_rows(vec *y, const real *x, const vec *A, int Q, const int R) {
    vec b[R];
    UNROLL for (int r = 0; r < R; r++) b[r] = x[r] - (vec){0};
    for (int j = 0; j < Q; j++) {
        vec even = {0}, odd = {0};
        UNROLL for (int r = 0; r < R; r += 2) even += b[r] * A[(long)r * Q + j];
        UNROLL for (int r = 1; r < R; r += 2) odd += b[r] * A[(long)r * Q + j];
        y[j] += even + odd;
    }
}

/* y += x A. */
static void add_vecmat(vec *y, const real *x, const vec *A, int rows, int Q, int up) {
    int blocks = rows / ROWS, i = ROWS * blocks;
    for (int block = 0; block < blocks; block++) {
        int k = ROWS * (up ? block : blocks - 1 - block);
        add_rows(y, x + k, A + (long)k * Q, Q, ROWS);
    }
    for (; i + 4 <= rows; i += 4) add_rows(y, x + i, A + (long)i * Q, Q, 4);
    for (; i < rows; i++) add_rows(y, x + i, A + (long)i * Q, Q, 1);
}

/* R rows and S vectors of C = A B, a sum of L terms; an element of A is `across` from the next row's and
 * `along` from the next term's. */
INLINE void matmul_block(vec *C, const real *a, long across, long along, const vec *B, int L, int Q,
                         const int R, const int S) {
    vec c[R * S];
    UNROLL for (int n = 0; n < R * S; n++) c[n] = (vec){0};
    for (int l = 0; l < L; l++, a += along, B += Q)
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int q = 0; q < S; q++) c[r * S + q] += a[r * across] * B[q];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int q = 0; q < S; q++) C[(long)r * Q + q] = c[r * S + q];
}

/* C = A B; the last rows are done with some of those before them. */
static void matmul(vec *C, int rows, const real *A, long across, long along, const vec *B, int L, int Q) {
    if (rows < 5) {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < Q; j++)
                matmul_block(C + (long)i * Q + j, A + i * across, across, along, B + j, L, Q, 1, 1);
        return;
    }
    for (int first = 0; first < rows; first += 5) {
        int i = first < rows - 5 ? first : rows - 5, j = 0;
        for (; j + 2 <= Q; j += 2)
            matmul_block(C + (long)i * Q + j, A + i * across, across, along, B + j, L, Q, 5, 2);
        if (j < Q) matmul_block(C + (long)i * Q + j, A + i * across, across, along, B + j, L, Q, 5, 1);
    }
}

#ifdef HAS_ESTIMATE
static void adagrad(real *theta, real *G, const real *grad, long n, real eta, real epsilon, real clip) {
    __m512d most = _mm512_set1_pd(clip), least = _mm512_set1_pd(-clip);
    for (long i = 0; i < n; i += LANES) {
        vec g = (vec)_mm512_min_pd(most, _mm512_max_pd(least, _mm512_load_pd(grad + i)));
        *(vec *)(G + i) += g * g;
        *(vec *)(theta + i) -= eta * g * reciprocal_root(*(vec *)(G + i) + epsilon);
    }
}
#else
static void adagrad(real *restrict theta, real *restrict G, const real *restrict grad, long n, real eta,
                    real epsilon, real clip) {
    for (long i = 0; i < n; i++) {
        real g = grad[i];
        g = g > clip ? clip : g;
        g = g < -clip ? -clip : g;
        G[i] += g * g;
        theta[i] -= eta * g / sqrt(G[i] + epsilon);
    }
}
#endif

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
        add_matvecs((real *)a, 0, W, h + (long)t * Q, m, Q, 1, t % 2 == 0);
        tanh_of((real *)a, M);
        memcpy(n->p + (long)t * P, c, P * sizeof(vec));
    }
    add_matvecs(p, S, V, h + Q, K, Q, T, 1);
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
    matmul(dV, K, p, 1, S, h + Q, T, Q);
    matmul(da, T, p, S, 1, V, K, Q);
    for (int t = T - 1; t >= 0; t--) {
        vec *d = da + (long)t * Q, *g = h + (long)(t + 1) * Q;
        if (t < T - 1) add_vecmat(d, (real *)(d + Q), W, m, Q, t % 2 == 0);
        for (int j = 0; j < Q; j++) d[j] *= 1 - g[j] * g[j];
    }
    matmul(dW, m, (real *)da, 1, M, h, T, Q);
    memset(db, 0, (Q + P) * sizeof(vec));
    for (int t = 0; t < T; t++) memset(dU + (long)x[t] * Q, 0, Q * sizeof(vec));
    for (int t = 0; t < T; t++) {
        vec *u = dU + (long)x[t] * Q;
        for (int j = 0; j < Q; j++) db[j] += da[(long)t * Q + j], u[j] += da[(long)t * Q + j];
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
