/* AVX-512 F, BW, VL and DQ; with VNNI, VPOPCNTDQ and VBMI where the includer says so. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define DO_NOT_OPTIMIZE(vector) __asm__ volatile("" : "+v"(vector))
#define LANES 16
#define F32_ROWS 6
#define F32_VECTORS 4
#define INT_ROWS 6
#define INT_VECTORS 4
#define U8_ROWS 6
#define U8_VECTORS 2
#define U8_LANES 8
#define U8_STEP_BYTES 8
#define GRADIENT_ROWS 8

typedef __m512 Floats;
static inline Floats floats_zero(void) { return _mm512_setzero_ps(); }
static inline Floats floats_load(const void *p) { return _mm512_loadu_ps(p); }
static inline Floats floats_all(const void *p) { return _mm512_set1_ps(*(const float *)p); }
static inline void floats_store(float *p, Floats a) { _mm512_storeu_ps(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return _mm512_fmadd_ps(x, w, sum); }
/* x * 1 - w rounds as x - w does and leaves the adders to the sum where multipliers have ports of their own. */
static inline Floats floats_l1(Floats sum, Floats x, Floats w) {
    Floats difference = _mm512_fmsub_ps(x, _mm512_set1_ps(1.0f), w);
    return _mm512_sub_ps(sum, _mm512_andnot_ps(_mm512_set1_ps(-0.0f), difference));
}
/* The number nearer to zero with the first one's sign: a clamp to -1..1 in one instruction. */
#define NEARER_ZERO 2
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    return _mm512_fmadd_ps(gradient, _mm512_range_ps(_mm512_sub_ps(w, x), _mm512_set1_ps(1.0f), NEARER_ZERO), sum);
}

/* |a| + |b| = max(|a + b|, |a - b|): two taps in four instructions, of which one takes the larger magnitude. */
#define HAS_PAIRS
#define PAIR_ROWS 8
#define PAIR_VECTORS 2
#define LARGER_MAGNITUDE 11
typedef struct {
    Floats sum, difference;
} Pair;
static inline Pair pair_load(const void *p) { return (Pair){_mm512_loadu_ps(p), _mm512_loadu_ps((const float *)p + LANES)}; }
static inline Pair pair_all(const void *p) {
    return (Pair){_mm512_set1_ps(*(const float *)p), _mm512_set1_ps(((const float *)p)[1])};
}
static inline Floats pair_l1(Floats sum, Pair x, Pair w) {
    return _mm512_sub_ps(
        sum, _mm512_range_ps(_mm512_sub_ps(x.sum, w.sum), _mm512_sub_ps(x.difference, w.difference), LARGER_MAGNITUDE));
}
/* a, b -> a + b, a - b */
static inline Floats floats_paired(Floats a) { return _mm512_fmsubadd_ps(_mm512_permute_ps(a, 0xb1), _mm512_set1_ps(1.0f), a); }

