/* Window layers on codes, exact to the bit for any number of threads and any instruction set; here those that have panels.

   Raw sums of operands become results by  factor * sum + window_factor[output] * (sum of the window's operands) + constant[output]:
     l1, x of 8 bits:  operands x - offset and clip(w) - offset as uint8;  result = -sum |.| + constant
     l1, x of 16 bits: the same as int16, sums of the larger one;          result = -2 sum max + sum x + sum w + constant
     mac:              x = x' + a and w = w' + b with x', w' signed;        result = sum x'w' + b sum x' + a sum w
                       (zero points are part of a, and of each output's b)
     xnor:             sign bits of both, 8 in a byte;                     result = taps - 2 (bits that differ)
   Weights of l1 are clipped to what x can be: |x - w| = |x - clip(w)| + |w - clip(w)|, and the last term is a constant.

   An example, l1 with x of int8: x = (-128, 5), w = (300, -2). The offset is -128, so that operands are x + 128 = (0, 133); w is
   clipped to (127, -2), with operands (255, 126), and cuts 300 - 127 = 173. Raw sum |0 - 255| + |133 - 126| = 262, constant -173,
   result -262 - 173 = -435 = -(|-128 - 300| + |5 + 2|). And mac on bytes, x of int8 (-3, 4), w of uint8 (200, 7): x' = x + 128 =
   (125, 132), so a = -128; w' = w - 128 = (72, -121), so b = 128. sum x'w' = -6972, b sum x' = 32896, a sum w = -26496; the sum is
   -572 = -3 * 200 + 4 * 7. With the zero point 3 for x a = -131, a sum w = -27117, and the sum -1193 = -6 * 200 + 1 * 7. */
#include "window.h"

#include <stdlib.h>
#include <string.h>

enum {
    LONG_RUN = 64,
    SUM_BYTES_AT_ONCE = 24 * 1024,
};

int window_bounds(const Kernels *kernels, Arithmetic arithmetic, Type type, const void *weights, int64_t outputs, int64_t taps, int64_t x_low,
                  int64_t x_high, int64_t *low, int64_t *high) {
    int32_t *row = allocate(taps, sizeof(*row));
    if (!row) return -1;
    for (int64_t o = 0; o < outputs; o++) {
        kernels->widen(type, (const char *)weights + o * taps * bytes_of(type), taps, row);
        kernels->loops[arithmetic].bounds(row, taps, (int32_t)x_low, (int32_t)x_high, low + o, high + o);
    }
    free(row);
    return 0;
}

/* What the sum of a window's operands is multiplied by in each output; NULL where that is zero for all. */
static const int64_t *window_factors(Window *w) {
    int any = 0;
    for (int64_t o = 0; o < w->g->outputs; o++) {
        const int64_t zero = w->zeros.weights ? w->zeros.weights[o] : 0;
        w->window_factors[o] = w->arithmetic == L1 ? w->sum_factor : w->arithmetic == MAC ? w->weights_offset - zero : 0;
        any |= w->window_factors[o] != 0;
    }
    return any ? w->window_factors : NULL;
}

/* A tile takes as long for a few taps as for LONG_RUN of them. */
static int suits_tiles(const Window *w) {
    const Geometry *g = w->g;
    const int64_t merged = g->groups == 1 && g->dilation_width == 1 ? g->kernel_width : 1;
    return w->fast->tiles.run && w->taps >= LONG_RUN && 2 * merged * g->channels / g->groups >= LONG_RUN;
}

/* Which panel, which offsets bring the codes into its operands, and what then makes results of its sums. Returns 0 where the
   arithmetic has no panels. */
