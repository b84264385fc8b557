/* The kernels, written once: included by kernels_*.c, each of which names an instruction set and its few vector operations. */
#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define QUOTE2(a) #a
#define QUOTE(a) QUOTE2(a)
#define UNROLL _Pragma("GCC unroll 24")

#define FLOATS_STORE(to, sum, accumulate) floats_store(to, (accumulate) ? floats_add(sum, floats_load(to)) : (sum))
#define INTS_STORE(to, sum, accumulate) ints_store(to, (accumulate) ? ints_add(sum, ints_load(to)) : (sum))

#include "fixed_point.h"

#include <math.h>
#ifndef FUSED /* what the set's processors do in one instruction */
static inline float fused(float x, float w, float sum) { return fmaf(x, w, sum); }
#endif

#include "panel.inc.h"

PANEL(l1_f32, F32_ROWS, F32_VECTORS, LANES, 4, Floats, float, floats_zero, floats_load, floats_all, floats_l1, FLOATS_STORE)
PANEL(mac_f32, F32_ROWS, F32_VECTORS, LANES, 4, Floats, float, floats_zero, floats_load, floats_all, floats_mac, FLOATS_STORE)
#ifdef HAS_PAIRS
PANEL(l1_pairs, PAIR_ROWS, PAIR_VECTORS, LANES, 8, Floats, float, floats_zero, pair_load, pair_all, pair_l1, FLOATS_STORE)
#endif
/* sum |x - w| on bytes */
PANEL(l1_u8, U8_ROWS, U8_VECTORS, U8_LANES, U8_STEP_BYTES, Sads, uint32_t, sads_zero, sads_load, sads_all, sads_l1, sads_store)
/* sum max(x, w) on 16 bits: sum |x - w| = 2 sum max(x, w) - sum x - sum w, and it never needs the 17th bit of x - w. */
PANEL(l1_s16, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int32_t, ints_zero, ints_load, ints_all, ints_max_s16, INTS_STORE)
PANEL(mac_s16, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int32_t, ints_zero, ints_load, ints_all, ints_mac_s16, INTS_STORE)
/* The wide ones start at -1: the sum of one pair of products is at most 2**31, one more than 32 bits hold. */
PANEL(l1_s16_wide, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int64_t, ints_minus_one, ints_load, ints_all, ints_max_s16, ints_widen)
PANEL(mac_s16_wide, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int64_t, ints_minus_one, ints_load, ints_all, ints_mac_s16, ints_widen)
/* how many of a step's 32 pairs of sign bits differ */
PANEL(xnor_signs, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int32_t, ints_zero, ints_load, ints_all, ints_mismatches, INTS_STORE)
#ifdef HAS_TILES
#include "amx.inc.h"
#endif
#ifdef HAS_VNNI
PANEL(mac_u8s8, INT_ROWS, INT_VECTORS, LANES, 4, Ints, int32_t, ints_zero, ints_load, ints_all, ints_mac_u8s8, INTS_STORE)
#endif

/* Absolute differences as l1_u8 takes them, from registers alone and not even summed: what this machine could do at most. */
static int64_t l1_u8_ceiling(int64_t steps) {
    char bytes[sizeof(Sads)] = {1, 2, 3};
    Sads x = sads_load(bytes), w = sads_zero();
    for (int64_t step = 0; step < steps; step++) {
        UNROLL for (int i = 0; i < 16; i++) {
            Sads found = sads_l1(sads_zero(), x, w);
            DO_NOT_OPTIMIZE(x); /* or the compiler would compute one for all, */
            DO_NOT_OPTIMIZE(found); /* or none */
        }
    }
    return steps * 16 * U8_LANES * U8_STEP_BYTES;
}

