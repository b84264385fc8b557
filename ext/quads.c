/* Depthwise layers of bytes whose rows of windows become codes in registers: depthwise_quads(). */
#include "window.h"

#include <stdlib.h>
#include <string.h>

int takes_quads(const Window *w) {
    const Geometry *g = w->g;
    if (!is_depthwise(g) || !w->fast->depthwise_quads || w->x_type > U8 || w->weights_type != S8 || w->zeros.weights) return 0;
    if (g->kernel_height > QUAD || g->dilation_width != 1 || !takes_floats(w)) return 0;
    const int whole = g->channels % QUAD_BYTES == 0 && g->kernel_width == 3 && g->stride_width <= 2;
    const int side_by_side = g->channels < QUAD_BYTES && QUAD_BYTES % g->channels == 0 && g->channels >= 8 && g->stride_width == 1 &&
                             g->out_width * g->channels >= QUAD_BYTES;
    return whole || side_by_side;
}

/* Of each kernel column the weights of four rows, of which those beyond the kernel are zero, in the order of the sums. */
static void turn_quads(const Window *w, int8_t *weights) {
    const Geometry *g = w->g;
    const int64_t places = round_up(g->channels, QUAD_BYTES);
    for (int64_t k = 0; k < g->kernel_width; k++) {
        for (int64_t place = 0; place < places; place++, weights += QUAD) {
            const int64_t channel = turned_channel(place) % g->channels;
            for (int64_t i = 0; i < QUAD; i++) {
                weights[i] = i < g->kernel_height ? (int8_t)weight_at(w, channel, i * g->kernel_width + k) : 0;
            }
        }
    }
}

/* Operands are codes less an offset, sums those of codes less their zero point. */
static void set_constants(Window *w) {
    for (int64_t o = 0; o < w->g->outputs; o++) {
        int64_t sum = 0;
        for (int64_t tap = 0; tap < w->taps; tap++) sum += weight_at(w, o, tap);
        w->constants[o] = (w->x_offset - w->zeros.x) * sum;
    }
}

static void quads_tile(const Window *w, const DepthwiseQuads *d, const Tile *tile, Seen *seen) {
    const Tiling *t = &w->tiling;
    const int64_t columns = t->rows > 1 ? t->columns : tile->count;
    for (int64_t first = 0; first < tile->count; first += columns) {
        const char *rows[QUAD];
        for (int64_t i = 0; i < QUAD; i++) rows[i] = tile->windows[first] + t->offsets[smaller(i, w->g->kernel_height - 1)];
        w->fast->depthwise_quads(d, rows, columns, (uint8_t *)tile_results(w, tile, 0) + first * d->channels, seen);
    }
}

/* Threads over the tiles. Returns -1 where memory ran out. */
static int run_tiles(Window *w, const DepthwiseQuads *d, Stats *stats) {
    Tile tile;
    Seen seen;
    Layout size = {0};
    tile_lay_out(&w->tiling, &size, &tile);
    lay_seen(w, &size, &seen);
    char *memory = allocate(w->tiling.threads, size.bytes);
    if (!memory) return -1;
#pragma omp parallel num_threads(w->tiling.threads) private(tile) private(seen)
    {
        Stats own[2] = {no_stats(), no_stats()};
        Layout own_scratch = {memory + thread_number() * size.bytes, 0};
        tile_lay_out(&w->tiling, &own_scratch, &tile);
        lay_seen(w, &own_scratch, &seen);
#pragma omp for schedule(dynamic)
        for (int64_t number = 0; number < w->tiling.tiles; number++) {
            tile_load(&w->tiling, w->x, 0, number, 0, &tile);
            quads_tile(w, d, &tile, &seen);
        }
        merge_seen(w, &seen, own);
#pragma omp critical(addersim_stats)
        {
            merge_stats(stats, own);
            merge_stats(stats + 1, own + 1);
        }
    }
    free(memory);
    return 0;
}

int run_quads(Window *w, int threads, Stats *stats) {
    const Geometry *g = w->g;
    Geometry all_channels;
    int64_t *offsets = allocate(w->taps, sizeof(*offsets));
    w->operand = U8;
    w->x_offset = w->x_type == S8 ? -128 : 0;
    if (!offsets || depthwise_begin(&w->tiling, &all_channels, g, w->kernels, w->x_type, U8, w->x_offset, w->zeros.outside, threads, offsets)) {
        free(offsets);
        return -1;
    }
    plain_sums(w);
    set_constants(w);
    w->turned = 1;
    int8_t *weights = allocate(times(g->kernel_width, round_up(g->channels, QUAD_BYTES)), QUAD);
    const int copied = w->tiling.direct && w->tiling.pieces == 1;
    int status = weights && (!copied || prepare_floats(w) == 0) ? 0 : -1;
    const int taken = status == 0 && copied && w->epilogue.floats;
    if (taken) {
        turn_quads(w, weights);
        const DepthwiseQuads d = {w->epilogue.floats, weights, g->channels, g->kernel_width, g->stride_width};
        status = run_tiles(w, &d, stats);
    }
    free(offsets);
    free(weights);
    tiling_end(&w->tiling);
    if (status || taken) return status;
    w->turned = 0;
    w->x_offset = 0;
    free(w->float_memory);
    w->float_memory = NULL;
    return run_depthwise(w, threads, stats);
}
