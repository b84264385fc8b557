/* Plain C for any processor. */
#include "fixed_point.h"
#include "sets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SET portable
#ifdef ADDERSIM_GNU
#define DO_NOT_OPTIMIZE(vector) __asm__ volatile("" : "+m"(vector))
#else
#define DO_NOT_OPTIMIZE(vector) ((void)(vector)) /* the ceiling of additions means nothing there */
#endif
#define LANES 4
#define F32_ROWS 2
#define F32_VECTORS 2
#define INT_ROWS 2
#define INT_VECTORS 2
#define U8_ROWS 2
#define U8_VECTORS 2
#define U8_LANES 4
#define U8_STEP_BYTES 4
#define GRADIENT_ROWS 2

#define EACH(TYPE, expression)                              \
    TYPE r;                                                 \
    for (int i = 0; i < LANES; i++) r.at[i] = (expression); \
    return r

typedef struct {
    float at[LANES];
} Floats;
static inline Floats floats_zero(void) { EACH(Floats, 0.0f); }
static inline Floats floats_load(const void *p) { EACH(Floats, ((const float *)p)[i]); }
static inline Floats floats_all(const void *p) { EACH(Floats, *(const float *)p); }
static inline void floats_store(float *p, Floats a) { memcpy(p, a.at, sizeof a.at); }
static inline Floats floats_add(Floats a, Floats b) { EACH(Floats, a.at[i] + b.at[i]); }
/* x * w + sum with one rounding, as processors have it that fuse: in doubles the product is exact, and a sum that is not becomes the
   neighbour whose last bit is odd, which rounds to the float that the exact one rounds to. */
#define FUSED
static inline float fused(float x, float w, float sum) {
    const double a = (double)x * w, b = sum, rounded = a + b, of_b = rounded - a;
    const double rest = (a - (rounded - of_b)) + (b - of_b);
    int64_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    const int64_t farther = (rest > 0) == (rounded > 0) ? 1 : -1;
    if ((rest > 0 || rest < 0) && bits % 2 == 0) bits += farther;
    double odd;
    memcpy(&odd, &bits, sizeof odd);
    return (float)odd;
}
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { EACH(Floats, fused(x.at[i], w.at[i], sum.at[i])); }
static inline Floats floats_l1(Floats sum, Floats x, Floats w) { EACH(Floats, sum.at[i] - fabsf(x.at[i] - w.at[i])); }
static inline float clamped(float slope) { return slope < -1.0f ? -1.0f : slope > 1.0f ? 1.0f : slope; }
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    EACH(Floats, sum.at[i] + gradient.at[i] * clamped(w.at[i] - x.at[i]));
}

