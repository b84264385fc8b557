/* Window layers that have panels: which one, its operands, and what makes results of its sums.

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
int choose_panel(Window *w, int64_t weights_high) {
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

/* Sums of a window that a panel takes at once, in whole vectors of the epilogue's. */
static int64_t sums_stride(const Window *w) { return smaller(w->width, round_up(w->outputs, MAX_LANES)); }

/* Windows of which pointers go on to whole ones. */
static int64_t block_rows(const Window *w) { return w->coded ? CODED_ROWS : w->panel->rows; }

/* Windows whose sums become codes while the fastest cache has them. */
static int64_t windows_at_once(const Window *w) {
    const int64_t rows = block_rows(w), blocks = SUM_BYTES_AT_ONCE / (sums_stride(w) * w->panel->sum_bytes * rows);
    return smaller(w->tiling.windows, larger(1, blocks) * rows);
}

static void lay_panels(const Window *w, Layout *layout, Scratch *s) {
    s->sums = lay_part(layout, times(windows_at_once(w), sums_stride(w)), w->panel->sum_bytes);
    s->x = lay_part(layout, w->ordered_weights ? w->taps : 0, sizeof(*s->x));
    s->doubts = lay_part(layout, w->coded ? windows_at_once(w) : 0, sizeof(*s->doubts)); /* at most one a window */
}

/* Whether sums of some outputs become codes in the panel; those beyond whole vectors need masks. */
static int codes_in_panel(const Window *w, int64_t width) {
    return w->coded && width % MAX_LANES == 0 && width != 3 * MAX_LANES;
}

/* Sums of `count` windows of a tile from `first` on, of `width` outputs of a panel from `o` on, and what becomes of them. */
static void panel_windows(const Window *w, const char *panel, int64_t first, int64_t count, int64_t o, int64_t width, Scratch *s, Stats *stats) {
    const Tile *tile = &s->tile;
    const int64_t outputs = w->g->outputs, columns = round_up(width, w->panel->lanes), stride = sums_stride(w);
    char *y = tile_results(w, tile, o) + first * outputs * w->epilogue.y_bytes;
    if (codes_in_panel(w, width)) {
        const CodedPanel p = {tile->windows + first, count, w->tiling.offsets, w->tiling.runs, w->tiling.run_steps, panel,
                              (int)(width / MAX_LANES), w->has_signs, w->epilogue.floats, o, (int32_t *)(void *)s->sums, s->doubts, (uint8_t *)y, outputs};
        w->fast->coded_bytes(&p, &s->seen);
        return;
    }
    run_panel(w->panel, &w->tiling, tile->windows + first, count, panel, columns, w->chunk, s->sums, stride);
    if (w->epilogue.floats) {
        w->kernels->float_codes(w->epilogue.floats, (const int32_t *)(void *)s->sums, stride, count, o, width, (uint8_t *)y, outputs, &s->seen);
    } else {
        w->kernels->epilogue(&w->epilogue, s->sums, w->panel->sum_bytes, stride, count, tile->sums + first, o, width, y, outputs, stats,
                             stats + 1);
    }
}

static void panels_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    Tile *tile = &s->tile;
    const int64_t at_once = windows_at_once(w);
    for (int64_t group = 0; group < w->g->groups; group++) {
        tile_load(&w->tiling, w->x, group, number, w->epilogue.window_factors != NULL, tile);
        for (int64_t output = 0; output < w->outputs; output += w->width) {
            const char *panel = (const char *)w->packed + group * w->group_bytes + output * tiling_steps(&w->tiling) * w->panel->step_bytes;
            for (int64_t first = 0; first < tile->count; first += at_once) {
                panel_windows(w, panel, first, smaller(at_once, tile->count - first), group * w->outputs + output,
                              smaller(w->outputs - output, w->width), s, stats);
            }
        }
        run_ordered(w, group, tile, s->x, stats);
    }
}

/* Packs the weights, whose operands lie in `prepared`. */
static int pack(Window *w, char *prepared, int32_t *row) {
    const int64_t element = bytes_of(w->operand), steps = tiling_steps(&w->tiling);
    pack_operands(w, prepared, row);
    const int wide = w->panel->sum_bytes == 8;
    w->chunk = wide ? smaller(steps, chunk_of(w, (const int16_t *)(const void *)prepared)) : steps;
    if (wide) { /* each piece started at -1 */
        const int64_t pieces = count_pieces(&w->tiling, w->chunk);
        for (int64_t o = 0; o < w->g->outputs; o++) w->constants[o] += w->epilogue.factor * pieces;
    }
    for (int64_t group = 0; group < w->g->groups; group++) {
        pack_panels(w->panel, prepared + group * w->outputs * w->padded_taps * element, w->outputs, w->padded_taps, (int)element,
                    w->rest, (char *)w->packed + group * w->group_bytes);
    }
    return prepare_floats(w);
}

int prepare_panels(Window *w, int threads) {
    const int64_t element = bytes_of(w->operand);
    w->coded = w->panel == &w->fast->bytes && w->fast->coded_bytes && takes_floats(w);
    w->width = (int64_t)w->panel->vectors * w->panel->lanes;
    w->has_signs = w->x_type == S8 && codes_in_panel(w, w->outputs % w->width) && are_pixels(w->g, S8, w->panel->step_bytes);
    if (tiling_begin(&w->tiling, w->g, w->kernels, w->x_type, w->has_signs ? S8 : w->operand, w->has_signs ? 0 : w->x_offset,
                     w->zeros.outside, w->panel->step_bytes, w->any_run, block_rows(w), threads)) {
        return -1;
    }
    w->padded_taps = w->tiling.direct ? tiling_steps(&w->tiling) * w->panel->step_bytes / element : w->taps;
    w->group_bytes = packed_bytes(w->panel, w->outputs, w->padded_taps, (int)element);
    char *prepared = allocate(times(w->g->outputs, w->padded_taps), element);
    int32_t *row = allocate(w->taps, sizeof(*row));
    w->packed = allocate(w->g->groups, w->group_bytes);
    const int status = prepared && row && w->packed ? pack(w, prepared, row) : -1;
    free(prepared);
    free(row);
    w->lay_out = lay_panels;
    w->run_tile = panels_tile;
    return status;
}
