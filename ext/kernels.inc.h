/* The kernels, written once: included by kernels_*.c, each of which names an instruction set and its few vector operations. */
#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define QUOTE2(a) #a
#define QUOTE(a) QUOTE2(a)
#define UNROLL _Pragma("GCC unroll 32")

/* ROWS x VECTORS sums in registers: each step loads VECTORS weights and broadcasts one operand a window. */
#define PANEL_WIDTH(NAME, ROWS, VECTORS, TYPE, SCALAR, ZERO, LOAD, ALL, STEP, ADD, STORE)                                     \
    static void NAME##_##VECTORS(const SCALAR *windows, int64_t window_stride, int64_t row_blocks, const SCALAR *panel,       \
                                 int64_t steps, SCALAR *sums, int64_t sums_stride, int accumulate) {                          \
        for (int64_t block = 0; block < row_blocks; block++) {                                                                \
            TYPE sum[ROWS][VECTORS];                                                                                          \
            UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int j = 0; j < VECTORS; j++) sum[i][j] = ZERO();                \
            const SCALAR *w = panel, *x = windows;                                                                            \
            for (int64_t step = 0; step < steps; step++, w += VECTORS * LANES, x++) {                                         \
                TYPE weights[VECTORS];                                                                                        \
                UNROLL for (int j = 0; j < VECTORS; j++) weights[j] = LOAD(w + j * LANES);                                    \
                UNROLL for (int i = 0; i < ROWS; i++) {                                                                       \
                    TYPE operand = ALL(x + i * window_stride);                                                                \
                    UNROLL for (int j = 0; j < VECTORS; j++) sum[i][j] = STEP(sum[i][j], operand, weights[j]);                \
                }                                                                                                             \
            }                                                                                                                 \
            UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int j = 0; j < VECTORS; j++) {                                  \
                SCALAR *to = sums + i * sums_stride + j * LANES;                                                              \
                STORE(to, accumulate ? ADD(LOAD(to), sum[i][j]) : sum[i][j]);                                                 \
            }                                                                                                                 \
            windows += ROWS * window_stride;                                                                                  \
            sums += ROWS * sums_stride;                                                                                       \
        }                                                                                                                     \
    }

#define PANEL_CASE(NAME, VECTORS)                                                                                          \
    case VECTORS:                                                                                                          \
        NAME##_##VECTORS(windows, window_stride / 4, row_blocks, panel, steps, sums, sums_stride, accumulate);              \
        break;

#define PANEL_FUNCTION(NAME, CASES)                                                                                        \
    static void NAME(const void *windows, int64_t window_stride, int64_t row_blocks, const void *panel, int64_t steps,     \
                     int vectors, void *sums, int64_t sums_stride, int accumulate) {                                       \
        switch (vectors) { CASES }                                                                                         \
    }

#define F32_WIDTH(NAME, VECTORS, STEP) \
    PANEL_WIDTH(NAME, F32_ROWS, VECTORS, Floats, float, floats_zero, floats_load, floats_all, STEP, floats_add, floats_store)

F32_WIDTH(l1_f32, 1, floats_l1)
F32_WIDTH(l1_f32, 2, floats_l1)
F32_WIDTH(mac_f32, 1, floats_mac)
F32_WIDTH(mac_f32, 2, floats_mac)
#if F32_VECTORS == 4
F32_WIDTH(l1_f32, 3, floats_l1)
F32_WIDTH(l1_f32, 4, floats_l1)
F32_WIDTH(mac_f32, 3, floats_mac)
F32_WIDTH(mac_f32, 4, floats_mac)
PANEL_FUNCTION(l1_f32, PANEL_CASE(l1_f32, 1) PANEL_CASE(l1_f32, 2) PANEL_CASE(l1_f32, 3) PANEL_CASE(l1_f32, 4))
PANEL_FUNCTION(mac_f32, PANEL_CASE(mac_f32, 1) PANEL_CASE(mac_f32, 2) PANEL_CASE(mac_f32, 3) PANEL_CASE(mac_f32, 4))
#else
PANEL_FUNCTION(l1_f32, PANEL_CASE(l1_f32, 1) PANEL_CASE(l1_f32, 2))
PANEL_FUNCTION(mac_f32, PANEL_CASE(mac_f32, 1) PANEL_CASE(mac_f32, 2))
#endif

