/* Window layers in plain loops: arithmetics without panels, depthwise layers, and registers that saturate at every tap. */
#include "window.h"

#include <stdlib.h>

int32_t code_at(Type type, const void *codes, int64_t i) {
    switch (type) {
        case S8: return ((const int8_t *)codes)[i];
        case U8: return ((const uint8_t *)codes)[i];
        case S16: return ((const int16_t *)codes)[i];
        default: return ((const uint16_t *)codes)[i];
    }
}

void window_values(const Window *w, const char *window, int32_t *x) {
    const Tiling *t = &w->tiling;
    for (int64_t run = 0; run < t->runs; run++, x += t->run_taps) {
        w->kernels->widen(w->operand, window + t->offsets[run], t->run_taps, x);
        for (int64_t k = 0; k < t->run_taps; k++) x[k] += (int32_t)(w->x_offset - w->zeros.x);
    }
}

int32_t weight_at(const Window *w, int64_t output, int64_t tap) {
    return code_at(w->weights_type, w->weights, output * w->taps + tap) - (w->zeros.weights ? w->zeros.weights[output] : 0);
}

/* Weights of a block of outputs, (taps, BLOCK); zeros for the numbers below zero. */
static void pack_block(const Window *w, const int64_t *outputs, int32_t *to) {
    for (int64_t i = 0; i < BLOCK; i++) {
        for (int64_t k = 0; k < w->taps; k++) {
            to[k * BLOCK + i] = outputs[i] < 0 ? 0 : weight_at(w, outputs[i], k);
        }
    }
}

int prepare_ordered(Window *w) {
    const int64_t groups = w->g->groups, most = w->g->outputs / BLOCK + groups;
    w->ordered_blocks = allocate(groups + 1, sizeof(*w->ordered_blocks));
    w->ordered_outputs = allocate(most, BLOCK * sizeof(*w->ordered_outputs));
    if (!w->ordered_blocks || !w->ordered_outputs) return -1;
    int64_t blocks = 0;
    for (int64_t group = 0; group < groups; group++) {
        w->ordered_blocks[group] = blocks;
        int64_t found = 0;
        for (int64_t o = group * w->outputs; o < (group + 1) * w->outputs; o++) {
            if (w->epilogue.ordered[o]) w->ordered_outputs[blocks * BLOCK + found++] = o;
        }
        while (found % BLOCK) w->ordered_outputs[blocks * BLOCK + found++] = -1;
        blocks += found / BLOCK;
    }
    w->ordered_blocks[groups] = blocks;
    w->ordered_weights = allocate(times(blocks, w->taps), BLOCK * sizeof(*w->ordered_weights));
    if (!w->ordered_weights) return -1;
    for (int64_t block = 0; block < blocks; block++) {
        pack_block(w, w->ordered_outputs + block * BLOCK, w->ordered_weights + block * w->taps * BLOCK);
    }
    return 0;
}

void free_ordered(Window *w) {
    free(w->ordered_blocks);
    free(w->ordered_outputs);
    free(w->ordered_weights);
}

void finish_tile(const Window *w, const Tile *tile, Stats *codes_stats) {
    if (!results_wait(w)) return;
    const int64_t outputs = w->g->outputs, first = tile->first * outputs * bytes_of(w->rescale.codes.type);
    rescale_run(w->kernels, tile->results, tile->count * outputs, outputs, &w->rescale, (char *)w->y + first, codes_stats);
}

static void store_result(const Window *w, int64_t at, int64_t value) {
    if (w->epilogue.y_bytes == 8) {
        ((int64_t *)w->y)[at] = value;
    } else {
        ((int32_t *)w->y)[at] = (int32_t)value;
    }
}

static void ordered_window(const Window *w, int64_t group, int64_t pixel, const int32_t *x, Stats *stats) {
    const int narrow = w->ordered_narrow && w->fast->ordered_narrow;
    for (int64_t block = w->ordered_blocks[group]; block < w->ordered_blocks[group + 1]; block++) {
        int64_t registers[BLOCK], clipped[BLOCK];
        const int32_t *weights = w->ordered_weights + block * w->taps * BLOCK;
        if (narrow) {
            w->fast->ordered_narrow(x, weights, w->taps, w->epilogue.low, w->epilogue.high, registers, clipped);
        } else {
            w->loops->ordered(w->products, x, weights, w->taps, w->epilogue.low, w->epilogue.high, registers, clipped);
        }
        for (int64_t i = 0; i < BLOCK; i++) {
            const int64_t o = w->ordered_outputs[block * BLOCK + i];
            if (o >= 0) {
                store_result(w, pixel * w->g->outputs + o, registers[i]);
                stats->overflowed += clipped[i];
            }
        }
    }
}

