/* AVX2 and FMA. */
#include "sets.h"

#ifdef ADDERSIM_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define SET avx2
#define DO_NOT_OPTIMIZE(vector) __asm__ volatile("" : "+x"(vector))
#define LANES 8
#define F32_ROWS 4
#define F32_VECTORS 2
#define INT_ROWS 4
#define INT_VECTORS 2
#define U8_ROWS 6
#define U8_VECTORS 2
#define U8_LANES 4
#define U8_STEP_BYTES 8
#define GRADIENT_ROWS 4

typedef __m256 Floats;
static inline Floats floats_zero(void) { return _mm256_setzero_ps(); }
static inline Floats floats_load(const void *p) { return _mm256_loadu_ps(p); }
static inline Floats floats_all(const void *p) { return _mm256_broadcast_ss(p); }
static inline void floats_store(float *p, Floats a) { _mm256_storeu_ps(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return _mm256_fmadd_ps(x, w, sum); }
/* x * 1 - w rounds as x - w does and leaves the adders to the sum where multipliers have ports of their own. */
static inline Floats floats_l1(Floats sum, Floats x, Floats w) {
    Floats difference = _mm256_fmsub_ps(x, _mm256_set1_ps(1.0f), w);
    return _mm256_sub_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
}
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    Floats slope = _mm256_min_ps(_mm256_max_ps(_mm256_sub_ps(w, x), _mm256_set1_ps(-1.0f)), _mm256_set1_ps(1.0f));
    return _mm256_fmadd_ps(gradient, slope, sum);
}

typedef __m256i Ints;
static inline Ints ints_zero(void) { return _mm256_setzero_si256(); }
static inline Ints ints_minus_one(void) { return _mm256_set1_epi32(-1); }
static inline Ints ints_load(const void *p) { return _mm256_loadu_si256(p); }
static inline Ints ints_all(const void *p) { return _mm256_set1_epi32(int32_at(p)); }
static inline void ints_store(int32_t *p, Ints a) { _mm256_storeu_si256((void *)p, a); }
static inline Ints ints_add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
static inline Ints ints_set(int32_t a) { return _mm256_set1_epi32(a); }
static inline Ints ints_sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
static inline Ints ints_mul(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
static inline Ints ints_min(Ints a, Ints b) { return _mm256_min_epi32(a, b); }
static inline Ints ints_max(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
static inline Ints ints_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
static inline Ints ints_count(Ints count, Ints a, Ints b) {
    return _mm256_add_epi32(count, _mm256_add_epi32(_mm256_cmpeq_epi32(a, b), _mm256_set1_epi32(1)));
}
static inline Ints ints_from_S8(const void *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(p)); }
static inline Ints ints_from_U8(const void *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p)); }
/* Into zeros: a gather waits for what its target held. */
static inline Ints ints_look_up(const int32_t *row, const uint8_t *codes) {
    return _mm256_mask_i32gather_epi32(ints_zero(), row, ints_from_U8(codes), ints_minus_one(), 4);
}
static inline Ints ints_from_S16(const void *p) { return _mm256_cvtepi16_epi32(_mm_loadu_si128(p)); }
static inline Ints ints_from_U16(const void *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128(p)); }
static inline void ints_widen(int64_t *p, Ints a, int accumulate) {
    __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(a)), high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a, 1));
    if (accumulate) {
        low = _mm256_add_epi64(low, _mm256_loadu_si256((const void *)p));
        high = _mm256_add_epi64(high, _mm256_loadu_si256((const void *)(p + 4)));
    }
    _mm256_storeu_si256((void *)p, low);
    _mm256_storeu_si256((void *)(p + 4), high);
}
static inline Ints ints_mac_s16(Ints sum, Ints x, Ints w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
static inline Ints ints_max_s16(Ints sum, Ints x, Ints w) {
    return ints_mac_s16(sum, _mm256_max_epi16(x, w), _mm256_set1_epi16(1));
}
/* The sum, and how many bits of each lane differ. */
static inline Ints ints_mismatches(Ints sum, Ints x, Ints w) {
    const Ints nibble = _mm256_set1_epi8(15);
    const Ints bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Ints differ = _mm256_xor_si256(x, w);
    const Ints low = _mm256_shuffle_epi8(bits, _mm256_and_si256(differ, nibble));
    const Ints high = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(differ, 4), nibble));
    const Ints pairs = _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
    return ints_mac_s16(sum, pairs, _mm256_set1_epi16(1));
}

typedef __m256i Sads;
static inline Sads sads_zero(void) { return _mm256_setzero_si256(); }
static inline Sads sads_load(const void *p) { return _mm256_loadu_si256(p); }
static inline Sads sads_all(const void *p) { return _mm256_set1_epi64x(int64_at(p)); }
static inline Sads sads_l1(Sads sum, Sads x, Sads w) { return _mm256_add_epi64(sum, _mm256_sad_epu8(x, w)); }
static inline void sads_store(uint32_t *p, Sads a, int accumulate) {
    __m256i even = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    __m128i sums = _mm256_castsi256_si128(even);
    if (accumulate) sums = _mm_add_epi32(sums, _mm_loadu_si128((const void *)p));
    _mm_storeu_si128((void *)p, sums);
}