static int choose(Window *w, int64_t weights_high) {
    if (w->products) return 0;
    const int narrow = w->epilogue.narrow, x_bytes = w->x_type <= U8, bytes = x_bytes && w->weights_type <= U8;
    switch (w->arithmetic) {
        case L1: /* weights of whatever type are clipped to what x can be */
            w->operand = x_bytes ? U8 : S16;
            w->x_offset = w->x_type == S8 ? -128 : w->x_type == U16 ? 32768 : 0;
            w->weights_offset = w->x_offset;
            w->clip_low = w->x_type == S8 ? -128 : w->x_type == S16 ? -32768 : 0;
            w->clip_high = w->clip_low + (x_bytes ? 255 : 65535);
            w->any_run = !x_bytes;
            w->beyond = INT16_MAX; /* whatever x is there, it is the larger one */
            w->rest = x_bytes ? (int)-w->x_offset : 0; /* a gathered window holds a code of zero there, which meets the same */
            w->sum_factor = !x_bytes;
            w->constant = 0;
            w->epilogue.factor = x_bytes ? -1 : -2;
            break;
        case MAC:
            w->operand = bytes && narrow && w->fast->bytes.run ? U8 : S16;
            w->x_offset = w->operand == U8 ? (w->x_type == S8 ? -128 : 0) : w->x_high > 32767 ? 32768 : 0;
            w->weights_offset = w->operand == U8 ? (weights_high > 127 ? 128 : 0) : weights_high > 32767 ? 32768 : 0;
            w->clip_low = INT32_MIN, w->clip_high = INT32_MAX;
            w->any_run = 1;
            w->beyond = 0;
            w->rest = 0;
            w->sum_factor = w->x_offset - w->zeros.x;
            w->constant = 0;
            w->epilogue.factor = 1;
            break;
        case XNOR:
            if (w->epilogue.ordered) return 0;
            w->operand = U8;
            w->clip_low = 0, w->clip_high = 255;
            w->constant = w->taps;
            w->epilogue.factor = -2;
            break; /* offsets, sum_factor, beyond and rest stay zero, and bits beyond a run would count */
        case L2: return 0;
    }
    if (w->operand == U8 && suits_tiles(w)) {
        if (w->x_type == S8 && !w->weights_offset && !w->zeros.weights) { /* codes are operands as they are */
            w->operand = S8;
            w->x_offset = 0;
            w->sum_factor = -w->zeros.x;
        }
        w->panel = w->operand == S8 ? &w->fast->signed_tiles : &w->fast->tiles;
    } else {
        w->panel = w->operand == U8 ? &w->fast->bytes : narrow ? &w->fast->shorts : &w->fast->shorts_wide;
    }
    w->epilogue.window_factors = window_factors(w);
    w->epilogue.folds = w->epilogue.affine && !w->epilogue.window_factors && !w->sum_factor;
    return 1;
}

/* Weights as operands of the panel, run by run, with the constant of each output. */
static void pack_operands(Window *w, char *prepared, int32_t *row) {
    const Tiling *t = &w->tiling;
    const int64_t taps = w->taps, element = bytes_of(w->operand), run = t->direct ? t->run_steps * t->step_bytes / element : taps;
    if (w->padded_taps > taps) {
        memset(prepared, 0, (size_t)(w->g->outputs * w->padded_taps * element));
        for (int64_t i = 0; w->beyond && i < w->g->outputs * w->padded_taps; i++) ((int16_t *)(void *)prepared)[i] = w->beyond;
    }
    for (int64_t o = 0; o < w->g->outputs; o++) {
        char *to = prepared + o * w->padded_taps * element;
        w->kernels->widen(w->weights_type, (const char *)w->weights + o * taps * bytes_of(w->weights_type), taps, row);
        int64_t sum = 0, cut = 0;
        for (int64_t first = 0; first < taps; first += t->run_taps, to += run * element) {
            int64_t run_sum, run_cut;
            w->kernels->convert_weights(row + first, t->run_taps, w->clip_low, w->clip_high, (int32_t)w->weights_offset, w->operand, to,
                                &run_sum, &run_cut);
            sum += run_sum;
            cut += run_cut;
        }
        if (w->arithmetic == MAC) sum += w->window_factors[o] * taps; /* a sum w, not a sum w' */
        w->constants[o] = w->sum_factor * sum + w->constant - cut - w->epilogue.factor * w->beyond * (w->padded_taps - taps);
    }
}