void run_ordered(const Window *w, int64_t group, const Tile *tile, int32_t *x, Stats *stats) {
    if (!w->ordered_weights || w->ordered_blocks[group] == w->ordered_blocks[group + 1]) return;
    for (int64_t i = 0; i < tile->count; i++) {
        window_values(w, tile->windows[i], x);
        ordered_window(w, group, tile->first + i, x, stats);
    }
}

static void lay_loops(const Window *w, Layout *layout, Scratch *s) {
    s->sums = lay_part(layout, w->tiling.windows, MAX_WIDTH * sizeof(int64_t));
    s->x = lay_part(layout, w->taps, sizeof(*s->x));
    s->codes = lay_part(layout, w->rows ? round_up(w->tiling.windows, TABLE_WINDOWS) : 0, w->taps);
}

/* MAX_WIDTH outputs at a time of a tile's windows. */
static void loops_group(const Window *w, const int32_t *packed, int64_t group, Scratch *s, Stats *stats) {
    const Tile *tile = &s->tile;
    const int narrow = w->epilogue.narrow;
    const int sum_bytes = narrow ? 4 : 8, table = takes_table(w, tile);
    if (table) turn_codes(w, tile, s->codes);
    for (int64_t output = 0; output < w->outputs; output += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, w->outputs - output);
        if (table) table_sums(w, tile, s->codes, group * w->outputs + output, width, (int32_t *)(void *)s->sums);
        for (int64_t i = 0; i < (table ? 0 : tile->count); i++) {
            window_values(w, tile->windows[i], s->x);
            for (int64_t at = 0; at < width; at += BLOCK) {
                const int32_t *weights = packed + (output + at) * w->taps;
                char *sums = s->sums + (i * MAX_WIDTH + at) * sum_bytes;
                if (narrow) {
                    w->loops->narrow(w->products, s->x, weights, w->taps, (int32_t *)(void *)sums);
                } else {
                    w->loops->wide(w->products, s->x, weights, w->taps, (int64_t *)(void *)sums);
                }
            }
        }
        const int64_t o = group * w->outputs + output;
        w->kernels->epilogue(&w->epilogue, s->sums, sum_bytes, MAX_WIDTH, tile->count, NULL, o, width,
                           tile_results(w, tile, o), w->g->outputs, stats, stats + 1);
    }
}

/* Sums come as the arithmetic has them: neither factor nor constants. */
void plain_sums(Window *w) {
    w->epilogue.factor = 1;
    w->epilogue.folds = w->epilogue.affine != NULL;
    for (int64_t o = 0; o < w->g->outputs; o++) w->constants[o] = 0;
}

static void loops_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    const int64_t padded = round_up(w->outputs, BLOCK);
    for (int64_t group = 0; group < w->g->groups; group++) {
        tile_load(&w->tiling, w->x, group, number, 0, &s->tile);
        loops_group(w, (const int32_t *)w->packed + group * padded * w->taps, group, s, stats);
        run_ordered(w, group, &s->tile, s->x, stats);
    }
}

int prepare_loops(Window *w, int threads) {
    const Geometry *g = w->g;
    const int element = bytes_of(w->x_type);
    w->operand = w->x_type;
    if (tiling_begin(&w->tiling, g, w->kernels, w->x_type, w->operand, 0, w->zeros.outside, element, 0, 1, threads)) return -1;
    plain_sums(w);
    const int64_t padded = round_up(w->outputs, BLOCK);
    int32_t *packed = w->packed = allocate(times(times(g->groups, padded), w->taps), sizeof(*packed));
    if (!packed || prepare_table(w)) return -1;
    for (int64_t block = 0; block < g->groups * padded; block += BLOCK) {
        int64_t outputs[BLOCK];
        for (int64_t i = 0; i < BLOCK; i++) {
            const int64_t o = block % padded + i;
            outputs[i] = o < w->outputs ? block / padded * w->outputs + o : -1;
        }
        pack_block(w, outputs, packed + block * w->taps);
    }
    w->lay_out = lay_loops;
    w->run_tile = loops_tile;
    return 0;
}

