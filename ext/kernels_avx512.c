/* AVX-512 F, BW, VL and DQ. */
#include "sets.h"

#ifdef ADDERSIM_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#include <immintrin.h>

#define SET avx512
#define LANES 16
#define F32_ROWS 6
#define F32_VECTORS 4
#define GRADIENT_ROWS 8

typedef __m512 Floats;
static inline Floats floats_zero(void) { return _mm512_setzero_ps(); }
static inline Floats floats_load(const float *p) { return _mm512_loadu_ps(p); }
static inline Floats floats_all(const float *p) { return _mm512_set1_ps(*p); }
static inline void floats_store(float *p, Floats a) { _mm512_storeu_ps(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return _mm512_fmadd_ps(x, w, sum); }
/* x * 1 - w rounds as x - w does and leaves the adders to the sum where multipliers have ports of their own. */
static inline Floats floats_l1(Floats sum, Floats x, Floats w) {
    Floats difference = _mm512_fmsub_ps(x, _mm512_set1_ps(1.0f), w);
    return _mm512_add_ps(sum, _mm512_andnot_ps(_mm512_set1_ps(-0.0f), difference));
}
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    Floats slope = _mm512_min_ps(_mm512_max_ps(_mm512_sub_ps(w, x), _mm512_set1_ps(-1.0f)), _mm512_set1_ps(1.0f));
    return _mm512_fmadd_ps(gradient, slope, sum);
}

#include "kernels.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int addersim_no_avx512;
#endif