typedef __m512i Ints;
static inline Ints ints_zero(void) { return _mm512_setzero_si512(); }
static inline Ints ints_minus_one(void) { return _mm512_set1_epi32(-1); }
static inline Ints ints_load(const void *p) { return _mm512_loadu_si512(p); }
static inline Ints ints_all(const void *p) { return _mm512_set1_epi32(int32_at(p)); }
static inline void ints_store(int32_t *p, Ints a) { _mm512_storeu_si512(p, a); }
static inline Ints ints_add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
static inline Ints ints_set(int32_t a) { return _mm512_set1_epi32(a); }
static inline Ints ints_sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
static inline Ints ints_mul(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
static inline Ints ints_min(Ints a, Ints b) { return _mm512_min_epi32(a, b); }
static inline Ints ints_max(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
static inline Ints ints_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
static inline Ints ints_xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
static inline Ints ints_count(Ints count, Ints a, Ints b) {
    return _mm512_mask_add_epi32(count, _mm512_cmpneq_epi32_mask(a, b), count, _mm512_set1_epi32(1));
}
static inline Ints ints_from_S8(const void *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(p)); }
static inline Ints ints_from_U8(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(p)); }
/* Into zeros: a gather waits for what its target held. */
static inline Ints ints_look_up(const int32_t *row, const uint8_t *codes) {
    return _mm512_mask_i32gather_epi32(ints_zero(), 0xFFFF, ints_from_U8(codes), row, 4);
}
static inline Ints ints_from_S16(const void *p) { return _mm512_cvtepi16_epi32(_mm256_loadu_si256(p)); }
static inline Ints ints_from_U16(const void *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256(p)); }
static inline void ints_widen(int64_t *p, Ints a, int accumulate) {
    __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(a)), high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a, 1));
    if (accumulate) {
        low = _mm512_add_epi64(low, _mm512_loadu_si512(p));
        high = _mm512_add_epi64(high, _mm512_loadu_si512(p + 8));
    }
    _mm512_storeu_si512(p, low);
    _mm512_storeu_si512(p + 8, high);
}
#ifdef HAS_VNNI
static inline Ints ints_mac_s16(Ints sum, Ints x, Ints w) { return _mm512_dpwssd_epi32(sum, x, w); }
static inline Ints ints_mac_u8s8(Ints sum, Ints x, Ints w) { return _mm512_dpbusd_epi32(sum, x, w); }
#else
static inline Ints ints_mac_s16(Ints sum, Ints x, Ints w) { return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w)); }
#endif
static inline Ints ints_max_s16(Ints sum, Ints x, Ints w) {
    return ints_mac_s16(sum, _mm512_max_epi16(x, w), _mm512_set1_epi16(1));
}
/* The sum, and how many bits of each lane differ. */
static inline Ints ints_mismatches(Ints sum, Ints x, Ints w) {
#ifdef HAS_POPCNT
    return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(x, w)));
#else
    const Ints nibble = _mm512_set1_epi8(15), bits = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Ints differ = _mm512_xor_si512(x, w);
    const Ints low = _mm512_shuffle_epi8(bits, _mm512_and_si512(differ, nibble));
    const Ints high = _mm512_shuffle_epi8(bits, _mm512_and_si512(_mm512_srli_epi16(differ, 4), nibble));
    const Ints pairs = _mm512_maddubs_epi16(_mm512_add_epi8(low, high), _mm512_set1_epi8(1));
    return ints_mac_s16(sum, pairs, _mm512_set1_epi16(1));
#endif
}

typedef __m512i Sads;
static inline Sads sads_zero(void) { return _mm512_setzero_si512(); }
static inline Sads sads_load(const void *p) { return _mm512_loadu_si512(p); }
static inline Sads sads_all(const void *p) { return _mm512_set1_epi64(int64_at(p)); }
static inline Sads sads_l1(Sads sum, Sads x, Sads w) { return _mm512_add_epi64(sum, _mm512_sad_epu8(x, w)); }
static inline void sads_store(uint32_t *p, Sads a, int accumulate) {
    __m256i sums = _mm512_cvtepi64_epi32(a);
    if (accumulate) sums = _mm256_add_epi32(sums, _mm256_loadu_si256((const void *)p));
    _mm256_storeu_si256((void *)p, sums);
}

/* Of two neighbouring vectors of shorts each element beside the other's: those of the lower and of the upper half of every 16 bytes,
   and sums of such pairs back in order. */
#define HAS_SHORT_PAIRS
static inline Ints shorts_low(Ints a, Ints b) { return _mm512_unpacklo_epi16(a, b); }
static inline Ints shorts_high(Ints a, Ints b) { return _mm512_unpackhi_epi16(a, b); }
static inline void pairs_store(int32_t *p, Ints low, Ints high) {
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(p, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(p + LANES, _mm512_permutex2var_epi64(low, second, high));
}

#define SHORTS 32
typedef __m512i Shorts;
static inline Shorts shorts_from_S8(const void *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p)); }
static inline Shorts shorts_from_U8(const void *p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256(p)); }
static inline Shorts shorts_l1(Shorts sum, Shorts x, const int16_t *w) {
    return _mm512_add_epi16(sum, _mm512_abs_epi16(_mm512_sub_epi16(x, _mm512_loadu_si512(w))));
}
static inline void shorts_store(int32_t *p, Shorts a) {
    _mm512_storeu_si512(p, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(a)));
    _mm512_storeu_si512(p + 16, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(a, 1)));
}

