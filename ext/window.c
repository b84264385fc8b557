/* Window layers on codes, exact to the bit for any number of threads and any instruction set.

   Raw sums of operands become results by  factor * sum + window_factor * (sum of the window's operands) + constant[output]:
     l1, x of 8 bits:  operands x - offset and clip(w) - offset as uint8;  result = -sum |.| + constant
     l1, x of 16 bits: the same as int16, sums of the larger one;          result = -2 sum max + sum x + sum w + constant
     mac:              x = x' + a and w = w' + b with x', w' signed;        result = sum x'w' + b sum x' + a sum w
   Weights of l1 are clipped to what x can be: |x - w| = |x - clip(w)| + |w - clip(w)|, and the last term is a constant. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

static int32_t code_at(Type type, const void *codes, int64_t i) {
    switch (type) {
        case S8: return ((const int8_t *)codes)[i];
        case U8: return ((const uint8_t *)codes)[i];
        case S16: return ((const int16_t *)codes)[i];
        default: return ((const uint16_t *)codes)[i];
    }
}

int window_bounds(const Kernels *kernels, Lane lane, Type type, const void *weights, int64_t outputs, int64_t taps, int64_t x_low,
                  int64_t x_high, int64_t *low, int64_t *high) {
    int32_t *row = allocate(taps, sizeof(*row));
    if (!row) return -1;
    for (int64_t o = 0; o < outputs; o++) {
        kernels->widen(type, (const char *)weights + o * taps * bytes_of(type), taps, row);
        kernels->bounds(lane, row, taps, (int32_t)x_low, (int32_t)x_high, low + o, high + o);
    }
    free(row);
    return 0;
}

typedef struct {
    const Kernels *kernels;
    const Geometry *g;
    Lane lane;
    Type x_type, weights_type, operand;
    const void *x, *weights;
    int64_t x_low, x_high;            /* codes that x can hold, zero included */
    int64_t x_offset, weights_offset; /* operand = code - offset */
    const Panel *panel;
    Finish finish;
    Tiling tiling;
    int64_t taps, padded_taps;                   /* padded: with those that fill the last step of each run */
    int64_t outputs, width, chunk, group_bytes;  /* outputs of a group; chunk: steps between widenings */
    char *packed;
    int64_t *constants;
    int32_t *ordered_weights; /* (group, blocks of ordered outputs, taps, ORDERED) */
    int64_t *ordered_outputs; /* their numbers, -1 where a block is not full */
    int64_t *ordered_blocks;  /* first block of each group, and the end */
    int ordered_narrow;
    void *y;
} Window;

/* The arithmetic: which panel, and which offsets bring the codes into its operands. */
static void choose(Window *w, int64_t weights_high) {
    const Kernels *kernels = w->kernels;
    const int narrow = w->finish.narrow, x_bytes = w->x_type <= U8, bytes = x_bytes && w->weights_type <= U8;
    if (w->lane == L1) {
        w->panel = x_bytes ? &kernels->l1_u8 : narrow ? &kernels->l1_s16 : &kernels->l1_s16_wide;
        w->operand = x_bytes ? U8 : S16;
        w->x_offset = w->x_type == S8 ? -128 : w->x_type == U16 ? 32768 : 0;
        w->weights_offset = w->x_offset;
        w->finish.factor = x_bytes ? -1 : -2;
        w->finish.window_factor = x_bytes ? 0 : 1;
        w->finish.folds = w->finish.affine && x_bytes;
        return;
    }
    w->finish.factor = 1;
    if (bytes && narrow && kernels->mac_u8s8.run) {
        w->panel = &kernels->mac_u8s8;
        w->operand = U8;
        w->x_offset = w->x_type == S8 ? -128 : 0;
        w->weights_offset = weights_high > 127 ? 128 : 0;
    } else {
        w->panel = narrow ? &kernels->mac_s16 : &kernels->mac_s16_wide;
        w->operand = S16;
        w->x_offset = w->x_high > 32767 ? 32768 : 0;
        w->weights_offset = weights_high > 32767 ? 32768 : 0;
    }
    w->finish.window_factor = w->weights_offset;
    w->finish.folds = w->finish.affine && !w->x_offset && !w->weights_offset;
}

