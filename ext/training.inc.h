/* Kernels on floats beside the panels: gradients and depthwise layers. */

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

static void depthwise_f32(Lane lane, const float *const *x, const float *weights, int64_t taps, int64_t channels, float *y) {
    for (int64_t first = 0; first < channels; first += 2 * LANES) { /* a block of sums stays in registers */
        const int64_t count = smaller(2 * LANES, channels - first);
        float sum[2 * LANES] = {0};
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *operand = x[tap] + first, *w = weights + tap * channels + first;
            if (lane == MAC) {
                for (int64_t i = 0; i < count; i++) sum[i] += operand[i] * w[i];
            } else if (count == 2 * LANES) {
                for (int i = 0; i < 2 * LANES; i++) sum[i] += __builtin_fabsf(operand[i] - w[i]);
            } else {
                for (int64_t i = 0; i < count; i++) sum[i] += __builtin_fabsf(operand[i] - w[i]);
            }
        }
        for (int64_t i = 0; i < count; i++) y[first + i] = lane == L1 ? -sum[i] : sum[i];
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
