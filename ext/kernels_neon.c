/* NEON of 64-bit Arm. */
#include "sets.h"

#ifdef ADDERSIM_NEON
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define SET neon
#define DO_NOT_OPTIMIZE(vector) __asm__ volatile("" : "+w"(vector))
#define LANES 4
#define F32_ROWS 4
#define F32_VECTORS 4
#define INT_ROWS 4
#define INT_VECTORS 4
#define U8_ROWS 4
#define U8_VECTORS 4
#define U8_LANES 4
#define U8_STEP_BYTES 4
#define GRADIENT_ROWS 8

typedef float32x4_t Floats;
static inline Floats floats_zero(void) { return vdupq_n_f32(0.0f); }
static inline Floats floats_load(const void *p) { return vld1q_f32(p); }
static inline Floats floats_all(const void *p) { return vld1q_dup_f32(p); }
static inline void floats_store(float *p, Floats a) { vst1q_f32(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return vaddq_f32(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return vfmaq_f32(sum, x, w); }
static inline Floats floats_l1(Floats sum, Floats x, Floats w) { return vsubq_f32(sum, vabdq_f32(x, w)); }
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    Floats slope = vminq_f32(vmaxq_f32(vsubq_f32(w, x), vdupq_n_f32(-1.0f)), vdupq_n_f32(1.0f));
    return vfmaq_f32(sum, gradient, slope);
}

typedef int32x4_t Ints;
static inline Ints ints_zero(void) { return vdupq_n_s32(0); }
static inline Ints ints_minus_one(void) { return vdupq_n_s32(-1); }
static inline Ints ints_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline Ints ints_all(const void *p) { return vld1q_dup_s32(p); }
static inline void ints_store(int32_t *p, Ints a) { vst1q_s32(p, a); }
static inline Ints ints_add(Ints a, Ints b) { return vaddq_s32(a, b); }
static inline Ints ints_set(int32_t a) { return vdupq_n_s32(a); }
static inline Ints ints_sub(Ints a, Ints b) { return vsubq_s32(a, b); }
static inline Ints ints_mul(Ints a, Ints b) { return vmulq_s32(a, b); }
static inline Ints ints_min(Ints a, Ints b) { return vminq_s32(a, b); }
static inline Ints ints_max(Ints a, Ints b) { return vmaxq_s32(a, b); }
static inline Ints ints_and(Ints a, Ints b) { return vandq_s32(a, b); }
static inline Ints ints_count(Ints count, Ints a, Ints b) {
    return vaddq_s32(count, vaddq_s32(vreinterpretq_s32_u32(vceqq_s32(a, b)), vdupq_n_s32(1)));
}
static inline Ints ints_from_S8(const void *p) {
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vld1_dup_u32(p)))));
}
static inline Ints ints_from_U8(const void *p) {
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vld1_dup_u32(p))))));
}
static inline Ints ints_look_up(const int32_t *row, const uint8_t *codes) {
    const int32_t found[LANES] = {row[codes[0]], row[codes[1]], row[codes[2]], row[codes[3]]};
    return ints_load(found);
}
static inline Ints ints_from_S16(const void *p) { return vmovl_s16(vld1_s16(p)); }
static inline Ints ints_from_U16(const void *p) { return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p))); }
static inline void ints_widen(int64_t *p, Ints a, int accumulate) {
    int64x2_t low = vmovl_s32(vget_low_s32(a)), high = vmovl_high_s32(a);
    if (accumulate) {
        low = vaddq_s64(low, vld1q_s64(p));
        high = vaddq_s64(high, vld1q_s64(p + 2));
    }
    vst1q_s64(p, low);
    vst1q_s64(p + 2, high);
}
/* Pairs add up modulo 2**32, as the callers of a sum that may leave 32 bits expect. */
static inline Ints ints_mac_s16(Ints sum, Ints x, Ints w) {
    int16x8_t a = vreinterpretq_s16_s32(x), b = vreinterpretq_s16_s32(w);
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);
    return vaddq_s32(sum, vpaddq_s32(low, high));
}
static inline Ints ints_max_s16(Ints sum, Ints x, Ints w) {
    return vpadalq_s16(sum, vmaxq_s16(vreinterpretq_s16_s32(x), vreinterpretq_s16_s32(w)));
}
/* The sum, and how many bits of each lane differ. */
static inline Ints ints_mismatches(Ints sum, Ints x, Ints w) {
    uint8x16_t bits = vcntq_u8(vreinterpretq_u8_s32(veorq_s32(x, w)));
    return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(sum), vpaddlq_u8(bits)));
}

