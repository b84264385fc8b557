/* Window layers on float32: what training and float runs need. Threads split the outputs, never a sum. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* Taps summed before the partial sum joins the total: bounds the rounding error and keeps a panel in cache. */
#define TAPS_A_BLOCK 512

typedef struct {
    const Kernels *kernels;
    const Geometry *g;
    const Panel *panel;
    int64_t taps, outputs, window_bytes, group_bytes, width, tile, tiles;
    const float *x;
    const char *packed;
    float *y;
    float sign;
} Forward;

static void forward_tile(const Forward *f, int64_t item, char *windows, float *sums) {
    const Geometry *g = f->g;
    const int64_t group = item / f->tiles, first = item % f->tiles * f->tile;
    const int64_t count = smaller(f->tile, pixels_of(g) - first);
    gather_windows(g, f->x, 4, group, first, count, windows, f->window_bytes);
    const int64_t blocks = round_up(count, f->panel->rows) / f->panel->rows;
    for (int64_t output = 0; output < f->outputs; output += f->width) {
        const int64_t left = f->outputs - output, vectors = round_up(smaller(left, f->width), f->panel->lanes) / f->panel->lanes;
        const char *panel = f->packed + group * f->group_bytes + output * f->taps * 4;
        for (int64_t tap = 0; tap < f->taps; tap += TAPS_A_BLOCK) {
            f->panel->run(windows + tap * 4, f->window_bytes, blocks, panel + tap * vectors * f->panel->lanes * 4,
                          smaller(TAPS_A_BLOCK, f->taps - tap), (int)vectors, sums, f->width, tap > 0);
        }
        for (int64_t i = 0; i < count; i++) {
            float *to = f->y + (first + i) * g->outputs + group * f->outputs + output;
            for (int64_t j = 0; j < smaller(left, f->width); j++) to[j] = f->sign * sums[i * f->width + j];
        }
    }
}

static int forward_depthwise(const Kernels *kernels, Lane lane, const Geometry *g, const float *x, const float *weights, float *y,
                             int threads) {
    const int64_t taps = taps_of(g), channels = g->channels;
    float *transposed = allocate(taps * channels * 4), *zeros = allocate(channels * 4);
    const void **pixels = allocate((int64_t)threads * round_up(taps * (int64_t)sizeof(void *), 64));
    const int ready = transposed && zeros && pixels;
    if (ready) {
        transpose_f32(weights, channels, taps, transposed);
        memset(zeros, 0, (size_t)channels * 4);
        const int64_t items = g->images * g->out_height;
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t item = 0; item < items; item++) {
            const void **own = pixels + thread_number() * round_up(taps * (int64_t)sizeof(void *), 64) / (int64_t)sizeof(void *);
            for (int64_t pixel = item * g->out_width; pixel < (item + 1) * g->out_width; pixel++) {
                window_pixels(g, x, 4, zeros, pixel, own);
                kernels->depthwise_f32(lane, (const float *const *)own, transposed, taps, channels, y + pixel * channels);
            }
        }
    }
    free(transposed);
    free(zeros);
    free(pixels);
    return ready ? 0 : -1;
}

int forward_f32(const Kernels *kernels, Lane lane, const Geometry *g, const float *x, const float *weights, float *y, int threads) {
    threads = use_threads(threads);
    if (is_depthwise(g)) return forward_depthwise(kernels, lane, g, x, weights, y, threads);
    const Panel *panel = lane == L1 ? &kernels->l1_f32 : &kernels->mac_f32;
    Forward f = {.kernels = kernels, .g = g, .panel = panel, .x = x, .y = y, .sign = lane == L1 ? -1.0f : 1.0f};
    f.taps = taps_of(g);
    f.outputs = g->outputs / g->groups;
    f.width = (int64_t)panel->vectors * panel->lanes;
    f.window_bytes = round_up(f.taps * 4, 64);
    f.group_bytes = packed_bytes(panel, f.outputs, f.taps, 4);
    f.tile = tile_windows(pixels_of(g), f.window_bytes, panel->rows, threads);
    f.tiles = (pixels_of(g) + f.tile - 1) / f.tile;
    const int64_t scratch = f.tile * (f.window_bytes + f.width * 4);
    char *packed = allocate(g->groups * f.group_bytes), *tiles = allocate(threads * round_up(scratch, 64));
    const int ready = packed && tiles;
    if (ready) {
        for (int64_t group = 0; group < g->groups; group++) {
            pack_panels(panel, weights + group * f.outputs * f.taps, f.outputs, f.taps, 4, packed + group * f.group_bytes);
        }
        f.packed = packed;
        memset(tiles, 0, (size_t)(threads * round_up(scratch, 64)));
        const int64_t items = g->groups * f.tiles;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t item = 0; item < items; item++) {
            char *own = tiles + thread_number() * round_up(scratch, 64);
            forward_tile(&f, item, own, (float *)(own + f.tile * f.window_bytes));
        }
    }
    free(packed);
    free(tiles);
    return ready ? 0 : -1;
}
