/* The two gradients of an l1 window layer that are not matrix products. Threads split the results, never a sum. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const Kernels *kernels;
    const Geometry *g;
    const float *gradient, *x, *packed, *zeros;
    float *out;
    int64_t channels, outputs, vectors; /* of one group; vectors hold its channels */
    int64_t piece, pieces;              /* columns of an image row that are one item, and pieces in a row */
} Backward;

/* (outputs, kernel rows, kernel columns, channels) -> (group, tap, channel vector, output, lane), zeros beyond the channels */
static void pack_gradient(const Backward *b, const float *weights, float *packed) {
    const Geometry *g = b->g;
    const int64_t lanes = b->kernels->gradient_lanes, taps = g->kernel_height * g->kernel_width;
    for (int64_t o = 0; o < g->outputs; o++) {
        for (int64_t tap = 0; tap < taps; tap++, weights += b->channels) {
            const int64_t place = (o / b->outputs * taps + tap) * b->vectors;
            for (int64_t vector = 0; vector < b->vectors; vector++) {
                const int64_t width = smaller(lanes, b->channels - vector * lanes);
                memcpy(packed + ((place + vector) * b->outputs + o % b->outputs) * lanes, weights + vector * lanes, (size_t)width * 4);
            }
        }
    }
}

/* For each tap that reaches one of `count` pixels of a row, `step` columns apart: gradients (zeros where it misses a pixel)
   and the tap's weights. Returns the number of such taps. */
static int64_t reaching_taps(const Backward *b, int64_t image, int64_t row, int64_t column, int64_t step, int64_t count,
                             const float **gradients, int64_t *taps) {
    const Geometry *g = b->g;
    const int rows = b->kernels->gradient_rows;
    int64_t found = 0;
    for (int64_t i = 0; i < g->kernel_height; i++) {
        const int64_t y = output_of(row, g->padding_height, i, g->dilation_height, g->stride_height, g->out_height);
        if (y < 0) continue;
        for (int64_t j = 0; j < g->kernel_width; j++) {
            int reached = 0;
            for (int p = 0; p < rows; p++) {
                const int64_t z = p >= count ? -1 : output_of(column + p * step, g->padding_width, j, g->dilation_width,
                                                              g->stride_width, g->out_width);
                reached |= z >= 0;
                gradients[found * rows + p] =
                    z < 0 ? b->zeros : b->gradient + ((image * g->out_height + y) * g->out_width + z) * g->outputs;
            }
            if (reached) taps[found++] = i * g->kernel_width + j;
        }
    }
    return found;
}

typedef struct {
    const float **gradients, **shifted, **weights;
    int64_t *taps;
    float *x, *out;
} Scratch;

/* Gradients of up to gradient_rows pixels of one image row, all groups. */
static void pixels_gradient(const Backward *b, int64_t image, int64_t row, int64_t column, int64_t step, int64_t count, Scratch *s) {
    const Geometry *g = b->g;
    const int64_t lanes = b->kernels->gradient_lanes, all_taps = g->kernel_height * g->kernel_width;
    const int64_t found = reaching_taps(b, image, row, column, step, count, s->gradients, s->taps);
    const int rows = b->kernels->gradient_rows;
    const int64_t pixel = ((image * g->height + row) * g->width + column) * g->channels;
    for (int64_t group = 0; group < g->groups; group++) {
        for (int64_t i = 0; i < found * rows; i++) {
            s->shifted[i] = s->gradients[i] == b->zeros ? b->zeros : s->gradients[i] + group * b->outputs;
        }
        for (int64_t vector = 0; vector < b->vectors; vector++) {
            const int64_t first = group * b->channels + vector * lanes, width = smaller(lanes, b->channels - vector * lanes);
            for (int64_t p = 0; p < count; p++) {
                memcpy(s->x + p * lanes, b->x + pixel + p * step * g->channels + first, (size_t)width * 4);
            }
            for (int64_t i = 0; i < found; i++) {
                s->weights[i] = b->packed + ((group * all_taps + s->taps[i]) * b->vectors + vector) * b->outputs * lanes;
            }
            b->kernels->l1_gradient(s->x, s->shifted, s->weights, found, b->outputs, s->out);
            for (int64_t p = 0; p < count; p++) {
                memcpy(b->out + pixel + p * step * g->channels + first, s->out + p * lanes, (size_t)width * 4);
            }
        }
    }
}

/* An item is a piece of an image row. */
static void row_gradient(const Backward *b, int64_t item, Scratch *s) {
    const Geometry *g = b->g;
    const int64_t row = item / b->pieces % g->height, image = item / b->pieces / g->height;
    const int64_t step = g->stride_width, rows = b->kernels->gradient_rows, left = item % b->pieces * b->piece;
    const int64_t right = smaller(g->width, left + b->piece);
    for (int64_t phase = 0; phase < step; phase++) { /* pixels of one phase share their taps */
        for (int64_t column = left + phase; column < right; column += rows * step) {
            const int64_t count = smaller(rows, (right - column + step - 1) / step);
            pixels_gradient(b, image, row, column, step, count, s);
        }
    }
}

static void depthwise_row(const Backward *b, int64_t item, Scratch *s) {
    const Geometry *g = b->g;
    const int64_t image = item / g->height, row = item % g->height;
    for (int64_t column = 0; column < g->width; column++) {
        const int64_t pixel = ((image * g->height + row) * g->width + column) * g->channels;
        const int64_t found = reaching_taps(b, image, row, column, 1, 1, s->gradients, s->taps);
        for (int64_t i = 0; i < found; i++) {
            s->shifted[i] = s->gradients[i * b->kernels->gradient_rows];
            s->weights[i] = b->packed + s->taps[i] * g->channels;
        }
        b->kernels->depthwise_gradient(b->x + pixel, s->shifted, s->weights, found, g->channels, b->out + pixel);
    }
}