/* Most steps whose sum cannot leave 32 bits; one step never does (see panel l1_s16_wide). */
static int64_t chunk_of(const Window *w, const int16_t *prepared) {
    const Tiling *t = &w->tiling;
    const int64_t largest = larger(larger(w->x_high - w->x_offset, w->x_offset - w->x_low), 1), per_step = t->step_bytes / 2;
    if (w->beyond) return INT32_MAX / (32768 * per_step); /* sums of the larger operand */
    for (int64_t chunk = tiling_steps(t); chunk > 1; chunk /= 2) {
        int fits = 1;
        for (int64_t o = 0; fits && o < w->g->outputs; o++) {
            Piece p = first_piece(t, chunk);
            do {
                const int64_t first = (p.run * t->run_steps + p.step) * per_step, end = first + p.runs * p.steps * per_step;
                int64_t sum = 0;
                for (int64_t k = first; k < smaller(w->padded_taps, end); k++) sum += labs(prepared[o * w->padded_taps + k]);
                fits = sum <= INT32_MAX / largest;
            } while (fits && next_piece(t, chunk, &p));
        }
        if (fits) return chunk;
    }
    return 1;
}


/* Scratch of one thread. */
typedef struct {
    Tile tile;
    char *sums;
    int32_t *x;
    Seen seen;
} Scratch;

/* Sums of a window that a panel takes at once, in whole vectors of the epilogue's. */
static int64_t sums_stride(const Window *w) { return smaller(w->width, round_up(w->outputs, MAX_LANES)); }

/* Windows whose sums become codes while the fastest cache has them. */
static int64_t windows_at_once(const Window *w) {
    const int64_t blocks = SUM_BYTES_AT_ONCE / (sums_stride(w) * w->panel->sum_bytes * w->panel->rows);
    return smaller(w->tiling.windows, larger(1, blocks) * w->panel->rows);
}

static void lay_out(const Window *w, Layout *layout, Scratch *s) {
    tile_lay_out(&w->tiling, layout, &s->tile);
    s->sums = lay_part(layout, times(windows_at_once(w), sums_stride(w)), w->panel->sum_bytes);
    s->x = lay_part(layout, w->ordered_weights ? w->taps : 0, sizeof(*s->x));
    lay_seen(w, layout, &s->seen);
}

/* Sums of `count` windows of a tile from `first` on, of `width` outputs of a panel from `o` on, and what becomes of them. */
static void panel_windows(const Window *w, const char *panel, int64_t first, int64_t count, int64_t o, int64_t width, Scratch *s, Stats *stats) {
    const Tile *tile = &s->tile;
    const int64_t outputs = w->g->outputs, columns = round_up(width, w->panel->lanes), stride = sums_stride(w);
    run_panel(w->panel, &w->tiling, tile->windows + first, count, panel, columns, w->chunk, s->sums, stride);
    char *y = tile_results(w, tile, o) + first * outputs * w->epilogue.y_bytes;
    if (w->epilogue.floats) {
        w->kernels->float_codes(w->epilogue.floats, (const int32_t *)(void *)s->sums, stride, count, o, width, (uint8_t *)y, outputs, &s->seen);
    } else {
        w->kernels->epilogue(&w->epilogue, s->sums, w->panel->sum_bytes, stride, count, tile->sums + first, o, width, y, outputs, stats,
                             stats + 1);
    }
}