static int takes_pairs(const Window *w) {
    return w->fast->depthwise_pairs && w->epilogue.narrow && !w->epilogue.ordered && w->x_type != U16 && w->weights_type != U16 &&
           w->taps <= PAIRED_TAPS;
}

/* Shorts of a tap's weights for pairs, and whether a few channels repeat in them, for windows side by side. */
static int64_t paired_stride(const Window *w) { return larger(w->g->channels, w->fast->paired_channels); }
static int repeats(const Window *w) { return takes_pairs(w) && w->fast->paired_channels % w->g->channels == 0; }

static void depthwise_results(const Window *w, const void *sums, int64_t stride, int64_t rows, int64_t channel, int64_t width, char *y,
                              int64_t y_stride, Seen *seen, Stats *stats) {
    if (w->epilogue.floats) {
        w->kernels->float_codes(w->epilogue.floats, sums, stride, rows, channel, width, (uint8_t *)y, y_stride, seen);
    } else {
        w->kernels->epilogue(&w->epilogue, sums, w->epilogue.narrow ? 4 : 8, stride, rows, NULL, channel, width, y, y_stride, stats,
                             stats + 1);
    }
}

/* Results of a tile whose sums lie side by side: vectors of a few channels have those of several windows. */
static void repeated_results(const Window *w, const Tile *tile, const int32_t *sums, Seen *seen, Stats *stats) {
    const int64_t channels = w->g->channels, lanes = w->fast->paired_channels / 2, bytes = w->epilogue.y_bytes;
    const int64_t together = w->epilogue.rescale && !results_wait(w) ? larger(lanes / channels, 1) : 1;
    const int64_t rows = tile->count / together, rest = tile->count % together, row = together * channels;
    char *y = tile_results(w, tile, 0);
    depthwise_results(w, sums, row, rows, 0, row, y, row, seen, stats);
    if (rest) depthwise_results(w, sums + rows * row, channels, rest, 0, channels, y + rows * row * bytes, channels, seen, stats);
}

static void pairs_of_tile(const Window *w, const Tile *tile, int32_t *sums, Seen *seen, Stats *stats) {
    const int64_t *offsets = w->tap_offsets;
    const int16_t *weights = w->packed;
    const int64_t channels = w->g->channels, step = w->fast->paired_channels, repeated = repeats(w);
    const int64_t stride = repeated ? channels : MAX_WIDTH;
    for (int64_t channel = 0; channel < channels; channel += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, channels - channel);
        for (int64_t at = 0; at < width; at += step) {
            w->fast->depthwise_pairs(tile->windows, tile->count, 2 * (channel + at), offsets, w->taps, weights + channel + at,
                                     paired_stride(w), repeated ? channels : step, sums + at, stride);
        }
        if (repeated) {
            repeated_results(w, tile, sums, seen, stats);
        } else {
            depthwise_results(w, sums, stride, tile->count, channel, width, tile_results(w, tile, channel), channels, seen, stats);
        }
    }
}

static int takes_bytes(const Window *w) {
    return w->fast->depthwise_bytes && w->operand <= U8 && w->weights_type <= U8 && w->taps <= BYTE_TAPS;
}

/* One tile of a depthwise layer, MAX_WIDTH channels at a time. */
static void channels_of_tile(const Window *w, const Tile *tile, char *sums, Seen *seen, Stats *stats) {
    const int64_t *offsets = w->tap_offsets;
    const void *weights = w->packed;
    const int64_t channels = w->g->channels, taps = w->taps, sum_bytes = w->epilogue.narrow ? 4 : 8;
    const int bytes = takes_bytes(w);
    for (int64_t channel = 0; channel < channels; channel += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, channels - channel), skip = channel * bytes_of(w->operand);
        for (int64_t i = 0; i < tile->count; i++) {
            const char *window = tile->windows[i] + skip;
            void *to = sums + i * MAX_WIDTH * sum_bytes;
            if (bytes) {
                w->fast->depthwise_bytes(w->operand, window, offsets, taps, width, (const int16_t *)weights + channel, channels, to);
            } else if (w->epilogue.narrow && w->fast->depthwise_narrow) {
                w->fast->depthwise_narrow(w->operand, window, offsets, taps, width, (const int32_t *)weights + channel, channels, to);
            } else {
                const int32_t *of_channels = (const int32_t *)weights + channel;
                if (w->epilogue.narrow) {
                    w->loops->depthwise_narrow(w->products, w->operand, window, offsets, taps, width, of_channels, channels, to);
                } else {
                    w->loops->depthwise_wide(w->products, w->operand, window, offsets, taps, width, of_channels, channels, to);
                }
            }
        }
        depthwise_results(w, sums, MAX_WIDTH, tile->count, channel, width, tile_results(w, tile, channel), channels, seen, stats);
    }
}