static void lay_out(const Backward *b, Layout *layout, Scratch *s) {
    const int64_t rows = b->kernels->gradient_rows, lanes = b->kernels->gradient_lanes;
    const int64_t taps = b->g->kernel_height * b->g->kernel_width;
    s->x = lay_part(layout, rows * lanes, sizeof(*s->x));
    s->out = lay_part(layout, rows * lanes, sizeof(*s->out));
    s->gradients = lay_part(layout, times(taps, rows), sizeof(*s->gradients));
    s->shifted = lay_part(layout, times(taps, rows), sizeof(*s->shifted));
    s->weights = lay_part(layout, taps, sizeof(*s->weights));
    s->taps = lay_part(layout, taps, sizeof(*s->taps));
}

/* A 1x1 kernel sees no neighbours: all pixels may stand in one row, so that small images fill the registers too. */
static Geometry one_row(const Geometry *g) {
    Geometry flat = *g;
    const int strides = g->stride_height > 1 || g->stride_width > 1; /* without them, as many outputs as pixels is no padding */
    const int same = g->out_height == g->height && g->out_width == g->width;
    if (g->kernel_height == 1 && g->kernel_width == 1 && !strides && same) {
        flat.images = flat.height = flat.out_height = 1;
        flat.width = flat.out_width = pixels_of(g);
    }
    return flat;
}

int l1_input_gradient_f32(const Kernels *kernels, const Geometry *geometry, const float *gradient, const float *x, const float *weights,
                          float *out, int threads) {
    threads = use_threads(threads, work_of(geometry) / 8);
    const Geometry flat = one_row(geometry), *g = is_depthwise(geometry) ? geometry : &flat;
    const int depthwise = is_depthwise(g);
    if (!depthwise && fits_planes(kernels, g)) return l1_input_gradient_by_planes(kernels, g, gradient, x, weights, out, threads);
    const int64_t taps = g->kernel_height * g->kernel_width;
    Backward b = {.kernels = kernels, .g = g, .gradient = gradient, .x = x, .out = out};
    b.channels = g->channels / g->groups;
    b.outputs = g->outputs / g->groups;
    b.vectors = (b.channels + kernels->gradient_lanes - 1) / kernels->gradient_lanes;
    b.piece = depthwise ? g->width : 8 * kernels->gradient_rows * g->stride_width;
    b.pieces = (g->width + b.piece - 1) / b.piece;
    const int64_t packed_count = times(times(taps, depthwise ? g->channels : b.vectors * kernels->gradient_lanes), depthwise ? 1 : g->outputs);
    const int64_t items = g->images * g->height * b.pieces;
    threads = (int)smaller(threads, items);
    Scratch scratch;
    Layout size = {0};
    lay_out(&b, &size, &scratch);
    float *packed = allocate(packed_count, sizeof(*packed)), *zeros = allocate(g->outputs, sizeof(*zeros));
    char *all = allocate(threads, size.bytes);
    const int ready = packed && zeros && all;
    if (ready) {
        memset(packed, 0, (size_t)packed_count * 4);
        memset(zeros, 0, (size_t)g->outputs * 4);
        memset(all, 0, (size_t)(threads * size.bytes));
        b.packed = packed;
        b.zeros = zeros;
        if (depthwise) {
            transpose_f32(weights, g->channels, taps, packed);
        } else {
            pack_gradient(&b, weights, packed);
        }
#pragma omp parallel for schedule(dynamic) num_threads(threads) private(scratch)
        for (int64_t item = 0; item < items; item++) {
            lay_out(&b, &(Layout){all + thread_number() * size.bytes, 0}, &scratch);
            if (depthwise) {
                depthwise_row(&b, item, &scratch);
            } else {
                row_gradient(&b, item, &scratch);
            }
        }
    }
    free(packed);
    free(zeros);
    free(all);
    return ready ? 0 : -1;
}

/* Each tile of windows is gathered by all threads together; each filter belongs to one thread, which adds tile after tile. */
int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                const float *weights, float *out, int threads) {
    threads = use_threads(threads, work_of(g) / 4);
    const int64_t taps = taps_of(g), outputs = g->outputs / g->groups, windows = pixels_of(g);
    /* 16 bytes between windows: threads gather neighbours, each perhaps 16 bytes too many */
    const int64_t window_bytes = round_up(taps * 4 + 16, 64), tile = larger(1, smaller(windows, 192 * 1024 / window_bytes));
    char *gathered = allocate(plus(times(tile, window_bytes), SLACK_BYTES), 1);
    if (!gathered) return -1;
    memset(out, 0, (size_t)(g->outputs * taps) * 4);
#pragma omp parallel num_threads(threads)
    for (int64_t group = 0; group < g->groups; group++) {
        for (int64_t first = 0; first < windows; first += tile) {
            const int64_t count = smaller(tile, windows - first);
#pragma omp for schedule(static)
            for (int64_t i = 0; i < count; i++) {
                gather_windows(g, x, 4, group, first + i, 1, gathered + i * window_bytes, window_bytes);
            }
#pragma omp for schedule(static)
            for (int64_t o = group * outputs; o < (group + 1) * outputs; o++) {
                kernels->sign_gradient((const float *)gathered, window_bytes / 4, count, gradient + first * g->outputs + o,
                                       g->outputs, weights + o * taps, taps, out + o * taps);
            }
        }
    }
    free(gathered);
    return 0;
}
