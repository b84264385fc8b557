/* Input gradient of l1 layers with few channels: vectors hold neighbouring pixels of one channel, not channels of one pixel. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const Kernels *kernels;
    const Geometry *g;
    const float *gradient, *x;
    float *planes, *packed, *out;
    int64_t channels, outputs;      /* of one group */
    int64_t before, width, blocks;  /* zeros before a plane's first column, floats of its row, vectors that cover a row of pixels */
} Planes;

typedef struct {
    const float **gradients, **weights; /* of each tap that reaches the row: where column 0 reads, and (outputs, channels) */
} Taps;

int fits_planes(const Kernels *kernels, const Geometry *g) {
    const int64_t lanes = kernels->gradient_lanes, zeros = plus(times(g->kernel_width - 1, g->dilation_width), g->padding_width);
    /* planes hold these zeros in every row: they must not outweigh the pixels */
    return g->stride_width == 1 && 2 * (g->channels / g->groups) <= lanes && 2 * g->width >= lanes && zeros <= 2 * g->width;
}

/* (outputs, taps, channels) -> (group, tap, output, channel) */
static void pack_weights(const Planes *p, const float *weights) {
    const int64_t taps = p->g->kernel_height * p->g->kernel_width;
    for (int64_t o = 0; o < p->g->outputs; o++) {
        for (int64_t tap = 0; tap < taps; tap++, weights += p->channels) {
            const int64_t place = (o / p->outputs * taps + tap) * p->outputs + o % p->outputs;
            memcpy(p->packed + place * p->channels, weights, (size_t)p->channels * 4);
        }
    }
}

/* (images, rows, columns, outputs) -> (images, outputs, rows, columns between zeros); columns that no pixel reaches are left out */
static void spread_row(const Planes *p, int64_t image, int64_t y) {
    const Geometry *g = p->g;
    const float *from = p->gradient + (image * g->out_height + y) * g->out_width * g->outputs;
    const int64_t columns = smaller(g->out_width, p->width - p->before);
    for (int64_t o = 0; o < g->outputs; o++) {
        float *to = p->planes + ((image * g->outputs + o) * g->out_height + y) * p->width;
        memset(to, 0, (size_t)p->width * 4);
        for (int64_t z = 0; z < columns; z++) to[p->before + z] = from[z * g->outputs + o];
    }
}

static int64_t taps_of_row(const Planes *p, int64_t image, int64_t group, int64_t row, const Taps *taps) {
    const Geometry *g = p->g;
    const float *planes = p->planes + (image * g->outputs + group * p->outputs) * g->out_height * p->width;
    int64_t found = 0;
    for (int64_t i = 0; i < g->kernel_height; i++) {
        const int64_t y = output_of(row, g->padding_height, i, g->dilation_height, g->stride_height, g->out_height);
        if (y < 0) continue;
        for (int64_t j = 0; j < g->kernel_width; j++, found++) {
            const int64_t tap = (group * g->kernel_height + i) * g->kernel_width + j;
            taps->gradients[found] = planes + y * p->width + p->before + g->padding_width - j * g->dilation_width;
            taps->weights[found] = p->packed + tap * p->outputs * p->channels;
        }
    }
    return found;
}

static void row_gradient(const Planes *p, int64_t image, int64_t row, const Taps *taps) {
    const Geometry *g = p->g;
    const int64_t lanes = p->kernels->gradient_lanes, plane = g->out_height * p->width, units = p->blocks * p->channels;
    float x[PLANE_UNITS * MAX_LANES] = {0}, sums[PLANE_UNITS * MAX_LANES];
    int64_t left[PLANE_UNITS], channel[PLANE_UNITS];
    for (int64_t group = 0; group < g->groups; group++) {
        const int64_t found = taps_of_row(p, image, group, row, taps);
        const int64_t first = (image * g->height + row) * g->width * g->channels + group * p->channels;
        for (int64_t unit = 0; unit < units; unit += PLANE_UNITS) {
            for (int u = 0; u < PLANE_UNITS; u++) { /* the last one again where there are no more */
                const int64_t at = smaller(unit + u, units - 1);
                left[u] = at / p->channels * lanes;
                channel[u] = at % p->channels;
                for (int64_t i = 0; i < smaller(lanes, g->width - left[u]); i++) {
                    x[u * lanes + i] = p->x[first + (left[u] + i) * g->channels + channel[u]];
                }
            }
            p->kernels->l1_gradient_planes(x, left, channel, taps->gradients, plane, taps->weights, p->channels, found, p->outputs,
                                           sums);
            for (int u = 0; u < PLANE_UNITS; u++) {
                for (int64_t i = 0; i < smaller(lanes, g->width - left[u]); i++) {
                    p->out[first + (left[u] + i) * g->channels + channel[u]] = sums[u * lanes + i];
                }
            }
        }
    }
}

int l1_input_gradient_by_planes(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x, const float *weights,
                                float *out, int threads) {
    const int64_t lanes = kernels->gradient_lanes, taps = g->kernel_height * g->kernel_width;
    Planes p = {.kernels = kernels, .g = g, .gradient = gradient, .x = x, .out = out};
    p.channels = g->channels / g->groups;
    p.outputs = g->outputs / g->groups;
    p.blocks = (g->width + lanes - 1) / lanes;
    p.before = (g->kernel_width - 1) * g->dilation_width;
    p.width = p.before + p.blocks * lanes + g->padding_width;
    p.planes = allocate(times(g->images * g->out_height * g->outputs, p.width), sizeof(*p.planes));
    p.packed = allocate(times(g->outputs, taps * p.channels), sizeof(*p.packed));
    threads = (int)smaller(threads, g->images * g->height);
    const float **pointers = allocate(times(threads, taps), 2 * sizeof(*pointers));
    const int ready = p.planes && p.packed && pointers;
    if (ready) {
        pack_weights(&p, weights);
#pragma omp parallel num_threads(threads)
        {
#pragma omp for schedule(static)
            for (int64_t item = 0; item < g->images * g->out_height; item++) {
                spread_row(&p, item / g->out_height, item % g->out_height);
            }
            const float **own = pointers + 2 * thread_number() * taps;
            const Taps scratch = {own, own + taps};
#pragma omp for schedule(static)
            for (int64_t item = 0; item < g->images * g->height; item++) {
                row_gradient(&p, item / g->height, item % g->height, &scratch);
            }
        }
    }
    free(p.planes);
    free(p.packed);
    free(pointers);
    return ready ? 0 : -1;
}