static inline void ints_pack8(void *p, Ints a) { _mm_storeu_si128(p, _mm512_cvtepi32_epi8(a)); }
static inline void ints_pack16(void *p, Ints a) { _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(a)); }

#define DOUBLES 8
typedef __m512d Doubles;
static inline Doubles doubles_load(const double *p) { return _mm512_loadu_pd(p); }
static inline Doubles doubles_all(double a) { return _mm512_set1_pd(a); }
static inline Doubles doubles_low(Ints a) { return _mm512_cvtepi32_pd(_mm512_castsi512_si256(a)); }
static inline Doubles doubles_high(Ints a) { return _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(a, 1)); }
static inline Doubles doubles_fma(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }
static inline Ints ints_join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
#define DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
/* A double plus 1.5 * 2**52 ends in its nearest integer: fewer steps than two conversions. */
static inline Ints ints_nearest(Doubles low, Doubles high) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const Doubles integer = _mm512_set1_pd(0x1.8p52);
    return _mm512_permutex2var_epi32(_mm512_castpd_si512(_mm512_add_pd(low, integer)), even,
                                     _mm512_castpd_si512(_mm512_add_pd(high, integer)));
}
static inline Ints ints_floor(Doubles low, Doubles high) {
    return ints_join(_mm512_cvt_roundpd_epi32(low, DOWN), _mm512_cvt_roundpd_epi32(high, DOWN));
}

static inline Floats floats_of(Ints a) { return _mm512_cvtepi32_ps(a); }
static inline Floats floats_div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
static inline Floats floats_mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
static inline Floats floats_fused(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
static inline Ints ints_nearest_float(Floats a) { return _mm512_cvtps_epi32(a); }
static inline Ints ints_left(Ints a, Ints places) { return _mm512_sllv_epi32(a, places); }
static inline Ints ints_right(Ints a, Ints places) { return _mm512_srav_epi32(a, places); }
static inline Ints ints_odd(Ints a) { return _mm512_srli_epi64(a, 32); }
/* low word of each 64 bits, high word */
static inline Ints ints_blend(Ints low, Ints high) { return _mm512_mask_blend_epi32(0xAAAA, low, high); }
static inline Ints ints_high_product(Ints a, Ints b) {
    const Ints half = _mm512_set1_epi64(1 << 30);
    const Ints even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half), odd = _mm512_add_epi64(_mm512_mul_epi32(ints_odd(a), ints_odd(b)), half);
    return ints_blend(_mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
}
/* 2**62 more keeps the sum positive, for a shift that brings in zeros. */
static inline Ints scaled_half(Ints a, Ints b, Ints places) {
    const Ints one = _mm512_set1_epi64(1), more = _mm512_set1_epi64((int64_t)1 << 62);
    const Ints half = _mm512_add_epi64(more, _mm512_sllv_epi64(one, _mm512_sub_epi64(places, one)));
    return _mm512_srlv_epi64(_mm512_add_epi64(_mm512_mul_epi32(a, b), half), places);
}
static inline Ints ints_scaled(Ints a, Ints b, Ints places) {
    const Ints even = scaled_half(a, b, _mm512_and_si512(places, _mm512_set1_epi64(UINT32_MAX))), odd = scaled_half(ints_odd(a), ints_odd(b), ints_odd(places));
    const Ints more = ints_left(ints_set(1), ints_sub(ints_set(62), places));
    return ints_sub(ints_blend(even, _mm512_slli_epi64(odd, 32)), more);
}

/* What float_codes.inc.h takes: products near halves, and four vectors of 32 bits as bytes. */
#define HAS_FLOAT_CODES
#define A_OR_B_AND_C 0xF8
static inline Floats floats_signed(Floats magnitude, Ints sign) {
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(_mm512_castps_si512(magnitude), sign, _mm512_set1_epi32(INT32_MIN), A_OR_B_AND_C));
}
/* What is left of the nearest whole number, and the larger magnitude. */
static inline Floats floats_rest(Floats a) { return _mm512_reduce_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline Floats floats_farther(Floats a, Floats b) { return _mm512_range_ps(a, b, LARGER_MAGNITUDE); }
static inline int floats_any_above(Floats a, Floats limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_GT_OQ) != 0; }

