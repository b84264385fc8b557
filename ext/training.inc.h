/* Kernels on floats beside the panels: gradients and depthwise layers. */

/* GRADIENT_ROWS pixels x one vector of input channels. */
static void l1_gradient(const float *const *x, const char *const *windows, const int64_t *offsets, int64_t runs, int64_t steps,
                        const float *weights, float *const *out) {
    Floats sum[GRADIENT_ROWS], pixel[GRADIENT_ROWS];
    const char *gradient[GRADIENT_ROWS];
    UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) {
        sum[i] = floats_zero();
        pixel[i] = floats_load(x[i]);
        gradient[i] = windows[i];
    }
    for (int64_t run = 0; run < runs; run++) {
        for (int64_t at = offsets[run]; at < offsets[run] + steps * 4; at += 4, weights += LANES) {
            Floats weight = floats_load(weights);
            UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) {
                sum[i] = floats_clamped_mac(sum[i], floats_all(gradient[i] + at), weight, pixel[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < GRADIENT_ROWS; i++) floats_store(out[i], sum[i]);
}

static void l1_gradient_planes(const float *x, const int64_t *left, const int64_t *channel, const float *const *gradients,
                               int64_t plane, const float *const *weights, int64_t channels, int64_t taps, int64_t outputs,
                               float *out) {
    Floats sum[PLANE_UNITS], pixel[PLANE_UNITS];
    UNROLL for (int i = 0; i < PLANE_UNITS; i++) {
        sum[i] = floats_zero();
        pixel[i] = floats_load(x + i * LANES);
    }
    for (int64_t tap = 0; tap < taps; tap++) {
        const float *gradient = gradients[tap], *w = weights[tap];
        for (int64_t output = 0; output < outputs; output++, gradient += plane, w += channels) {
            UNROLL for (int i = 0; i < PLANE_UNITS; i++) {
                sum[i] = floats_clamped_mac(sum[i], floats_load(gradient + left[i]), floats_all(w + channel[i]), pixel[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < PLANE_UNITS; i++) floats_store(out + i * LANES, sum[i]);
}

/* Two vectors of sums in registers; the rest in the plain loop. */
#define DEPTHWISE_FLOATS(NAME, STEP, REST)                                                                                      \
    static void NAME(const char *window, const int64_t *offsets, int64_t taps, int64_t count, const float *weights,             \
                     int64_t channels, float *y) {                                                                              \
        int64_t at = 0;                                                                                                         \
        for (; at + 2 * LANES <= count; at += 2 * LANES) {                                                                      \
            Floats sum = floats_zero(), other = floats_zero();                                                                  \
            for (int64_t tap = 0; tap < taps; tap++) {                                                                          \
                const float *x = (const float *)(const void *)(window + offsets[tap]) + at, *w = weights + tap * channels + at; \
                sum = STEP(sum, floats_load(x), floats_load(w));                                                                \
                other = STEP(other, floats_load(x + LANES), floats_load(w + LANES));                                            \
            }                                                                                                                   \
            floats_store(y + at, sum);                                                                                          \
            floats_store(y + at + LANES, other);                                                                                \
        }                                                                                                                       \
        REST(window + at * (int64_t)sizeof(float), offsets, taps, count - at, weights + at, channels, y + at);                  \
    }
DEPTHWISE_FLOATS(l1_depthwise_floats, floats_l1, L1_depthwise_floats)
DEPTHWISE_FLOATS(mac_depthwise_floats, floats_mac, MAC_depthwise_floats)

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