/* Four sums modulo 2**32, or the operands of four steps. */
typedef union {
    uint32_t at[LANES];
    int16_t half[2 * LANES];
    uint8_t byte[4 * LANES];
} Ints;
static inline Ints ints_zero(void) { EACH(Ints, 0); }
static inline Ints ints_minus_one(void) { EACH(Ints, UINT32_MAX); }
static inline Ints ints_load(const void *p) {
    Ints r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline Ints ints_all(const void *p) {
    uint32_t step;
    memcpy(&step, p, sizeof step);
    EACH(Ints, step);
}
static inline void ints_store(int32_t *p, Ints a) { memcpy(p, a.at, sizeof a.at); }
static inline Ints ints_add(Ints a, Ints b) { EACH(Ints, a.at[i] + b.at[i]); }
static inline Ints ints_set(int32_t a) { EACH(Ints, (uint32_t)a); }
static inline Ints ints_sub(Ints a, Ints b) { EACH(Ints, a.at[i] - b.at[i]); }
static inline Ints ints_mul(Ints a, Ints b) { EACH(Ints, a.at[i] * b.at[i]); }
static inline Ints ints_min(Ints a, Ints b) { EACH(Ints, (int32_t)a.at[i] < (int32_t)b.at[i] ? a.at[i] : b.at[i]); }
static inline Ints ints_max(Ints a, Ints b) { EACH(Ints, (int32_t)a.at[i] > (int32_t)b.at[i] ? a.at[i] : b.at[i]); }
static inline Ints ints_and(Ints a, Ints b) { EACH(Ints, a.at[i] & b.at[i]); }
static inline Ints ints_count(Ints count, Ints a, Ints b) { EACH(Ints, count.at[i] + (a.at[i] != b.at[i])); }
static inline Ints ints_from_S8(const void *p) { EACH(Ints, (uint32_t)((const int8_t *)p)[i]); }
static inline Ints ints_from_U8(const void *p) { EACH(Ints, ((const uint8_t *)p)[i]); }
static inline Ints ints_look_up(const int32_t *row, const uint8_t *codes) { EACH(Ints, (uint32_t)row[codes[i]]); }
static inline Ints ints_from_S16(const void *p) { EACH(Ints, (uint32_t)((const int16_t *)p)[i]); }
static inline Ints ints_from_U16(const void *p) { EACH(Ints, ((const uint16_t *)p)[i]); }
static inline void ints_widen(int64_t *p, Ints a, int accumulate) {
    for (int i = 0; i < LANES; i++) p[i] = (accumulate ? p[i] : 0) + (int32_t)a.at[i];
}
static inline uint32_t product(int16_t a, int16_t b) { return (uint32_t)((int32_t)a * b); }
static inline Ints ints_mac_s16(Ints sum, Ints x, Ints w) {
    EACH(Ints, sum.at[i] + product(x.half[2 * i], w.half[2 * i]) + product(x.half[2 * i + 1], w.half[2 * i + 1]));
}
static inline uint32_t larger_half(int16_t a, int16_t b) { return (uint32_t)(int32_t)(a > b ? a : b); }
static inline Ints ints_max_s16(Ints sum, Ints x, Ints w) {
    EACH(Ints, sum.at[i] + larger_half(x.half[2 * i], w.half[2 * i]) + larger_half(x.half[2 * i + 1], w.half[2 * i + 1]));
}
/* The sum, and how many bits of each lane differ. */
static inline uint32_t bits_of(uint32_t word) {
    word -= word >> 1 & 0x55555555u;
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    return ((word + (word >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}
static inline Ints ints_mismatches(Ints sum, Ints x, Ints w) { EACH(Ints, sum.at[i] + bits_of(x.at[i] ^ w.at[i])); }

typedef Ints Sads;
static inline Sads sads_zero(void) { return ints_zero(); }
static inline Sads sads_load(const void *p) { return ints_load(p); }
static inline Sads sads_all(const void *p) { return ints_all(p); }
static inline uint32_t distance(uint8_t a, uint8_t b) { return (uint32_t)(a > b ? a - b : b - a); }
static inline Sads sads_l1(Sads sum, Sads x, Sads w) {
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < 4; j++) sum.at[i] += distance(x.byte[4 * i + j], w.byte[4 * i + j]);
    }
    return sum;
}
static inline void sads_store(uint32_t *p, Sads a, int accumulate) {
    for (int i = 0; i < LANES; i++) p[i] = (accumulate ? p[i] : 0) + a.at[i];
}

#define SHORTS LANES
typedef Ints Shorts;
static inline Shorts shorts_from_S8(const void *p) { return ints_from_S8(p); }
static inline Shorts shorts_from_U8(const void *p) { return ints_from_U8(p); }
static inline Shorts shorts_l1(Shorts sum, Shorts x, const int16_t *w) {
    for (int i = 0; i < LANES; i++) sum.at[i] += (uint32_t)abs((int32_t)x.at[i] - w[i]);
    return sum;
}
static inline void shorts_store(int32_t *p, Shorts a) { ints_store(p, a); }

static inline void ints_pack16(void *p, Ints a) {
    for (int i = 0; i < LANES; i++) ((int16_t *)p)[i] = (int16_t)a.at[i];
}
static inline void ints_pack8(void *p, Ints a) {
    for (int i = 0; i < LANES; i++) ((int8_t *)p)[i] = (int8_t)a.at[i];
}

#define DOUBLES 2
typedef struct {
    double at[DOUBLES];
} Doubles;
static inline Doubles doubles_load(const double *p) { return (Doubles){{p[0], p[1]}}; }
static inline Doubles doubles_all(double a) { return (Doubles){{a, a}}; }
static inline Doubles doubles_low(Ints a) { return (Doubles){{(int32_t)a.at[0], (int32_t)a.at[1]}}; }
static inline Doubles doubles_high(Ints a) { return (Doubles){{(int32_t)a.at[2], (int32_t)a.at[3]}}; }
/* product and sum are exact wherever this is used */
static inline Doubles doubles_fma(Doubles a, Doubles b, Doubles c) {
    return (Doubles){{a.at[0] * b.at[0] + c.at[0], a.at[1] * b.at[1] + c.at[1]}};
}
static inline double part(Doubles low, Doubles high, int i) { return i < DOUBLES ? low.at[i] : high.at[i - DOUBLES]; }
static inline Ints ints_nearest(Doubles low, Doubles high) { EACH(Ints, (uint32_t)(int32_t)rint(part(low, high, i))); }
static inline Ints ints_floor(Doubles low, Doubles high) { EACH(Ints, (uint32_t)(int32_t)floor(part(low, high, i))); }

static inline Floats floats_of(Ints a) { EACH(Floats, (float)(int32_t)a.at[i]); }
static inline Floats floats_div(Floats a, Floats b) { EACH(Floats, a.at[i] / b.at[i]); }
static inline Floats floats_mul(Floats a, Floats b) { EACH(Floats, a.at[i] * b.at[i]); }
static inline Floats floats_fused(Floats a, Floats b, Floats c) { EACH(Floats, fused(a.at[i], b.at[i], c.at[i])); }
static inline Ints ints_nearest_float(Floats a) { EACH(Ints, (uint32_t)(int32_t)rintf(a.at[i])); }
static inline Ints ints_left(Ints a, Ints places) { EACH(Ints, a.at[i] << places.at[i]); }
static inline Ints ints_right(Ints a, Ints places) { EACH(Ints, (uint32_t)((int32_t)a.at[i] >> places.at[i])); }
static inline Ints ints_high_product(Ints a, Ints b) { EACH(Ints, (uint32_t)high_product((int32_t)a.at[i], (int32_t)b.at[i])); }
static inline uint32_t scaled_one(int32_t a, int32_t b, uint32_t places) {
    return (uint32_t)(((int64_t)a * b + ((int64_t)1 << (places - 1))) >> places);
}
static inline Ints ints_scaled(Ints a, Ints b, Ints places) { EACH(Ints, scaled_one((int32_t)a.at[i], (int32_t)b.at[i], places.at[i])); }

#include "kernels.inc.h"