#define SHORTS_OF_FIRST 0x0F0F0F0Fu /* of the first of two packed vectors */
static inline uint32_t shorts_of_lanes(int64_t lanes) {
    uint32_t found = 0;
    for (int64_t lane = 0; lane < lanes; lane++) found |= 0x11u << (lane / 4 * 8 + lane % 4);
    return found;
}
static inline Ints shorts_set(int16_t a) { return _mm512_set1_epi16(a); }
static inline Ints shorts_packed(Ints a, Ints b) { return _mm512_packs_epi32(a, b); }
static inline Ints shorts_add(Ints a, Ints b) { return _mm512_adds_epi16(a, b); }
static inline Ints shorts_sub(Ints a, Ints b) { return _mm512_sub_epi16(a, b); }
/* Of the chosen ones, those that are above as unsigned numbers. */
static inline Ints shorts_count(Ints count, Ints a, Ints b, uint32_t chosen) {
    return _mm512_mask_sub_epi16(count, _mm512_mask_cmpgt_epu16_mask(chosen, a, b), count, _mm512_set1_epi16(-1));
}
static inline int64_t shorts_total(Ints a) {
    const Ints low = _mm512_and_si512(a, _mm512_set1_epi32(0xFFFF));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(low, _mm512_srli_epi32(a, 16)));
}
static inline Ints shorts_min(Ints a, Ints b) { return _mm512_min_epi16(a, b); }
static inline Ints shorts_max(Ints a, Ints b) { return _mm512_max_epi16(a, b); }
static inline Ints bytes_packed(int is_signed, Ints a, Ints b) { return is_signed ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b); }
static inline Ints bytes_set(int a) { return _mm512_set1_epi8((char)a); }
static inline Ints bytes_between(int is_signed, Ints a, Ints least, Ints most) {
    return is_signed ? _mm512_min_epi8(_mm512_max_epi8(a, least), most) : _mm512_min_epu8(_mm512_max_epu8(a, least), most);
}
#ifdef HAS_VNNI
#define HAS_BYTE_QUADS
static inline Ints bytes_low(Ints a, Ints b) { return _mm512_unpacklo_epi8(a, b); }
static inline Ints bytes_high(Ints a, Ints b) { return _mm512_unpackhi_epi8(a, b); }
#endif
static inline void ints_store_some(int32_t *p, Ints a, int64_t lanes) {
    _mm512_mask_storeu_epi32(p, (__mmask16)((1u << lanes) - 1), a);
}
/* Stores under a mask take long where memory is new. */
static inline void bytes_store_some(uint8_t *y, int64_t valid, __m128i bytes) {
    if (valid == LANES) {
        _mm_storeu_si128((void *)y, bytes);
    } else if (valid == LANES / 2) {
        _mm_storel_epi64((void *)y, bytes);
    } else {
        _mm_mask_storeu_epi8(y, (__mmask16)((1u << valid) - 1), bytes);
    }
}
/* Bytes of four vectors, four of each in turn in every 16, vector after vector. */
static inline Ints bytes_in_order(Ints bytes) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}
/* The first of two or four rows that a vector holds. */
static inline void halves_store(uint8_t *y, int64_t stride, int64_t rows, Ints bytes) {
    _mm256_storeu_si256((void *)y, _mm512_castsi512_si256(bytes));
    if (rows > 1) _mm256_storeu_si256((void *)(y + stride), _mm512_extracti64x4_epi64(bytes, 1));
}
static inline void quarters_store(uint8_t *y, int64_t stride, int64_t rows, Ints bytes) {
    _mm_storeu_si128((void *)y, _mm512_castsi512_si128(bytes));
    if (rows > 1) _mm_storeu_si128((void *)(y + stride), _mm512_extracti32x4_epi32(bytes, 1));
    if (rows > 2) _mm_storeu_si128((void *)(y + 2 * stride), _mm512_extracti32x4_epi32(bytes, 2));
    if (rows > 3) _mm_storeu_si128((void *)(y + 3 * stride), _mm512_extracti32x4_epi32(bytes, 3));
}
/* Such bytes not yet in order as `rows` rows of `valid` ones. */
static inline void bytes_store(uint8_t *y, int64_t stride, int64_t rows, int64_t valid, Ints bytes) {
    const Ints in_turn = bytes_in_order(bytes);
    if (stride == LANES && valid == LANES && rows == 4) {
        _mm512_storeu_si512(y, in_turn);
        return;
    }
    bytes_store_some(y, valid, _mm512_castsi512_si128(in_turn));
    if (rows > 1) bytes_store_some(y + stride, valid, _mm512_extracti32x4_epi32(in_turn, 1));
    if (rows > 2) bytes_store_some(y + 2 * stride, valid, _mm512_extracti32x4_epi32(in_turn, 2));
    if (rows > 3) bytes_store_some(y + 3 * stride, valid, _mm512_extracti32x4_epi32(in_turn, 3));
}

