/* Vectors of the processor. Compiled with -Dreal=float or double, -DBYTES=64, or 32 where there is no
 * AVX-512, and -DLANES of their quotient. */

#include <tgmath.h> /* sqrt and rint in the precision of their argument */

typedef real vec __attribute__((vector_size(BYTES)));

#if defined(__AVX512F__) && BYTES == 64 && LANES == 8
#include <immintrin.h>
#define HAS_ESTIMATE

/* 1 / sqrt(x) by Newton's method from 14 bits: compilers do so by themselves for floats only. */
static inline vec reciprocal_root(vec x) {
    vec y = (vec)_mm512_rsqrt14_pd((__m512d)x), half = x * -0.5;
    y += y * (half * y * y + 0.5);
    y += y * (half * y * y + 0.5);
    return y;
}
#endif