/* Weights as operands of the panel, run by run, with the constant of each output. */
static void prepare(Window *w, char *prepared, int32_t *row) {
    const Tiling *t = &w->tiling;
    const int64_t taps = w->taps, element = bytes_of(w->operand), run = t->direct ? t->run_steps * t->step_bytes / element : taps;
    const int32_t x_least = w->lane == MAC ? -65536 : w->x_type == S8 ? -128 : w->x_type == S16 ? -32768 : 0;
    const int32_t x_most = w->lane == MAC ? 65536 : x_least + (w->x_type <= U8 ? 255 : 65535);
    if (w->padded_taps > taps) { /* whatever x holds there: its product with 0 is 0, its maximum with 32767 is 32767 */
        memset(prepared, 0, (size_t)(w->g->outputs * w->padded_taps * element));
        for (int64_t i = 0; w->lane == L1 && i < w->g->outputs * w->padded_taps; i++) ((int16_t *)(void *)prepared)[i] = INT16_MAX;
    }
    for (int64_t o = 0; o < w->g->outputs; o++) {
        char *to = prepared + o * w->padded_taps * element;
        w->kernels->widen(w->weights_type, (const char *)w->weights + o * taps * bytes_of(w->weights_type), taps, row);
        int64_t sum = 0, cut = 0;
        for (int64_t first = 0; first < taps; first += t->run_taps, to += run * element) {
            int64_t run_sum, run_cut;
            w->kernels->prepare(row + first, t->run_taps, x_least, x_most, (int32_t)w->weights_offset, w->operand, to, &run_sum,
                                &run_cut);
            sum += run_sum;
            cut += run_cut;
        }
        if (w->lane == MAC) {
            w->constants[o] = w->x_offset * (sum + taps * w->weights_offset);
        } else {
            w->constants[o] = (w->operand == S16 ? sum : 0) - cut - w->finish.factor * INT16_MAX * (w->padded_taps - taps);
        }
    }
}