typedef int32x4_t Sads;
static inline Sads sads_zero(void) { return vdupq_n_s32(0); }
static inline Sads sads_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline Sads sads_all(const void *p) { return vld1q_dup_s32(p); }
static inline Sads sads_l1(Sads sum, Sads x, Sads w) {
    uint8x16_t difference = vabdq_u8(vreinterpretq_u8_s32(x), vreinterpretq_u8_s32(w));
    return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(sum), vpaddlq_u8(difference)));
}
static inline void sads_store(uint32_t *p, Sads a, int accumulate) {
    uint32x4_t sums = vreinterpretq_u32_s32(a);
    vst1q_u32(p, accumulate ? vaddq_u32(sums, vld1q_u32(p)) : sums);
}

#define SHORTS 8
typedef int16x8_t Shorts;
static inline Shorts shorts_from_S8(const void *p) { return vmovl_s8(vld1_s8(p)); }
static inline Shorts shorts_from_U8(const void *p) { return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p))); }
static inline Shorts shorts_l1(Shorts sum, Shorts x, const int16_t *w) { return vabaq_s16(sum, x, vld1q_s16(w)); }
static inline void shorts_store(int32_t *p, Shorts a) {
    vst1q_u32((uint32_t *)p, vmovl_u16(vget_low_u16(vreinterpretq_u16_s16(a))));
    vst1q_u32((uint32_t *)p + 4, vmovl_high_u16(vreinterpretq_u16_s16(a)));
}

static inline void ints_pack16(void *p, Ints a) { vst1_s16(p, vmovn_s32(a)); }
static inline void ints_pack8(void *p, Ints a) {
    int16x4_t halves = vmovn_s32(a);
    vst1_lane_s32(p, vreinterpret_s32_s8(vmovn_s16(vcombine_s16(halves, halves))), 0);
}

#define DOUBLES 2
typedef float64x2_t Doubles;
static inline Doubles doubles_load(const double *p) { return vld1q_f64(p); }
static inline Doubles doubles_all(double a) { return vdupq_n_f64(a); }
static inline Doubles doubles_low(Ints a) { return vcvtq_f64_s64(vmovl_s32(vget_low_s32(a))); }
static inline Doubles doubles_high(Ints a) { return vcvtq_f64_s64(vmovl_high_s32(a)); }
static inline Doubles doubles_fma(Doubles a, Doubles b, Doubles c) { return vfmaq_f64(c, a, b); }
static inline Ints ints_of(int64x2_t low, int64x2_t high) { return vcombine_s32(vmovn_s64(low), vmovn_s64(high)); }
static inline Ints ints_nearest(Doubles low, Doubles high) { return ints_of(vcvtnq_s64_f64(low), vcvtnq_s64_f64(high)); }
static inline Ints ints_floor(Doubles low, Doubles high) { return ints_of(vcvtmq_s64_f64(low), vcvtmq_s64_f64(high)); }

static inline Floats floats_of(Ints a) { return vcvtq_f32_s32(a); }
static inline Floats floats_div(Floats a, Floats b) { return vdivq_f32(a, b); }
static inline Floats floats_mul(Floats a, Floats b) { return vmulq_f32(a, b); }
static inline Floats floats_fused(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
static inline Ints ints_nearest_float(Floats a) { return vcvtnq_s32_f32(a); }
static inline Ints ints_left(Ints a, Ints places) { return vshlq_s32(a, places); }
static inline Ints ints_right(Ints a, Ints places) { return vshlq_s32(a, vnegq_s32(places)); }
static inline Ints ints_high_product(Ints a, Ints b) { return vqrdmulhq_s32(a, b); }
/* 2**62 more keeps the sum positive, for a shift that brings in zeros. */
static inline int32x2_t scaled_half(int64x2_t product, int32x2_t places) {
    const int64x2_t one = vdupq_n_s64(1), by = vmovl_s32(places);
    const int64x2_t sum = vaddq_s64(vaddq_s64(product, vdupq_n_s64((int64_t)1 << 62)), vshlq_s64(one, vsubq_s64(by, one)));
    return vmovn_s64(vreinterpretq_s64_u64(vshlq_u64(vreinterpretq_u64_s64(sum), vnegq_s64(by))));
}
static inline Ints ints_scaled(Ints a, Ints b, Ints places) {
    const int32x2_t low = scaled_half(vmull_s32(vget_low_s32(a), vget_low_s32(b)), vget_low_s32(places));
    const int32x2_t high = scaled_half(vmull_high_s32(a, b), vget_high_s32(places));
    return ints_sub(vcombine_s32(low, high), ints_left(ints_set(1), ints_sub(ints_set(62), places)));
}

#include "kernels.inc.h"
#else
typedef int addersim_no_neon;
#endif