/* Registers that saturate tap by tap replace what epilogue() stored. */
static void ordered_channels_of_tile(const Window *w, const Tile *tile, Stats *stats) {
    const int64_t channels = w->g->channels, *offsets = w->tap_offsets;
    const int32_t *weights = w->packed;
    int64_t registers[MAX_WIDTH], clipped[MAX_WIDTH];
    for (int64_t channel = 0; channel < channels; channel += MAX_WIDTH) {
        const int64_t width = smaller(MAX_WIDTH, channels - channel), skip = channel * bytes_of(w->operand);
        for (int64_t i = 0; i < tile->count; i++) {
            w->loops->depthwise_ordered(w->products, w->operand, tile->windows[i] + skip, offsets, w->taps, width, weights + channel,
                                        channels, w->epilogue.low, w->epilogue.high, registers, clipped);
            for (int64_t j = 0; j < width; j++) {
                if (!w->epilogue.ordered[channel + j]) continue;
                store_result(w, (tile->first + i) * channels + channel + j, registers[j]);
                stats->overflowed += clipped[j];
            }
        }
    }
}

/* (channels, taps) -> (taps, channels), as the loops read them. */
static void turn_weights(const Window *w, int32_t *weights) {
    const int64_t channels = w->g->channels, stride = paired_stride(w), count = repeats(w) ? stride : channels;
    for (int64_t i = 0; takes_pairs(w) && i < w->taps * stride; i++) {
        const int64_t o = i % stride, k = i / stride;
        ((int16_t *)weights)[i] = (int16_t)(o < count ? weight_at(w, o % channels, k) : 0);
    }
    if (takes_pairs(w)) return;
    for (int64_t o = 0; o < channels; o++) {
        for (int64_t k = 0; k < w->taps; k++) {
            const int32_t weight = weight_at(w, o, k);
            if (takes_bytes(w)) {
                ((int16_t *)weights)[k * channels + o] = (int16_t)weight;
            } else {
                weights[k * channels + o] = weight;
            }
        }
    }
}

static void depthwise_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    tile_load(&w->tiling, w->x, 0, number, 0, &s->tile);
    if (takes_pairs(w)) {
        pairs_of_tile(w, &s->tile, (int32_t *)(void *)s->sums, &s->seen, stats);
    } else {
        channels_of_tile(w, &s->tile, s->sums, &s->seen, stats);
    }
    if (w->epilogue.ordered) ordered_channels_of_tile(w, &s->tile, stats);
}

static void lay_depthwise(const Window *w, Layout *layout, Scratch *s) {
    s->sums = lay_part(layout, w->tiling.windows, MAX_WIDTH * sizeof(int64_t));
}

int prepare_depthwise(Window *w, int threads) {
    w->tap_offsets = allocate(w->taps, sizeof(*w->tap_offsets));
    w->packed = allocate(plus(times(w->taps, paired_stride(w)), MAX_WIDTH), sizeof(int32_t));
    w->operand = w->zeros.x || takes_pairs(w) ? S16 : w->x_type; /* codes less the one of zero take nine bits */
    if (!w->tap_offsets || !w->packed || depthwise_begin(&w->tiling, &w->all_channels, w->g, w->kernels, w->x_type, w->operand, w->zeros.x,
                                                         w->zeros.outside, threads, w->tap_offsets)) {
        return -1;
    }
    plain_sums(w);
    if (takes_bytes(w)) w->epilogue.factor = -1; /* sums of |x - w| */
    turn_weights(w, w->packed);
    w->lay_out = lay_depthwise;
    w->run_tile = depthwise_tile;
    return prepare_floats(w);
}
