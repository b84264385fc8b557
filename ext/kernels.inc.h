/* The kernels, written once: included by kernels_*.c, each of which names an instruction set and its few vector operations. */
#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define QUOTE2(a) #a
#define QUOTE(a) QUOTE2(a)
#define UNROLL _Pragma("GCC unroll 24")

#define FLOATS_STORE(to, sum, accumulate) floats_store(to, (accumulate) ? floats_add(sum, floats_load(to)) : (sum))
#define INTS_STORE(to, sum, accumulate) ints_store(to, (accumulate) ? ints_add(sum, ints_load(to)) : (sum))

#define PANEL l1_f32
#define ROWS F32_ROWS
#define VECTORS F32_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Floats
#define SUM float
#define FIRST floats_zero
#define LOAD floats_load
#define ALL floats_all
#define STEP floats_l1
#define STORE FLOATS_STORE
#include "panel.inc.h"

#define PANEL mac_f32
#define ROWS F32_ROWS
#define VECTORS F32_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Floats
#define SUM float
#define FIRST floats_zero
#define LOAD floats_load
#define ALL floats_all
#define STEP floats_mac
#define STORE FLOATS_STORE
#include "panel.inc.h"

/* sum |x - w| on bytes */
#define PANEL l1_u8
#define ROWS U8_ROWS
#define VECTORS U8_VECTORS
#define PANEL_LANES U8_LANES
#define STEP_BYTES U8_STEP_BYTES
#define VECTOR Sads
#define SUM uint32_t
#define FIRST sads_zero
#define LOAD sads_load
#define ALL sads_all
#define STEP sads_l1
#define STORE sads_store
#include "panel.inc.h"

/* sum max(x, w) on 16 bits: sum |x - w| = 2 sum max(x, w) - sum x - sum w, and it never needs the 17th bit of x - w. */
#define PANEL l1_s16
#define ROWS INT_ROWS
#define VECTORS INT_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Ints
#define SUM int32_t
#define FIRST ints_zero
#define LOAD ints_load
#define ALL ints_all
#define STEP ints_max_s16
#define STORE INTS_STORE
#include "panel.inc.h"

#define PANEL mac_s16
#define ROWS INT_ROWS
#define VECTORS INT_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Ints
#define SUM int32_t
#define FIRST ints_zero
#define LOAD ints_load
#define ALL ints_all
#define STEP ints_mac_s16
#define STORE INTS_STORE
#include "panel.inc.h"

/* The wide ones start at -1: the sum of one pair of products is at most 2**31, one more than 32 bits hold. */
#define PANEL l1_s16_wide
#define ROWS INT_ROWS
#define VECTORS INT_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Ints
#define SUM int64_t
#define FIRST ints_minus_one
#define LOAD ints_load
#define ALL ints_all
#define STEP ints_max_s16
#define STORE ints_widen
#include "panel.inc.h"

#define PANEL mac_s16_wide
#define ROWS INT_ROWS
#define VECTORS INT_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Ints
#define SUM int64_t
#define FIRST ints_minus_one
#define LOAD ints_load
#define ALL ints_all
#define STEP ints_mac_s16
#define STORE ints_widen
#include "panel.inc.h"

#ifdef HAS_VNNI
#define PANEL mac_u8s8
#define ROWS INT_ROWS
#define VECTORS INT_VECTORS
#define PANEL_LANES LANES
#define STEP_BYTES 4
#define VECTOR Ints
#define SUM int32_t
#define FIRST ints_zero
#define LOAD ints_load
#define ALL ints_all
#define STEP ints_mac_u8s8
#define STORE INTS_STORE
#include "panel.inc.h"
#endif

/* Absolute differences as l1_u8 takes them, from registers alone and not even summed: what this machine could do at most. */
static int64_t l1_u8_ceiling(int64_t steps) {
    char bytes[sizeof(Sads)] = {1, 2, 3};
    Sads x = sads_load(bytes), w = sads_zero();
    for (int64_t step = 0; step < steps; step++) {
        UNROLL for (int i = 0; i < 16; i++) {
            Sads found = sads_l1(sads_zero(), x, w);
            KEEP(x); /* or the compiler would compute one for all, */
            KEEP(found); /* or none */
        }
    }
    return steps * 16 * U8_LANES * U8_STEP_BYTES;
}

#include "basics.inc.h"
#include "generic.inc.h"
#include "training.inc.h"
#include "finish.inc.h"
#include "depthwise.inc.h"
#include "elementwise.inc.h"

#define ROW(PANEL) {PANEL, PANEL##_rows, PANEL##_vectors, PANEL##_lanes, PANEL##_step_bytes, PANEL##_sum_bytes}
static const Kernels TABLE = {
    .name = QUOTE(SET),
    .loops = {EACH_ARITHMETIC(LOOPS_ROW)},
    .fast =
        {
            [L1] =
                {
                    .float_sign = -1.0f,
                    .floats = ROW(l1_f32),
                    .bytes = ROW(l1_u8),
                    .shorts = ROW(l1_s16),
                    .shorts_wide = ROW(l1_s16_wide),
                    .depthwise_narrow = l1_depthwise,
                    .depthwise_bytes = l1_depthwise_bytes,
                    .depthwise_floats = l1_depthwise_floats,
                },
            [MAC] =
                {
                    .float_sign = 1.0f,
                    .floats = ROW(mac_f32),
#ifdef HAS_VNNI
                    .bytes = ROW(mac_u8s8),
#endif
                    .shorts = ROW(mac_s16),
                    .shorts_wide = ROW(mac_s16_wide),
                    .depthwise_narrow = mac_depthwise,
                    .depthwise_floats = mac_depthwise_floats,
                    .ordered_narrow = mac_ordered_narrow,
                },
        },
    .l1_u8_ceiling = l1_u8_ceiling,
    .gradient_rows = GRADIENT_ROWS,
    .gradient_lanes = LANES,
    .l1_gradient = l1_gradient,
    .l1_gradient_planes = l1_gradient_planes,
    .depthwise_gradient = depthwise_gradient,
    .sign_gradient = sign_gradient,
    .widen = widen_32,
    .extremes = extremes,
    .prepare = prepare,
    .load_operands = load_operands,
    .sum_operands = sum_operands,
    .finish = finish,
    .affine = affine,
    .affine_any = affine_any,
    .add = add,
    .max_pixels = max_pixels,
    .sum_pixels = sum_pixels,
};

const Kernels *PASTE(SET, kernels)(void) { return &TABLE; }
