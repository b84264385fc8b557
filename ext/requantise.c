/* Requantisation: chunks of elements shared out to threads. */
#include "core.h"

#include <math.h>
#include <stdlib.h>

/* One value a channel, repeated to the length of a chunk, which may start at any of them. */
static void *repeated(Layout *layout, const void *from, int64_t channels, int64_t count) {
    int32_t *to = lay_part(layout, count, sizeof(*to));
    const int32_t *values = from;
    for (int64_t i = 0, channel = 0; to && i < count; i++) {
        to[i] = values[channel];
        if (++channel == channels) channel = 0;
    }
    return to;
}

Rescale lay_rescale(Layout *layout, const Rescale *r, int64_t channels) {
    const int64_t step = chunk_length(channels), count = step % channels ? channels + step : step;
    Rescale all = *r;
    all.bias = repeated(layout, r->bias, channels, count);
    all.multiplier = repeated(layout, r->multiplier, channels, count);
    all.shift = repeated(layout, r->shift, channels, count);
    all.factor = repeated(layout, r->factor, channels, count);
    return all;
}

void rescale_run(const Kernels *kernels, const void *results, int64_t count, int64_t channels, const Rescale *laid, char *y,
                 Stats *stats) {
    const int64_t step = chunk_length(channels);
    for (int64_t first = 0; first < count; first += step) {
        kernels->rescale(S32, (const char *)results + first * bytes_of(S32), smaller(step, count - first), laid, first % channels,
                         y + first * bytes_of(laid->codes.type), stats);
    }
}

int rescale_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels, const Rescale *r, void *y,
                  int threads, Stats *stats, int *beyond) {
    threads = use_threads(threads, count);
    const int64_t step = chunk_length(channels);
    Layout size = {0};
    lay_rescale(&size, r, channels);
    char *memory = allocate(1, size.bytes);
    if (!memory) return -1;
    const Rescale all_channels = lay_rescale(&(Layout){memory, 0}, r, channels);
    Stats all = no_stats();
    int left = 0;
    const int64_t chunks = (count + step - 1) / step;
#pragma omp parallel num_threads(threads)
    {
        Stats own = no_stats();
        int own_left = 0;
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t first = chunk * step, length = smaller(step, count - first);
            own_left |= kernels->rescale(type, (const char *)x + first * bytes_of(type), length, &all_channels, first % channels,
                                         (char *)y + first * bytes_of(r->codes.type), &own);
        }
#pragma omp critical(addersim_stats)
        {
            merge_stats(&all, &own);
            left |= own_left;
        }
    }
    free(memory);
    *stats = all;
    *beyond = left;
    return 0;
}

void add_rescaled_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count,
                        const RescaledAdd *r, void *y, int threads, Stats *stats) {
    threads = use_threads(threads, count);
    Stats all = no_stats();
    const int64_t step = 16 * CHUNK, chunks = (count + step - 1) / step; /* what constants take is little beside it */
#pragma omp parallel num_threads(threads)
    {
        Stats own = no_stats();
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t first = chunk * step, length = smaller(step, count - first);
            kernels->rescaled_add(a_type, (const char *)a + first * bytes_of(a_type), b_type,
                                  (const char *)b + first * bytes_of(b_type), length, r,
                                  (char *)y + first * bytes_of(r->codes.type), &own);
        }
#pragma omp critical(addersim_stats)
        merge_stats(&all, &own);
    }
    *stats = all;
}

/* Real means: the reals of a window's codes summed in the order of the taps, or column by column, each step a float. */
static void mean_of_window(const uint8_t *const *pixels, int64_t count, int64_t rows, int64_t channels, const RealMeans *r,
                           float divisor, float *sums, int32_t *y) {
    const float limit = RESULT_LIMIT;
    const int64_t columns = r->by_columns && rows ? count / rows : count, times_down = count ? count / columns : 0;
    float *part = sums + channels;
    for (int64_t i = 0; i < channels; i++) sums[i] = 0;
    for (int64_t column = 0; column < columns; column++) {
        for (int64_t i = 0; i < channels; i++) part[i] = 0;
        for (int64_t row = 0; row < times_down; row++) {
            const uint8_t *pixel = pixels[row * columns + column];
            for (int64_t i = 0; i < channels; i++) part[i] += r->reals[pixel[i]];
        }
        for (int64_t i = 0; i < channels; i++) sums[i] += part[i];
    }
    for (int64_t i = 0; i < channels; i++) {
        const float code = sums[i] / divisor / r->scale + r->zero_point;
        y[i] = (int32_t)rintf(code < -limit ? -limit : code > limit ? limit : code);
    }
}

int real_means(const Geometry *g, const uint8_t *x, const RealMeans *r, int32_t *y, int threads) {
    const int64_t rows = g->images * g->out_height, most = times(smaller(g->kernel_height, g->height), smaller(g->kernel_width, g->width));
    threads = (int)smaller(use_threads(threads, times(pixels_of(g), times(g->channels, most))), rows);
    const int64_t pointers = round_up(times(most, sizeof(void *)), 64), own = plus(pointers, round_up(times(g->channels, 8), 64));
    char *memory = allocate(threads, own);
    if (!memory) return -1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        char *scratch = memory + thread_number() * own;
        const void **pixels = (const void **)scratch;
        const int64_t top = row % g->out_height * g->stride_height - g->padding_height;
        const int64_t down = smaller(top + g->kernel_height, g->height) - (top > 0 ? top : 0);
        for (int64_t pixel = row * g->out_width; pixel < (row + 1) * g->out_width; pixel++) {
            const int64_t inside = window_pixels(g, x, 1, pixel, pixels);
            mean_of_window((const uint8_t *const *)pixels, inside, down, g->channels, r, r->divisors[pixel % r->places],
                           (float *)(void *)(scratch + pointers), y + pixel * g->channels);
        }
    }
    free(memory);
    return 0;
}
