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

static void quads_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    (void)stats; /* what was seen is merged at last */
    const Tiling *t = &w->tiling;
    const Tile *tile = &s->tile;
    const DepthwiseQuads d = {w->epilogue.floats, w->packed, w->g->channels, w->g->kernel_width, w->g->stride_width};
    tile_load(t, w->x, 0, number, 0, &s->tile);
    const int64_t columns = t->rows > 1 ? t->columns : tile->count;
    for (int64_t first = 0; first < tile->count; first += columns) {
        const char *rows[QUAD];
        for (int64_t i = 0; i < QUAD; i++) rows[i] = tile->windows[first] + t->offsets[smaller(i, w->g->kernel_height - 1)];
        w->fast->depthwise_quads(&d, rows, columns, (uint8_t *)tile_results(w, tile, 0) + first * d.channels, &s->seen);
    }
}

static void lay_quads(const Window *w, Layout *layout, Scratch *s) { (void)w, (void)layout, (void)s; }

/* Without what was found out for quads. */
static void forget(Window *w) {
    tiling_end(&w->tiling);
    free(w->tap_offsets);
    free(w->float_memory);
    w->tap_offsets = NULL;
    w->float_memory = NULL;
    w->turned = 0;
    w->x_offset = 0;
}

int prepare_quads(Window *w, int threads) {
    const Geometry *g = w->g;
    w->tap_offsets = allocate(w->taps, sizeof(*w->tap_offsets));
    w->operand = U8;
    w->x_offset = w->x_type == S8 ? -128 : 0;
    if (!w->tap_offsets || depthwise_begin(&w->tiling, &w->all_channels, g, w->kernels, w->x_type, U8, w->x_offset, w->zeros.outside, threads,
                                           w->tap_offsets)) {
        return -1;
    }
    plain_sums(w);
    set_constants(w);
    w->turned = 1;
    const int copied = w->tiling.direct && w->tiling.pieces == 1;
    if (copied && prepare_floats(w)) return -1;
    if (!copied || !w->epilogue.floats) {
        forget(w);
        return prepare_depthwise(w, threads);
    }
    w->packed = allocate(times(g->kernel_width, round_up(g->channels, QUAD_BYTES)), QUAD);
    if (!w->packed) return -1;
    turn_quads(w, w->packed);
    w->lay_out = lay_quads;
    w->run_tile = quads_tile;
    return 0;
}
