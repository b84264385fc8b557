/* NEON of 64-bit Arm. */
#include "sets.h"

#ifdef ADDERSIM_NEON
#include <arm_neon.h>

#define SET neon
#define LANES 4
#define F32_ROWS 4
#define F32_VECTORS 4
#define GRADIENT_ROWS 8

typedef float32x4_t Floats;
static inline Floats floats_zero(void) { return vdupq_n_f32(0.0f); }
static inline Floats floats_load(const float *p) { return vld1q_f32(p); }
static inline Floats floats_all(const float *p) { return vld1q_dup_f32(p); }
static inline void floats_store(float *p, Floats a) { vst1q_f32(p, a); }
static inline Floats floats_add(Floats a, Floats b) { return vaddq_f32(a, b); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { return vfmaq_f32(sum, x, w); }
static inline Floats floats_l1(Floats sum, Floats x, Floats w) { return vaddq_f32(sum, vabdq_f32(x, w)); }
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    Floats slope = vminq_f32(vmaxq_f32(vsubq_f32(w, x), vdupq_n_f32(-1.0f)), vdupq_n_f32(1.0f));
    return vfmaq_f32(sum, gradient, slope);
}

#include "kernels.inc.h"
#else
typedef int addersim_no_neon;
#endif
