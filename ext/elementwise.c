/* Affine, add, clamp and pooling on codes: chunks of elements, or rows of pixels, shared out to threads. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

void scale_constants(int64_t count, int64_t channels, const int32_t *multiplier, const int64_t *addend, const uint8_t *shift,
                     Rounding rounding, double *scaled_multiplier, double *scaled_addend) {
    for (int64_t i = 0, channel = 0; i < count; i++) {
        const double unit = 1.0 / (double)((uint64_t)1 << shift[channel]);
        scaled_multiplier[i] = multiplier[channel] * unit;
        scaled_addend[i] = (double)addend[channel] * unit + (rounding == HALF_UP ? 0.5 : 0.0);
        if (++channel == channels) channel = 0;
    }
}

/* Channels repeated to the length of a chunk, which may start at any of them. */
typedef struct {
    int32_t *multiplier;
    int64_t *addend;
    uint8_t *shift;
    double *scaled_multiplier, *scaled_addend;
} Constants;

static void lay_out(Layout *layout, int64_t count, Constants *c) {
    c->multiplier = lay_part(layout, count, sizeof(*c->multiplier));
    c->addend = lay_part(layout, count, sizeof(*c->addend));
    c->shift = lay_part(layout, count, sizeof(*c->shift));
    c->scaled_multiplier = lay_part(layout, count, sizeof(*c->scaled_multiplier));
    c->scaled_addend = lay_part(layout, count, sizeof(*c->scaled_addend));
}

int affine_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels, const int32_t *multiplier,
                 const int64_t *addend, const uint8_t *shift, Rounding rounding, int doubles, const Codes *codes, void *y,
                 int threads, Stats *stats) {
    threads = use_threads(threads, count / 2);
    const int64_t step = chunk_length(channels), constants = step % channels ? channels + step : step;
    Constants c;
    Layout size = {0};
    lay_out(&size, constants, &c);
    char *memory = allocate(1, size.bytes);
    if (!memory) return -1;
    lay_out(&(Layout){memory, 0}, constants, &c);
    if (doubles) {
        scale_constants(constants, channels, multiplier, addend, shift, rounding, c.scaled_multiplier, c.scaled_addend);
    } else {
        for (int64_t i = 0; i < constants; i++) {
            c.multiplier[i] = multiplier[i % channels];
            c.addend[i] = addend[i % channels];
            c.shift[i] = shift[i % channels];
        }
    }
    const Affine affine = {c.scaled_multiplier, c.scaled_addend, rounding == HALF_EVEN, *codes};
    Stats all = no_stats();
    const int64_t chunks = (count + step - 1) / step;
#pragma omp parallel num_threads(threads)
    {
        Stats own = no_stats();
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t first = chunk * step, length = smaller(step, count - first), channel = first % channels;
            const char *from = (const char *)x + first * bytes_of(type);
            char *to = (char *)y + first * bytes_of(codes->type);
            if (doubles) {
                kernels->affine(type, from, length, &affine, channel, to, &own);
            } else {
                kernels->affine_any(type, from, length, c.multiplier + channel, c.addend + channel, c.shift + channel, rounding,
                                    codes, to, &own);
            }
        }
#pragma omp critical(addersim_stats)
        merge_stats(&all, &own);
    }
    free(memory);
    *stats = all;
    return 0;
}

void add_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes,
               void *y, int threads, Stats *stats) {
    threads = use_threads(threads, count / 2);
    Stats all = no_stats();
    const int64_t chunks = (count + CHUNK - 1) / CHUNK;
#pragma omp parallel num_threads(threads)
    {
        Stats own = no_stats();
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t first = chunk * CHUNK, length = smaller(CHUNK, count - first);
            kernels->add(a_type, (const char *)a + first * bytes_of(a_type), b_type,
                         b ? (const char *)b + first * bytes_of(b_type) : NULL, length, codes, (char *)y + first * bytes_of(codes->type), &own);
        }
#pragma omp critical(addersim_stats)
        merge_stats(&all, &own);
    }
    *stats = all;
}

/* Pixels of the window that lie in the image; padding never wins a maximum and adds nothing to a sum. */
int pool_codes(const Kernels *kernels, int maximum, const Geometry *g, Type type, const void *x, int wide, void *y, int threads) {
    threads = use_threads(threads, times(pixels_of(g), plus(g->channels / 8, times(g->kernel_height, g->kernel_width))));
    const int64_t y_bytes = g->channels * (maximum ? bytes_of(type) : wide ? 8 : 4), rows = g->images * g->out_height;
    const int64_t most = times(smaller(g->kernel_height, g->height), smaller(g->kernel_width, g->width));
    const int64_t own_bytes = round_up(times(most, sizeof(void *)), 64);
    threads = (int)smaller(threads, rows);
    char *memory = allocate(threads, own_bytes);
    if (!memory) return -1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const void **pixels = (const void **)(memory + thread_number() * own_bytes);
        for (int64_t pixel = row * g->out_width; pixel < (row + 1) * g->out_width; pixel++) {
            const int64_t inside = window_pixels(g, x, bytes_of(type), pixel, pixels);
            char *to = (char *)y + pixel * y_bytes;
            if (maximum) {
                kernels->max_pixels(type, pixels, inside, g->channels, to);
            } else {
                kernels->sum_pixels(type, pixels, inside, g->channels, wide, to);
            }
        }
    }
    free(memory);
    return 0;
}

#define LOOK_UP(C)                                                                                                              \
    for (int64_t channel = 0; channel < channels; channel++) {                                                                  \
        const uint8_t *from = x + (image * channels + channel) * pixels;                                                        \
        const C *level = (const C *)levels + channel * 256;                                                                     \
        C *to = (C *)y + image * pixels * channels + channel;                                                                   \
        for (int64_t pixel = 0; pixel < pixels; pixel++) to[pixel * channels] = level[from[pixel]];                             \
    }

void look_up_levels(const uint8_t *x, int64_t images, int64_t channels, int64_t pixels, const void *levels, int bytes, void *y,
                    int threads) {
    threads = use_threads(threads, images * channels * pixels);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t image = 0; image < images; image++) {
        if (bytes == 1) {
            LOOK_UP(uint8_t)
        } else if (bytes == 2) {
            LOOK_UP(uint16_t)
        } else {
            LOOK_UP(uint32_t)
        }
    }
}