/* Most steps whose sum cannot leave 32 bits; one step never does (see panel l1_s16_wide). */
static int64_t chunk_of(const Window *w, const int16_t *prepared) {
    const Tiling *t = &w->tiling;
    const int64_t largest = larger(larger(w->x_high - w->x_offset, w->x_offset - w->x_low), 1), per_step = t->step_bytes / 2;
    if (w->lane == L1) return INT32_MAX / (32768 * per_step);
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

/* Outputs whose order of taps matters, in blocks, with their weights as they are. Returns 0 or -1. */
static int prepare_ordered(Window *w) {
    const int64_t groups = w->g->groups, most = w->g->outputs / ORDERED + groups;
    w->ordered_blocks = allocate(groups + 1, sizeof(*w->ordered_blocks));
    w->ordered_outputs = allocate(most, ORDERED * sizeof(*w->ordered_outputs));
    if (!w->ordered_blocks || !w->ordered_outputs) return -1;
    int64_t blocks = 0;
    for (int64_t group = 0; group < groups; group++) {
        w->ordered_blocks[group] = blocks;
        int64_t found = 0;
        for (int64_t o = group * w->outputs; o < (group + 1) * w->outputs; o++) {
            if (w->finish.ordered[o]) w->ordered_outputs[blocks * ORDERED + found++] = o;
        }
        while (found % ORDERED) w->ordered_outputs[blocks * ORDERED + found++] = -1;
        blocks += found / ORDERED;
    }
    w->ordered_blocks[groups] = blocks;
    w->ordered_weights = allocate(times(blocks, w->taps), ORDERED * sizeof(*w->ordered_weights));
    if (!w->ordered_weights) return -1;
    for (int64_t i = 0; i < blocks * ORDERED; i++) {
        const int64_t o = w->ordered_outputs[i];
        for (int64_t k = 0; k < w->taps; k++) {
            int32_t *to = w->ordered_weights + (i / ORDERED * w->taps + k) * ORDERED + i % ORDERED;
            *to = o < 0 ? 0 : code_at(w->weights_type, w->weights, o * w->taps + k);
        }
    }
    return 0;
}

static inline void store_result(const Window *w, int64_t at, int64_t value) {
    if (w->finish.y_bytes == 8) {
        ((int64_t *)w->y)[at] = value;
    } else {
        ((int32_t *)w->y)[at] = (int32_t)value;
    }
}

static inline char *result_at(const Window *w, int64_t at) { return (char *)w->y + at * w->finish.y_bytes; }

/* One window's saturating registers, in the order of the taps; they replace what finish() stored. */
static void run_ordered(const Window *w, int64_t group, int64_t pixel, const int32_t *x, Seen *seen) {
    for (int64_t block = w->ordered_blocks[group]; block < w->ordered_blocks[group + 1]; block++) {
        int64_t registers[ORDERED], clipped[ORDERED];
        w->kernels->ordered(x, w->ordered_weights + block * w->taps * ORDERED, w->taps, w->finish.low, w->finish.high,
                            w->ordered_narrow, registers, clipped);
        for (int64_t i = 0; i < ORDERED; i++) {
            const int64_t o = w->ordered_outputs[block * ORDERED + i];
            if (o >= 0) {
                store_result(w, pixel * w->g->outputs + o, registers[i]);
                seen->overflowed += clipped[i];
            }
        }
    }
}

/* Scratch of one thread. */
typedef struct {
    Tile tile;
    char *sums;
    int32_t *x;
} Scratch;

static void lay_out(const Window *w, Layout *layout, Scratch *s) {
    tile_lay_out(&w->tiling, layout, &s->tile);
    s->sums = lay_part(layout, times(w->tiling.windows, w->width), w->panel->sum_bytes);
    s->x = lay_part(layout, w->ordered_weights ? w->taps : 0, sizeof(*s->x));
}

/* The codes of a window, tap by tap. */
static void window_values(const Window *w, const char *window, int32_t *x) {
    const Tiling *t = &w->tiling;
    for (int64_t run = 0; run < t->runs; run++, x += t->run_taps) {
        w->kernels->widen(w->operand, window + t->offsets[run], t->run_taps, x);
        for (int64_t k = 0; k < t->run_taps; k++) x[k] += (int32_t)w->x_offset;
    }
}

static void window_tile(const Window *w, int64_t number, Scratch *s, Seen *seen) {
    Tile *tile = &s->tile;
    for (int64_t group = 0; group < w->g->groups; group++) {
        tile_load(&w->tiling, w->x, group, number, w->finish.window_factor != 0, tile);
        for (int64_t output = 0; output < w->outputs; output += w->width) {
            const int64_t width = smaller(w->outputs - output, w->width), columns = round_up(width, w->panel->lanes);
            const int64_t o = group * w->outputs + output;
            const char *panel = w->packed + group * w->group_bytes + output * tiling_steps(&w->tiling) * w->panel->step_bytes;
            run_panel(w->panel, &w->tiling, tile, panel, columns, w->chunk, s->sums, w->width);
            w->kernels->finish(&w->finish, s->sums, w->panel->sum_bytes, w->width, tile->count, tile->sums, o, width,
                               result_at(w, tile->first * w->g->outputs + o), w->g->outputs, seen, seen + 1);
        }
        if (w->ordered_weights && w->ordered_blocks[group] < w->ordered_blocks[group + 1]) {
            for (int64_t i = 0; i < tile->count; i++) {
                window_values(w, tile->windows[i], s->x);
                run_ordered(w, group, tile->first + i, s->x, seen);
            }
        }
    }
}

static int run_windows(Window *w, int64_t weights_high, int threads, Seen *seen) {
    choose(w, weights_high);
    const Geometry *g = w->g;
    const int64_t element = bytes_of(w->operand);
    if (tiling_begin(&w->tiling, g, w->kernels, w->x_type, w->operand, w->x_offset, w->panel->step_bytes, w->operand == S16 || w->lane == MAC,
                     w->panel->rows, threads)) {
        return -1;
    }
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
    const int ready = prepared && memory && row && w->packed;
    if (ready) {
        prepare(w, prepared, row);
        const int wide = w->panel->sum_bytes == 8;
        w->chunk = wide ? smaller(tiling_steps(&w->tiling), chunk_of(w, (const int16_t *)prepared)) : tiling_steps(&w->tiling);
        if (wide) { /* each piece started at -1 */
            const int64_t pieces = count_pieces(&w->tiling, w->chunk);
            for (int64_t o = 0; o < g->outputs; o++) w->constants[o] += w->finish.factor * pieces;
        }
        /* Beyond its taps a gathered window holds converted zeros: bytes of l1 meet the same byte, -32768 in a maximum meets 0. */
        const int rest = w->lane == L1 && w->operand == U8 ? (int)-w->x_offset : 0;
        for (int64_t group = 0; group < g->groups; group++) {
            pack_panels(w->panel, prepared + group * w->outputs * w->padded_taps * element, w->outputs, w->padded_taps,
                        (int)element, rest, w->packed + group * w->group_bytes);
        }
#pragma omp parallel num_threads(threads) private(scratch)
        {
            Seen own[2] = {nothing_seen(), nothing_seen()};
            lay_out(w, &(Layout){memory + thread_number() * size.bytes, 0}, &scratch);
#pragma omp for schedule(dynamic)
            for (int64_t number = 0; number < w->tiling.tiles; number++) window_tile(w, number, &scratch, own);
#pragma omp critical(addersim_seen)
            {
                see(seen, own);
                see(seen + 1, own + 1);
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

static int fits_bytes(const Window *w) {
    return w->lane == L1 && w->x_type <= U8 && w->weights_type <= U8 && w->taps <= BYTE_TAPS;
}

/* One tile of a depthwise layer, MAX_WIDTH channels at a time. */
static void depthwise_tile(const Window *w, const Tile *tile, const int64_t *offsets, const void *weights, char *sums, Seen *seen) {
    const int64_t channels = w->g->channels, taps = w->taps, sum_bytes = w->finish.narrow ? 4 : 8;
    const int bytes = fits_bytes(w);
    for (int64_t channel = 0; channel < channels; channel += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, channels - channel), skip = channel * bytes_of(w->x_type);
        for (int64_t i = 0; i < tile->count; i++) {
            char *to = sums + i * MAX_WIDTH * sum_bytes;
            if (bytes) {
                w->kernels->depthwise_bytes(w->x_type, tile->windows[i] + skip, offsets, taps, width,
                                            (const int16_t *)weights + channel, channels, (int32_t *)(void *)to);
            } else {
                w->kernels->depthwise_codes(w->lane, w->x_type, !w->finish.narrow, tile->windows[i] + skip, offsets, taps, width,
                                            (const int32_t *)weights + channel, channels, to);
            }
        }
        w->kernels->finish(&w->finish, sums, (int)sum_bytes, MAX_WIDTH, tile->count, NULL, channel, width,
                           result_at(w, tile->first * channels + channel), channels, seen, seen + 1);
    }
}

/* Registers that saturate tap by tap replace what finish() stored. */
static void depthwise_ordered_tile(const Window *w, const Tile *tile, const int64_t *offsets, const int32_t *weights, Seen *seen) {
    const int64_t channels = w->g->channels;
    int64_t registers[MAX_WIDTH], clipped[MAX_WIDTH];
    for (int64_t channel = 0; channel < channels; channel += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, channels - channel), skip = channel * bytes_of(w->x_type);
        for (int64_t i = 0; i < tile->count; i++) {
            w->kernels->depthwise_ordered(w->x_type, tile->windows[i] + skip, offsets, w->taps, width, weights + channel, channels,
                                          w->finish.low, w->finish.high, registers, clipped);
            for (int64_t j = 0; j < width; j++) {
                if (!w->finish.ordered[channel + j]) continue;
                store_result(w, (tile->first + i) * channels + channel + j, registers[j]);
                seen->overflowed += clipped[j];
            }
        }
    }
}

static int run_depthwise(Window *w, int threads, Seen *seen) {
    const int64_t taps = w->taps, channels = w->g->channels;
    Geometry all_channels;
    int64_t *offsets = allocate(taps, sizeof(*offsets));
    int32_t *weights = allocate(plus(times(taps, channels), MAX_WIDTH), sizeof(*weights));
    if (!offsets || !weights || depthwise_begin(&w->tiling, &all_channels, w->g, w->kernels, w->x_type, threads, offsets)) {
        free(offsets);
        free(weights);
        return -1;
    }
    threads = w->tiling.threads;
    Tile tile;
    Layout size = {0};
    tile_lay_out(&w->tiling, &size, &tile);
    lay_part(&size, w->tiling.windows, MAX_WIDTH * sizeof(int64_t));
    char *memory = allocate(threads, size.bytes);
    w->finish.factor = w->lane == L1 ? -1 : 1;
    w->finish.window_factor = 0;
    w->finish.folds = w->finish.affine != NULL;
    if (memory) {
        for (int64_t o = 0; o < channels; o++) {
            w->constants[o] = 0;
            for (int64_t k = 0; k < taps; k++) {
                const int32_t weight = code_at(w->weights_type, w->weights, o * taps + k);
                if (fits_bytes(w)) {
                    ((int16_t *)weights)[k * channels + o] = (int16_t)weight;
                } else {
                    weights[k * channels + o] = weight;
                }
            }
        }
#pragma omp parallel num_threads(threads) private(tile)
        {
            Seen own[2] = {nothing_seen(), nothing_seen()};
            Layout own_scratch = {memory + thread_number() * size.bytes, 0};
            tile_lay_out(&w->tiling, &own_scratch, &tile);
            char *sums = lay_part(&own_scratch, w->tiling.windows, MAX_WIDTH * sizeof(int64_t));
#pragma omp for schedule(dynamic)
            for (int64_t number = 0; number < w->tiling.tiles; number++) {
                tile_load(&w->tiling, w->x, 0, number, 0, &tile);
                depthwise_tile(w, &tile, offsets, weights, sums, own);
                if (w->finish.ordered) depthwise_ordered_tile(w, &tile, offsets, weights, own);
            }
#pragma omp critical(addersim_seen)
            {
                see(seen, own);
                see(seen + 1, own + 1);
            }
        }
    }
    free(memory);
    free(offsets);
    free(weights);
    tiling_end(&w->tiling);
    return memory ? 0 : -1;
}

int window_codes(const Kernels *kernels, Lane lane, const Geometry *g, Type x_type, const void *x, int64_t x_low, int64_t x_high,
                 Type weights_type, const void *weights, const Finish *finish, void *y, int threads, Seen *seen, Seen *codes_seen) {
    threads = use_threads(threads, work_of(g) / 64);
    Window w = {.kernels = kernels, .g = g, .lane = lane, .x_type = x_type, .weights_type = weights_type, .x = x, .weights = weights,
                .x_low = x_low, .x_high = x_high, .finish = *finish, .taps = taps_of(g), .outputs = g->outputs / g->groups, .y = y};
    int64_t low, high;
    kernels->extremes(weights_type, weights, g->outputs * w.taps, &low, &high);
    const int64_t product = larger(-x_low, x_high) * larger(-low, high);
    w.ordered_narrow = finish->low >= INT32_MIN && finish->high <= INT32_MAX && finish->high + 1 + product < INT32_MAX;
    w.constants = allocate(g->outputs, sizeof(*w.constants));
    w.finish.constants = w.constants;
    Seen both[2] = {nothing_seen(), nothing_seen()};
    int status = w.constants && (!finish->ordered || is_depthwise(g) || prepare_ordered(&w) == 0) ? 0 : -1;
    if (status == 0) status = is_depthwise(g) ? run_depthwise(&w, threads, both) : run_windows(&w, high, threads, both);
    *seen = both[0];
    *codes_seen = both[1];
    free(w.constants);
    free(w.ordered_blocks);
    free(w.ordered_outputs);
    free(w.ordered_weights);
    return status;
}