#define HAS_BYTES_EQUAL
static inline uint64_t bytes_equal(const uint8_t *bytes, uint8_t value) {
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8((char)value));
}

#ifdef HAS_POPCNT
#define HAS_WORDS
typedef __m512i Words;
static inline Words words_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
static inline Words words_left(Words a, int places) { return _mm512_slli_epi64(a, (unsigned)places); }
static inline Words words_right(Words a, int places) { return _mm512_srli_epi64(a, (unsigned)places); }
static inline Words words_and(Words a, Words b) { return _mm512_and_si512(a, b); }
static inline Words words_and_not(Words a, Words b) { return _mm512_andnot_si512(b, a); }
static inline Words words_or(Words a, Words b) { return _mm512_or_si512(a, b); }
static inline Words words_add(Words a, Words b) { return _mm512_add_epi64(a, b); }
static inline Words words_ones(Words a) { return _mm512_popcnt_epi64(a); }
static inline int words_any(Words a) { return _mm512_test_epi64_mask(a, a) != 0; }
static inline int64_t words_total(Words a) { return _mm512_reduce_add_epi64(a); }
#endif

#ifdef HAS_VBMI
#define HAS_THREE_CHANNELS
/* Where each of 192 bytes of 64 pixels comes from: first of the first two channels, then of those and the third. */
typedef struct {
    uint8_t first[3][64], second[3][64];
} Places;
static inline Places three_places(void) {
    Places p;
    for (int i = 0; i < 192; i++) {
        const int pixel = i / 3, channel = i % 3;
        p.first[i / 64][i % 64] = (uint8_t)(channel == 1 ? 64 + pixel : pixel);
        p.second[i / 64][i % 64] = (uint8_t)(channel == 2 ? 64 + pixel : i % 64);
    }
    return p;
}
static inline void three_channels(const Places *p, const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *y) {
    const Ints x[3] = {ints_load(a), ints_load(b), ints_load(c)};
    for (int i = 0; i < 3; i++) {
        const Ints two = _mm512_permutex2var_epi8(x[0], ints_load(p->first[i]), x[1]);
        _mm512_storeu_si512(y + 64 * i, _mm512_permutex2var_epi8(two, ints_load(p->second[i]), x[2]));
    }
}
#endif
