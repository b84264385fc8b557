/* AVX2 and FMA. */
#include "sets.h"

#ifdef ADDERSIM_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include <immintrin.h>

#define SET avx2
#define LANES 8
#define F32_ROWS 4
#define F32_VECTORS 2
#define GRADIENT_ROWS 4

typedef __m256 Floats;
static inline Floats floats_zero(void) { return _mm256_setzero_ps(); }
static inline Floats floats_load(const float *p) { return _mm256_loadu_ps(p); }
static inline Floats floats_all(const float *p) { return _mm256_broadcast_ss(p); }
static inline void floats_store(float *p, Floats a) { _mm256_storeu_ps(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return _mm256_fmadd_ps(x, w, sum); }
/* x * 1 - w rounds as x - w does and leaves the adders to the sum where multipliers have ports of their own. */
static inline Floats floats_l1(Floats sum, Floats x, Floats w) {
    Floats difference = _mm256_fmsub_ps(x, _mm256_set1_ps(1.0f), w);
    return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
}
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    Floats slope = _mm256_min_ps(_mm256_max_ps(_mm256_sub_ps(w, x), _mm256_set1_ps(-1.0f)), _mm256_set1_ps(1.0f));
    return _mm256_fmadd_ps(gradient, slope, sum);
}

#include "kernels.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int addersim_no_avx2;
#endif
