/* Layers of -sum |x - w|^power on unfolded images: x is (groups * taps, count), w (groups * outputs, taps), y (groups * outputs, count). */
#include "core.h"

#include <string.h>

enum { PLACES = 1024 }; /* numbers of a row that are worked on together */

static int64_t power_work(const Unfolded *u) { return times(u->groups * u->outputs, times(u->taps, u->count)) / 2; }

void power_forward_f32(const Kernels *kernels, const Unfolded *u, const float *x, const float *w, float power, float *y, int threads) {
    threads = use_threads(threads, power_work(u));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t o = 0; o < u->groups * u->outputs; o++) {
        const float *rows = x + o / u->outputs * u->taps * u->count;
        memset(y + o * u->count, 0, (size_t)u->count * sizeof *y);
        for (int64_t at = 0; at < u->count; at += PLACES) {
            for (int64_t t = 0; t < u->taps; t++) {
                kernels->power_sums(rows + t * u->count + at, w[o * u->taps + t], power, smaller(PLACES, u->count - at), y + o * u->count + at);
            }
        }
    }
}

/* gradient: of y; out: of x's shape */
void power_input_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x, const float *w, float power,
                              float *out, int threads) {
    threads = use_threads(threads, power_work(u));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < u->groups * u->taps; row++) {
        const int64_t group = row / u->taps, t = row % u->taps;
        float *found = out + row * u->count;
        memset(found, 0, (size_t)u->count * sizeof *found);
        for (int64_t at = 0; at < u->count; at += PLACES) {
            for (int64_t o = group * u->outputs; o < (group + 1) * u->outputs; o++) {
                kernels->power_input_slopes(x + row * u->count + at, w[o * u->taps + t], power - 1, smaller(PLACES, u->count - at),
                                            gradient + o * u->count + at, found + at);
            }
        }
        for (int64_t i = 0; i < u->count; i++) found[i] *= power;
    }
}

/* out: of w's shape */
void power_filter_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x, const float *w, float power,
                               float *out, int threads) {
    threads = use_threads(threads, power_work(u));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < u->groups * u->outputs * u->taps; i++) {
        const int64_t o = i / u->taps, row = o / u->outputs * u->taps + i % u->taps;
        double sum = 0;
        for (int64_t at = 0; at < u->count; at += PLACES) {
            sum += kernels->power_filter_slope(x + row * u->count + at, w[i], power - 1, smaller(PLACES, u->count - at),
                                               gradient + o * u->count + at);
        }
        out[i] = (float)(power * sum);
    }
}