/* As those of AVX-512. */
#define HAS_SHORT_PAIRS
static inline Ints shorts_low(Ints a, Ints b) { return _mm256_unpacklo_epi16(a, b); }
static inline Ints shorts_high(Ints a, Ints b) { return _mm256_unpackhi_epi16(a, b); }
static inline void pairs_store(int32_t *p, Ints low, Ints high) {
    ints_store(p, _mm256_permute2x128_si256(low, high, 0x20));
    ints_store(p + LANES, _mm256_permute2x128_si256(low, high, 0x31));
}

#define SHORTS 16
typedef __m256i Shorts;
static inline Shorts shorts_from_S8(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(p)); }
static inline Shorts shorts_from_U8(const void *p) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(p)); }
static inline Shorts shorts_l1(Shorts sum, Shorts x, const int16_t *w) {
    return _mm256_add_epi16(sum, _mm256_abs_epi16(_mm256_sub_epi16(x, _mm256_loadu_si256((const void *)w))));
}
static inline void shorts_store(int32_t *p, Shorts a) {
    _mm256_storeu_si256((void *)p, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)));
    _mm256_storeu_si256((void *)(p + 8), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1)));
}

static inline void ints_pack16(void *p, Ints a) {
    const __m256i low_halves = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12, 13, -1,
                                                -1, -1, -1, -1, -1, -1, -1);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(a, low_halves), 0x08);
    _mm_storeu_si128(p, _mm256_castsi256_si128(packed));
}
static inline void ints_pack8(void *p, Ints a) {
    const __m256i low_bytes = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1,
                                               -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i bytes = _mm256_shuffle_epi8(a, low_bytes);
    _mm_storel_epi64(p, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

#define DOUBLES 4
typedef __m256d Doubles;
static inline Doubles doubles_load(const double *p) { return _mm256_loadu_pd(p); }
static inline Doubles doubles_all(double a) { return _mm256_set1_pd(a); }
static inline Doubles doubles_low(Ints a) { return _mm256_cvtepi32_pd(_mm256_castsi256_si128(a)); }
static inline Doubles doubles_high(Ints a) { return _mm256_cvtepi32_pd(_mm256_extracti128_si256(a, 1)); }
static inline Doubles doubles_fma(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }
static inline Ints ints_of(Doubles low, Doubles high) { return _mm256_set_m128i(_mm256_cvttpd_epi32(high), _mm256_cvttpd_epi32(low)); }
#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
static inline Ints ints_nearest(Doubles low, Doubles high) {
    return ints_of(_mm256_round_pd(low, NEAREST), _mm256_round_pd(high, NEAREST));
}
static inline Ints ints_floor(Doubles low, Doubles high) { return ints_of(_mm256_floor_pd(low), _mm256_floor_pd(high)); }

static inline Floats floats_of(Ints a) { return _mm256_cvtepi32_ps(a); }
static inline Floats floats_div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
static inline Floats floats_mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
static inline Floats floats_fused(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
static inline Ints ints_nearest_float(Floats a) { return _mm256_cvtps_epi32(a); }
static inline Ints ints_left(Ints a, Ints places) { return _mm256_sllv_epi32(a, places); }
static inline Ints ints_right(Ints a, Ints places) { return _mm256_srav_epi32(a, places); }
static inline Ints ints_odd(Ints a) { return _mm256_srli_epi64(a, 32); }
/* low word of each 64 bits, high word */
static inline Ints ints_blend(Ints low, Ints high) { return _mm256_blend_epi32(low, high, 0xAA); }
static inline Ints ints_high_product(Ints a, Ints b) {
    const Ints half = _mm256_set1_epi64x(1 << 30);
    const Ints even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half), odd = _mm256_add_epi64(_mm256_mul_epi32(ints_odd(a), ints_odd(b)), half);
    return ints_blend(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1));
}
/* 2**62 more keeps the sum positive, for a shift that brings in zeros. */
static inline Ints scaled_half(Ints a, Ints b, Ints places) {
    const Ints one = _mm256_set1_epi64x(1), more = _mm256_set1_epi64x((int64_t)1 << 62);
    const Ints half = _mm256_add_epi64(more, _mm256_sllv_epi64(one, _mm256_sub_epi64(places, one)));
    return _mm256_srlv_epi64(_mm256_add_epi64(_mm256_mul_epi32(a, b), half), places);
}
static inline Ints ints_scaled(Ints a, Ints b, Ints places) {
    const Ints even = scaled_half(a, b, _mm256_and_si256(places, _mm256_set1_epi64x(UINT32_MAX))), odd = scaled_half(ints_odd(a), ints_odd(b), ints_odd(places));
    const Ints more = ints_left(ints_set(1), ints_sub(ints_set(62), places));
    return ints_sub(ints_blend(even, _mm256_slli_epi64(odd, 32)), more);
}

#define HAS_BYTES_EQUAL
static inline uint64_t half_equal(const uint8_t *bytes, __m256i value) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)bytes), value));
}
static inline uint64_t bytes_equal(const uint8_t *bytes, uint8_t value) {
    const __m256i all = _mm256_set1_epi8((char)value);
    return half_equal(bytes, all) | half_equal(bytes + 32, all) << 32;
}

#include "kernels.inc.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int addersim_no_avx2;
#endif
