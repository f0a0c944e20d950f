/* What one core can do: multiply-adds in registers, reading from caches, reciprocal roots.
 * Compiled like rnn.c; each function is called with a count and returns what the compiler cannot drop. */

#include "vectors.h"

#ifdef __AVX512F__
#define REGISTER "+v" /* one of 32 */
#elif defined __x86_64__
#define REGISTER "+x"
#else
#define REGISTER "+w"
#endif

/* 12 * LANES multiply-adds in each of n turns. Twelve names, since an array would lie in memory. */
double multiply_adds(long n) {
    vec x = (real)0.999 - (vec){0}, y = (real)1e-3 - (vec){0};
    vec a = x, b = y, c = x, d = y, e = x, f = y, g = x, h = y, i = x, j = y, k = x, l = y;
    for (long turn = 0; turn < n; turn++) {
        a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y, f = f * x + y;
        g = g * x + y, h = h * x + y, i = i * x + y, j = j * x + y, k = k * x + y, l = l * x + y;
        __asm__ volatile("" : REGISTER(a), REGISTER(b), REGISTER(c), REGISTER(d), REGISTER(e), REGISTER(f));
        __asm__ volatile("" : REGISTER(g), REGISTER(h), REGISTER(i), REGISTER(j), REGISTER(k), REGISTER(l));
    }
    vec all = a + b + c + d + e + f + g + h + i + j + k + l;
    return all[0];
}

/* Read a buffer of so many vectors n times, upwards and downwards in turn; a multiple of 8. */
double reading(const vec *buffer, long vectors, long n) {
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
    for (long turn = 0; turn < n; turn++) {
        for (long k = 0; k < vectors; k += 8) {
            long i = turn % 2 ? vectors - 8 - k : k;
            s0 += buffer[i], s1 += buffer[i + 1], s2 += buffer[i + 2], s3 += buffer[i + 3];
            s4 += buffer[i + 4], s5 += buffer[i + 5], s6 += buffer[i + 6], s7 += buffer[i + 7];
        }
        __asm__ volatile("" : REGISTER(s0), REGISTER(s1) : : "memory");
    }
    vec s = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
    return s[0];
}

/* AdaGrad's traffic without its arithmetic: read three buffers, write two, n times. */
double streaming(vec *a, vec *b, const vec *c, long vectors, long n) {
    for (long turn = 0; turn < n; turn++) {
        for (long i = 0; i < vectors; i++) b[i] += c[i], a[i] -= c[i];
        __asm__ volatile("" : : : "memory");
    }
    return a[0][0];
}

/* A reciprocal root for each number of a small buffer of whole vectors, n times. */
double roots(real *restrict a, const real *restrict b, long numbers, long n) {
    for (long turn = 0; turn < n; turn++) {
#ifdef HAS_ESTIMATE
        for (long i = 0; i < numbers; i += LANES) *(vec *)(a + i) = reciprocal_root(*(const vec *)(b + i));
#else
        for (long i = 0; i < numbers; i++) a[i] = 1 / sqrt(b[i]);
#endif
        __asm__ volatile("" : : : "memory");
    }
    return a[0];
}