static void window_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    Tile *tile = &s->tile;
    const int64_t at_once = windows_at_once(w);
    for (int64_t group = 0; group < w->g->groups; group++) {
        tile_load(&w->tiling, w->x, group, number, w->epilogue.window_factors != NULL, tile);
        for (int64_t output = 0; output < w->outputs; output += w->width) {
            const char *panel = w->packed + group * w->group_bytes + output * tiling_steps(&w->tiling) * w->panel->step_bytes;
            for (int64_t first = 0; first < tile->count; first += at_once) {
                panel_windows(w, panel, first, smaller(at_once, tile->count - first), group * w->outputs + output,
                              smaller(w->outputs - output, w->width), s, stats);
            }
        }
        run_ordered(w, group, tile, s->x, stats);
    }
    finish_tile(w, tile, stats + 1);
}

static int run_panels(Window *w, int threads, Stats *stats) {
    const Geometry *g = w->g;
    const int64_t element = bytes_of(w->operand);
    if (tiling_begin(&w->tiling, g, w->kernels, w->x_type, w->operand, w->x_offset, w->zeros.outside, w->panel->step_bytes,
                     w->any_run, w->panel->rows, threads)) {
        return -1;
    }
    keep_results(w);
    w->width = (int64_t)w->panel->vectors * w->panel->lanes;
    w->padded_taps = w->tiling.direct ? tiling_steps(&w->tiling) * w->panel->step_bytes / element : w->taps;
    w->group_bytes = packed_bytes(w->panel, w->outputs, w->padded_taps, (int)element);
    threads = w->tiling.threads;
    Scratch scratch;
    Layout size = {0};
    lay_out(w, &size, &scratch);
    char *prepared = allocate(times(g->outputs, w->padded_taps), element), *memory = allocate(threads, size.bytes);
    int32_t *row = allocate(w->taps, sizeof(*row));
    w->packed = allocate(g->groups, w->group_bytes);
    int ready = prepared && memory && row && w->packed;
    if (ready) {
        pack_operands(w, prepared, row);
        const int wide = w->panel->sum_bytes == 8;
        w->chunk = wide ? smaller(tiling_steps(&w->tiling), chunk_of(w, (const int16_t *)prepared)) : tiling_steps(&w->tiling);
        if (wide) { /* each piece started at -1 */
            const int64_t pieces = count_pieces(&w->tiling, w->chunk);
            for (int64_t o = 0; o < g->outputs; o++) w->constants[o] += w->epilogue.factor * pieces;
        }
        ready = prepare_floats(w) == 0;
    }
    if (ready) {
        for (int64_t group = 0; group < g->groups; group++) {
            pack_panels(w->panel, prepared + group * w->outputs * w->padded_taps * element, w->outputs, w->padded_taps,
                        (int)element, w->rest, w->packed + group * w->group_bytes);
        }
#pragma omp parallel num_threads(threads) private(scratch)
        {
            Stats own[2] = {no_stats(), no_stats()};
            lay_out(w, &(Layout){memory + thread_number() * size.bytes, 0}, &scratch);
#pragma omp for schedule(dynamic)
            for (int64_t number = 0; number < w->tiling.tiles; number++) window_tile(w, number, &scratch, own);
            merge_seen(w, &scratch.seen, own);
#pragma omp critical(addersim_stats)
            {
                merge_stats(stats, own);
                merge_stats(stats + 1, own + 1);
            }
        }
    }
    free(prepared);
    free(memory);
    free(row);
    free(w->packed);
    tiling_end(&w->tiling);
    return ready ? 0 : -1;
}

