#include "chain.h"

static int64_t values_bytes(const Chain *c) { return round_up(plus(times(c->together, c->image_bytes), SLACK_BYTES), 64); }

int64_t chain_bytes(const Chain *c) {
    int64_t most = 0;
    for (int64_t i = 0; i < c->step_count; i++) {
        if (c->steps[i].kind == CHAIN_WINDOW) most = larger(most, window_scratch(c->steps[i].window));
    }
    return plus(values_bytes(c), most);
}

/* Where the codes of some images lie. */
static char *codes_of_value(const Chain *c, const ChainValue *v, int64_t first, char *memory) {
    if (v->place == OUTSIDE) return (char *)v->array + first * v->words * bytes_of(v->type);
    return memory + v->place * c->together;
}

static int run_step(const Chain *c, const ChainStep *s, const ChainValue *values, int64_t first, int64_t images, char *memory,
                    Stats *stats) {
    const ChainValue *a = values + s->inputs[0], *b = values + s->inputs[1], *to = values + s->output;
    const char *x = codes_of_value(c, a, first, memory), *other = codes_of_value(c, b, first, memory);
    char *y = codes_of_value(c, to, first, memory);
    Stats seen = no_stats();
    switch (s->kind) {
        case CHAIN_WINDOW: return window_run(s->window, images, x, y, 1, memory + values_bytes(c), stats);
        case CHAIN_ADD: add_codes(c->kernels, a->type, x, b->type, other, images * to->words, &s->codes, y, 1, &seen); break;
        case CHAIN_RESCALED_ADD:
            add_rescaled_codes(c->kernels, a->type, x, b->type, other, images * to->words, &s->add, y, 1, &seen);
            break;
    }
    merge_stats(stats, &seen);
    return 0;
}

static void count_zeros(const Chain *c, const ChainValue *v, const char *codes, int64_t images, ZeroRuns *zeros) {
    for (int64_t image = 0; image < images; image++) {
        c->kernels->zero_runs(v->type, codes + image * v->words * bytes_of(v->type), v->words, v->zero, zeros);
    }
}

int chain_run(const Chain *c, const ChainValue *values, int64_t images, char *memory, Stats *stats, ZeroRuns *zeros) {
    for (int64_t first = 0; first < images; first += c->together) {
        const int64_t here = smaller(c->together, images - first);
        for (int64_t i = 0; i < c->step_count; i++) {
            const ChainStep *s = c->steps + i;
            if (run_step(c, s, values, first, here, memory, stats + 2 * i)) return -1;
            const ChainValue *given = values + s->output;
            if (given->counted) count_zeros(c, given, codes_of_value(c, given, first, memory), here, zeros + s->output);
        }
    }
    return 0;
}