#include "basics.inc.h"
#include "generic.inc.h"
#include "table.inc.h"
#include "training.inc.h"
#include "powers.inc.h"
#include "requantise.inc.h"
#include "rescaled.inc.h"
#include "epilogue.inc.h"
#ifdef HAS_FLOAT_CODES
#include "float_codes.inc.h"
#include "float_add.inc.h"
#ifdef HAS_VNNI
#include "coded_panel.inc.h"
#endif
#endif
#include "depthwise.inc.h"
#ifdef HAS_BYTE_QUADS
#include "depthwise_quads.inc.h"
#endif
#include "elementwise.inc.h"
#include "zeros.inc.h"

#define ROW(PANEL) {PANEL, PANEL##_rows, PANEL##_vectors, PANEL##_lanes, PANEL##_step_bytes, PANEL##_sum_bytes}
static const Kernels TABLE = {
    .name = QUOTE(SET),
    .loops = {ADDERSIM_EACH_ARITHMETIC(LOOPS_ROW)},
    .table = TABLE_LOOPS,
    .table_sums = table_sums,
#ifdef HAS_VBMI
    .table_plane_sums = table_plane_sums,
#endif
    .fast =
        {
            [L1] =
                {
                    .floats = ROW(l1_f32),
#ifdef HAS_PAIRS
                    .pairs = ROW(l1_pairs),
#endif
                    .bytes = ROW(l1_u8),
                    .shorts = ROW(l1_s16),
                    .shorts_wide = ROW(l1_s16_wide),
                    .depthwise_narrow = l1_depthwise,
                    .depthwise_bytes = l1_depthwise_bytes,
                    .depthwise_floats = l1_depthwise_floats,
                },
            [MAC] =
                {
                    .floats = ROW(mac_f32),
#ifdef HAS_TILES
                    .tiles = ROW(mac_tiles),
                    .signed_tiles = ROW(mac_signed_tiles),
#endif
#ifdef HAS_VNNI
                    .bytes = ROW(mac_u8s8),
#ifdef HAS_FLOAT_CODES
                    .coded_bytes = coded_panel,
#endif
#endif
                    .shorts = ROW(mac_s16),
                    .shorts_wide = ROW(mac_s16_wide),
                    .depthwise_narrow = mac_depthwise,
#ifdef HAS_SHORT_PAIRS
                    .depthwise_pairs = mac_depthwise_pairs,
                    .paired_channels = 2 * LANES,
#endif
#ifdef HAS_BYTE_QUADS
                    .depthwise_quads = depthwise_quads,
#endif
                    .depthwise_floats = mac_depthwise_floats,
                    .ordered_narrow = mac_ordered_narrow,
                },
            [XNOR] = {.bytes = ROW(xnor_signs)},
        },
    .l1_u8_ceiling = l1_u8_ceiling,
    .gradient_rows = GRADIENT_ROWS,
    .gradient_lanes = LANES,
    .l1_gradient = l1_gradient,
    .l1_gradient_planes = l1_gradient_planes,
    .depthwise_gradient = depthwise_gradient,
    .sign_gradient = sign_gradient,
    .power_sums = power_sums,
    .power_input_slopes = power_input_slopes,
    .power_filter_slope = power_filter_slope,
    .widen = widen_32,
    .extremes = extremes,
    .convert_weights = convert_weights,
    .load_operands = load_operands,
#ifdef HAS_PAIRS
    .pair_weights = pair_weights,
#endif
    .sum_operands = sum_operands,
    .epilogue = epilogue,
#ifdef HAS_FLOAT_CODES
    .float_codes = float_codes,
    .float_stats = float_stats,
#endif
    .affine = affine,
    .affine_any = affine_any,
    .add = add,
    .rescale = rescale,
#ifdef HAS_FLOAT_CODES
    .rescaled_add = add_by_floats,
#else
    .rescaled_add = add_rescaled,
#endif
    .zero_runs = zero_runs,
    .interleave = interleave,
    .max_pixels = max_pixels,
    .sum_pixels = sum_pixels,
};

const Kernels *PASTE(SET, kernels)(void) { return &TABLE; }