/* GRADIENT_ROWS pixels x one vector of input channels; weights[tap]: outputs x LANES. */
static void l1_gradient(const float *x, const float *const *gradients, const float *const *weights, int64_t taps,
                        int64_t outputs, float *out) {
    Floats sum[GRADIENT_ROWS], pixel[GRADIENT_ROWS];
    UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) {
        sum[i] = floats_zero();
        pixel[i] = floats_load(x + i * LANES);
    }
    for (int64_t tap = 0; tap < taps; tap++, gradients += GRADIENT_ROWS) {
        const float *w = weights[tap];
        for (int64_t output = 0; output < outputs; output++, w += LANES) {
            Floats weight = floats_load(w);
            UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) {
                sum[i] = floats_clamped_mac(sum[i], floats_all(gradients[i] + output), weight, pixel[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) floats_store(out + i * LANES, sum[i]);
}

/* Channels in blocks that the compiler keeps in registers. */
#define BLOCK (2 * LANES)

static void depthwise_f32(int l1, const float *const *x, const float *weights, int64_t taps, int64_t channels, float *y) {
    for (int64_t first = 0; first < channels; first += BLOCK) {
        const int64_t count = smaller(BLOCK, channels - first);
        float sum[BLOCK] = {0};
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *operand = x[tap] + first, *w = weights + tap * channels + first;
            if (count == BLOCK && l1) {
                for (int i = 0; i < BLOCK; i++) sum[i] += __builtin_fabsf(operand[i] - w[i]);
            } else if (l1) {
                for (int64_t i = 0; i < count; i++) sum[i] += __builtin_fabsf(operand[i] - w[i]);
            } else {
                for (int64_t i = 0; i < count; i++) sum[i] += operand[i] * w[i];
            }
        }
        for (int64_t i = 0; i < count; i++) y[first + i] = l1 ? -sum[i] : sum[i];
    }
}

static void depthwise_gradient(const float *x, const float *const *gradients, const float *const *weights, int64_t taps,
                               int64_t channels, float *out) {
    for (int64_t i = 0; i < channels; i++) out[i] = 0.0f;
    for (int64_t tap = 0; tap < taps; tap++) {
        const float *gradient = gradients[tap], *w = weights[tap];
        for (int64_t i = 0; i < channels; i++) {
            float slope = w[i] - x[i];
            slope = slope < -1.0f ? -1.0f : slope;
            slope = slope > 1.0f ? 1.0f : slope;
            out[i] += gradient[i] * slope;
        }
    }
}

static void sign_gradient(const float *windows, int64_t window_stride, int64_t count, const float *gradient,
                          int64_t gradient_stride, const float *weights, int64_t taps, float *filter) {
    for (int64_t m = 0; m < count; m++, windows += window_stride, gradient += gradient_stride) {
        const float rising = *gradient, falling = -rising;
        for (int64_t k = 0; k < taps; k++) {
            filter[k] += windows[k] > weights[k] ? rising : windows[k] < weights[k] ? falling : 0.0f;
        }
    }
}

static const Kernels TABLE = {
    .name = QUOTE(SET),
    .l1_f32 = {l1_f32, F32_ROWS, F32_VECTORS, LANES, 4},
    .mac_f32 = {mac_f32, F32_ROWS, F32_VECTORS, LANES, 4},
    .gradient_rows = GRADIENT_ROWS,
    .gradient_lanes = LANES,
    .l1_gradient = l1_gradient,
    .depthwise_f32 = depthwise_f32,
    .depthwise_gradient = depthwise_gradient,
    .sign_gradient = sign_gradient,
};

const Kernels *PASTE(SET, kernels)(void) { return &TABLE; }
