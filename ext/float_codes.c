/* Which layers' sums become codes by products of floats, and what those take. */
#include "window.h"

#include <math.h>

/* A value, a scale and an addend each err by one part in 2**24, and so does the product's rounding: together by no more than 3 / 2**24 of
   product and addend. Codes and what lies beside them stay below 300; what is larger saturates all the same. */
static float float_limit(float largest_addend) { return 0.5f - ldexpf(300 + largest_addend, -22); }

/* Where too many values lie too near to halves, exact ones are faster. */
#define LEAST_LIMIT (0.5f - 1.0f / 1024)

static int rescales_by_floats(const Rescale *r) {
    return r->direct && (r->formula == FLOAT_FACTOR || r->formula == SINGLE_ROUNDING || r->formula == DOUBLING);
}

/* Of an affine: what floats start from, so that they err by too much where it is large. */
static float float_addend(const Affine *a, int64_t o) { return (float)(a->addend[o] - (a->nearest ? 0 : 0.5)); }

static float limit_of(const Epilogue *f) {
    float largest = 0.25f; /* of a rescaling */
    for (int64_t o = 0; f->affine && o < f->outputs; o++) largest = fmaxf(largest, fabsf(float_addend(f->affine, o)));
    return float_limit(largest);
}

int takes_floats(const Window *w) {
    const Epilogue *f = &w->epilogue;
    const Codes *codes = f->affine ? &f->affine->codes : f->rescale ? &f->rescale->codes : NULL;
    return w->kernels->float_codes && codes && bytes_of(codes->type) == 1 && codes->overflow == SATURATE && f->overflow == EXACT &&
           f->narrow && !f->ordered && !f->window_factors && (f->factor == 1 || f->factor == -1) &&
           limit_of(f) >= LEAST_LIMIT && (f->affine || rescales_by_floats(f->rescale));
}

/* Constants of one output after the other, and again from the first on, as far as a vector may reach from the last; or in the order of
   depthwise_quads(). */
static int64_t laid_outputs(const Window *w) {
    return w->turned ? round_up(w->g->outputs, QUAD_BYTES) : w->g->outputs + MAX_LANES;
}
static int64_t output_at(const Window *w, int64_t place) { return (w->turned ? turned_channel(place) : place) % w->g->outputs; }

/* Writable, for FloatCodes to point to. */
typedef struct {
    int32_t *constant, *bias, *multiplier, *shift;
    float *scale, *addend, *factor;
    double *multipliers, *addends; /* of an affine */
} Constants;

static Constants lay_constants(Layout *layout, int64_t count) {
    Constants c;
    c.constant = lay_part(layout, count, sizeof(*c.constant));
    c.bias = lay_part(layout, count, sizeof(*c.bias));
    c.multiplier = lay_part(layout, count, sizeof(*c.multiplier));
    c.shift = lay_part(layout, count, sizeof(*c.shift));
    c.scale = lay_part(layout, count, sizeof(*c.scale));
    c.addend = lay_part(layout, count, sizeof(*c.addend));
    c.factor = lay_part(layout, count, sizeof(*c.factor));
    c.multipliers = lay_part(layout, count, sizeof(*c.multipliers));
    c.addends = lay_part(layout, count, sizeof(*c.addends));
    return c;
}

static void set_affine(const Affine *a, int64_t from, int64_t to, const Constants *c) {
    c->multipliers[to] = a->multiplier[from], c->addends[to] = a->addend[from];
    c->scale[to] = (float)a->multiplier[from], c->addend[to] = float_addend(a, from);
    c->bias[to] = 0;
}

static void set_rescale(const Rescale *r, int64_t from, int64_t to, const Constants *c) {
    c->bias[to] = r->bias[from], c->multiplier[to] = r->multiplier[from], c->shift[to] = r->shift[from], c->factor[to] = r->factor[from];
    const int places = r->formula == DOUBLING ? 31 - r->shift[from] : r->shift[from];
    c->scale[to] = r->formula == FLOAT_FACTOR ? r->factor[from] : (float)ldexp(r->multiplier[from], -places);
    c->addend[to] = r->formula == DOUBLING && r->shift[from] < 0 ? ldexpf(1, r->shift[from] - 1) : 0; /* of a second rounding */
}

int prepare_floats(Window *w) {
    if (!takes_floats(w)) return 0;
    const int64_t count = laid_outputs(w);
    Layout size = {0};
    lay_constants(&size, count);
    w->float_memory = allocate(1, size.bytes);
    if (!w->float_memory) return -1;
    const Constants c = lay_constants(&(Layout){w->float_memory, 0}, count);
    const Affine *affine = w->epilogue.affine;
    for (int64_t to = 0; to < count; to++) {
        const int64_t from = output_at(w, to);
        if (affine) {
            set_affine(affine, from, to, &c);
        } else {
            set_rescale(w->epilogue.rescale, from, to, &c);
        }
        c.constant[to] = (int32_t)(w->constants[from] + c.bias[to]);
    }
    FloatCodes *f = &w->floats;
    *f = (FloatCodes){.constant = c.constant, .scale = c.scale, .addend = c.addend, .negative = w->epilogue.factor < 0};
    f->limit = limit_of(&w->epilogue);
    if (affine) {
        w->float_affine = (Affine){c.multipliers, c.addends, affine->nearest, affine->codes};
        f->affine = &w->float_affine;
        f->bytes = byte_codes(&affine->codes, 0);
    } else {
        f->rescale = *w->epilogue.rescale;
        f->rescale.bias = c.bias, f->rescale.multiplier = c.multiplier, f->rescale.shift = c.shift, f->rescale.factor = c.factor;
        f->bytes = byte_codes(&f->rescale.codes, f->rescale.zero_point);
    }
    w->epilogue.floats = f;
    return 0;
}

void lay_seen(const Window *w, Layout *layout, Seen *seen) {
    const int64_t count = w->epilogue.floats ? laid_outputs(w) : 0;
    seen->low = lay_part(layout, count, sizeof(*seen->low));
    seen->high = lay_part(layout, count, sizeof(*seen->high));
    seen->over = 0;
    for (int64_t o = 0; layout->base && o < count; o++) seen->low[o] = INT32_MAX, seen->high[o] = INT32_MIN;
}

void merge_seen(const Window *w, const Seen *seen, Stats *stats) {
    if (w->epilogue.floats) w->kernels->float_stats(w->epilogue.floats, seen, laid_outputs(w), stats, stats + 1);
}