/* The same layer on sign bits: an image of bytes, each of which holds eight operands. */
static int run_signs(Window *w, int threads, Stats *stats) {
    const Geometry *g = w->g;
    const int64_t bytes = sign_bytes(g), channels = g->channels / g->groups, pixels = g->images * g->height * g->width;
    const int64_t windows = g->outputs * g->kernel_height * g->kernel_width;
    Geometry bits = *g;
    bits.channels = g->groups * bytes;
    uint8_t *x = allocate(pixels * g->groups, bytes), *weights = allocate(windows, bytes);
    int status = -1;
    if (x && weights) {
        pack_signs(w->x_type, w->x, pixels * g->groups, channels, bytes, x, threads);
        pack_signs(w->weights_type, w->weights, windows, channels, bytes, weights, threads);
        w->g = &bits;
        w->x_type = w->weights_type = U8;
        w->x = x;
        w->weights = weights;
        w->taps = taps_of(&bits);
        status = run_panels(w, threads, stats);
    }
    free(x);
    free(weights);
    return status;
}

/* The largest magnitude of a weight less its zero point. */
static int64_t largest_weight(const Window *w, int64_t low, int64_t high) {
    int64_t least = 0, most = 0; /* of the zero points */
    for (int64_t o = 0; w->zeros.weights && o < w->g->outputs; o++) {
        least = smaller(least, w->zeros.weights[o]), most = larger(most, w->zeros.weights[o]);
    }
    return larger(most - low, high - least);
}

int window_codes(const Kernels *kernels, Arithmetic arithmetic, const int32_t *products, const Geometry *g, Type x_type, const void *x,
                 int64_t x_low, int64_t x_high, Type weights_type, const void *weights, const ZeroPoints *zeros, const Epilogue *epilogue,
                 void *y, int threads, Stats *stats, Stats *codes_stats) {
    static const Fast none = {0};
    threads = use_threads(threads, work_of(g) / 64);
    Window w = {.kernels = kernels, .loops = products ? &kernels->table : kernels->loops + arithmetic,
                .fast = products ? &none : kernels->fast + arithmetic, .g = g, .arithmetic = arithmetic, .products = products, .x_type = x_type, .weights_type = weights_type, .x = x, .weights = weights, .x_low = x_low,
                .x_high = x_high, .zeros = *zeros, .epilogue = *epilogue, .taps = taps_of(g), .outputs = g->outputs / g->groups, .y = y};
    int64_t low, high;
    kernels->extremes(weights_type, weights, g->outputs * w.taps, &low, &high);
    const int64_t product = larger(zeros->x - x_low, x_high - zeros->x) * largest_weight(&w, low, high);
    w.ordered_narrow = epilogue->low >= INT32_MIN && epilogue->high <= INT32_MAX && epilogue->high + 1 + product < INT32_MAX;
    w.constants = allocate(g->outputs, 2 * sizeof(*w.constants));
    w.window_factors = w.constants + g->outputs;
    w.epilogue.constants = w.constants;
    w.epilogue.window_factors = NULL;
    w.epilogue.floats = NULL;
    w.epilogue.factor = 1;
    w.epilogue.outputs = g->outputs;
    if (epilogue->rescale && !results_wait(&w)) w.epilogue.y_bytes = bytes_of(epilogue->rescale->codes.type);
    Stats both[2] = {no_stats(), no_stats()};
    Layout size = {0};
    if (results_wait(&w)) lay_rescale(&size, epilogue->rescale, g->outputs);
    char *memory = allocate(1, size.bytes);
    if (memory && results_wait(&w)) w.rescale = lay_rescale(&(Layout){memory, 0}, epilogue->rescale, g->outputs);
    int status = memory && w.constants && (!epilogue->ordered || is_depthwise(g) || prepare_ordered(&w) == 0) ? 0 : -1;
    if (status == 0) {
        status = takes_quads(&w)      ? run_quads(&w, threads, both)
                 : is_depthwise(g)    ? run_depthwise(&w, threads, both)
                 : !choose(&w, high)  ? run_loops(&w, threads, both)
                 : arithmetic == XNOR ? run_signs(&w, threads, both)
                                      : run_panels(&w, threads, both);
    }
    *stats = both[0];
    *codes_stats = both[1];
    free(memory);
    free(w.constants);
    free(w.float_memory);
    free_ordered(&w);
    return status;
}
