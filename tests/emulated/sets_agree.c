/* Every instruction set of this binary against portable C, on random layers: for processors that only an emulator has at hand,
   and (with FUZZER) on the layers that libFuzzer thinks of. Operands end where their memory ends, so that a sanitizer sees
   every byte too far. Where Python runs, tests/properties compare all sets with their slow twins. */
#include "core.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252ULL;
static uint64_t next_random(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}
#ifdef FUZZER /* choices come from its input, as far as that goes */
static const uint8_t *choices, *choices_end;
static uint64_t next_choice(void) { return choices < choices_end ? *choices++ : 0; }
#else
static uint64_t next_choice(void) { return next_random(); }
#endif
static int64_t draw(int64_t low, int64_t high) { /* both included */
    return low + (int64_t)(next_choice() % (uint64_t)(high - low + 1));
}

static void *exactly(int64_t count, int64_t size) { return malloc((size_t)times(larger(count, 1), size)); }

static int failures;
static void compare(const char *what, const char *set, const void *found, const void *expected, int64_t bytes, const Geometry *g) {
    if (!memcmp(found, expected, (size_t)bytes)) return;
    printf("%s differs in %s: %ldx%ldx%ldx%ld, %ld outputs of %ldx%ld, groups %ld\n", what, set, (long)g->images, (long)g->height,
           (long)g->width, (long)g->channels, (long)g->outputs, (long)g->kernel_height, (long)g->kernel_width, (long)g->groups);
#ifdef FUZZER
    abort();
#endif
    failures++;
}
static void compare_floats(const char *what, const char *set, const float *found, const float *expected, int64_t count,
                           const Geometry *g) {
    for (int64_t i = 0; i < count; i++) {
        if (fabsf(found[i] - expected[i]) > 1e-4f * (1 + fabsf(expected[i]))) {
            compare(what, set, found, expected, count * 4, g);
            return;
        }
    }
}

static void *random_codes(Type type, int64_t count) {
    unsigned char *codes = exactly(count, bytes_of(type));
    for (int64_t i = 0; i < count * bytes_of(type); i++) codes[i] = (unsigned char)next_random();
    return codes;
}
static float *random_floats(int64_t count) {
    float *values = exactly(count, sizeof(*values));
    for (int64_t i = 0; i < count; i++) values[i] = (float)(next_random() % 8001) / 1000 - 4;
    return values;
}

/* Mostly small; now and then as far as a geometry may go. */
static int64_t far(int64_t low, int64_t high) { return draw(0, 15) ? draw(low, high) : (int64_t)1 << draw(0, 20); }

static Geometry random_layer(void) {
    static const int64_t channels[] = {1, 2, 3, 4, 5, 8, 16, 17, 33}, outputs[] = {1, 2, 5, 8, 16, 17, 24, 40, 70};
    for (;;) {
        Geometry g = {.images = draw(1, 3), .height = draw(1, 12), .width = draw(1, 12)};
        g.groups = draw(0, 4) ? 1 : draw(1, 3);
        g.channels = channels[draw(0, 8)] * g.groups;
        g.outputs = outputs[draw(0, 8)] * g.groups;
        if (!draw(0, 6)) {
            if (!draw(0, 2)) g.channels = 32 << draw(0, 2); /* as fill whole vectors of bytes */
            g.groups = g.outputs = g.channels;
        }
        g.kernel_height = draw(1, 3), g.kernel_width = draw(1, 3);
        g.stride_height = far(1, 2), g.stride_width = far(1, 2);
        g.padding_height = far(0, g.kernel_height / 2), g.padding_width = far(0, g.kernel_width / 2);
        g.dilation_height = far(1, 2), g.dilation_width = far(1, 2);
        const int64_t below = draw(0, 2) ? g.padding_height : draw(0, 3), right = draw(0, 2) ? g.padding_width : draw(0, 3);
        const int64_t height = g.height + g.padding_height + below - g.dilation_height * (g.kernel_height - 1) - 1;
        const int64_t width = g.width + g.padding_width + right - g.dilation_width * (g.kernel_width - 1) - 1;
        if (height < 0 || width < 0) continue;
        g.out_height = height / g.stride_height + 1, g.out_width = width / g.stride_width + 1;
        if (pixels_of(&g) <= 2000) return g;
    }
}

static const int64_t LOW[] = {-128, 0, -32768, 0}, HIGH[] = {127, 255, 32767, 65535};

static const ZeroPoints NO_ZERO_POINTS;

/* Zero points of codes of bytes, as an arithmetic takes them: what is compared has those of padded taps alone. */
static ZeroPoints random_zero_points(const Geometry *g, Arithmetic arithmetic, Type type, Type weights_type) {
    ZeroPoints zeros = {.outside = draw(LOW[type], HIGH[type])};
    if (arithmetic != MAC) return zeros;
    zeros.x = zeros.outside;
    int32_t *of_weights = exactly(g->outputs, sizeof(*of_weights));
    for (int64_t o = 0; o < g->outputs; o++) of_weights[o] = (int32_t)draw(LOW[weights_type], HIGH[weights_type]);
    zeros.weights = of_weights;
    return zeros;
}

/* A rescaling to codes of a byte, whose biases are none, for sums fit 32 bits with nothing to spare. In registers sums up to
   2**31 may go where nothing shifts them to the left, and large ones where they become small. */
static Rescale random_rescale(int64_t outputs, int64_t largest) {
    static const Formula formulas[] = {DOUBLING, SINGLE_ROUNDING, FLOAT_FACTOR, QUANT_ROUND, QUANTIZE_LINEAR};
    const Formula formula = formulas[draw(0, 4)];
    const int direct = draw(0, 2) > 0, least = direct && largest >= RESULT_LIMIT / 2 ? 3 : 0, again = draw(0, 1) ? -100 : -128;
    int32_t *bias = exactly(outputs, 4), *multiplier = exactly(outputs, 4), *shift = exactly(outputs, 4);
    float *factor = exactly(outputs, 4);
    for (int64_t o = 0; o < outputs; o++) {
        const int32_t places = (int32_t)draw(least, 20);
        bias[o] = 0, multiplier[o] = (int32_t)draw(1 << 30, INT32_MAX), factor[o] = (float)draw(0, 1000) / 65536;
        shift[o] = formula == DOUBLING ? -places : 31 + places;
    }
    const Codes codes = {S8, SATURATE, 8, 1, -128, 127, again, 127};
    return (Rescale){formula, bias, multiplier, shift, factor, 1, (int32_t)draw(-128, 127), direct, codes};
}

/* The first images and then the others, in scratch that ends where the window says. */
static void run_in_parts(Window *w, const Geometry *g, const char *x, int64_t first, Type type, char *y, int bytes, Stats *stats) {
    const int64_t image = g->height * g->width * g->channels * bytes_of(type), result = g->out_height * g->out_width * g->outputs * bytes;
    char *memory = allocate(1, window_scratch(w));
    int status = first ? window_run(w, first, x, y, 1, memory, stats) : 0;
    if (first < g->images) status |= window_run(w, g->images - first, x + first * image, y + first * result, 1, memory, stats);
    compare("status", "a window", &status, &(int){0}, sizeof(int), g);
    free(memory);
    window_free(w);
}

/* Sums, and codes of them where an affine or a rescaling may follow, in every way of a register; with products those of a multiplier's table. */
static void check_codes(const Kernels *set, const Kernels *portable, const Geometry *g, Arithmetic arithmetic, const int32_t *products,
                        Type type, Type weights_type, const ZeroPoints *zeros) {
    const int64_t taps = taps_of(g), pixels = pixels_of(g), count = pixels * g->outputs;
    void *x = random_codes(type, g->images * g->height * g->width * g->channels), *w = random_codes(weights_type, g->outputs * taps);
    int64_t *low = exactly(g->outputs, 8), *high = exactly(g->outputs, 8), lowest = 0, highest = 0;
    int64_t *set_low = exactly(g->outputs, 8), *set_high = exactly(g->outputs, 8);
    window_bounds(portable, arithmetic, weights_type, w, g->outputs, taps, LOW[type], HIGH[type], low, high);
    window_bounds(set, arithmetic, weights_type, w, g->outputs, taps, LOW[type], HIGH[type], set_low, set_high);
    compare("bounds", set->name, set_low, low, g->outputs * 8, g);
    compare("bounds", set->name, set_high, high, g->outputs * 8, g);
    for (int64_t o = 0; products && o < g->outputs; o++) low[o] = INT16_MIN * taps, high[o] = INT16_MAX * taps;
    for (int64_t o = 0; zeros->weights && o < g->outputs; o++) low[o] = -255 * 255 * taps, high[o] = 255 * 255 * taps;
    uint8_t *ordered = exactly(g->outputs, 1);
    double *multiplier = exactly(g->outputs, 8), *addend = exactly(g->outputs, 8);
    for (int64_t o = 0; o < g->outputs; o++) {
        lowest = smaller(lowest, low[o]), highest = larger(highest, high[o]);
        multiplier[o] = (double)draw(-1000, 1000) / 65536, addend[o] = (double)draw(-1000000, 1000000) / 65536;
    }
    const int narrow = lowest >= INT32_MIN && highest <= INT32_MAX;
    for (Overflow overflow = EXACT; overflow <= SATURATE; overflow++) {
        const int bits = (int)draw(8, 20), y_bytes = overflow == EXACT && !narrow ? 8 : 4;
        Epilogue epilogue = {.overflow = overflow, .bits = bits, .low = -(1LL << (bits - 1)), .high = (1LL << (bits - 1)) - 1};
        epilogue.narrow = narrow, epilogue.y_bytes = y_bytes;
        for (int64_t o = 0; o < g->outputs; o++) ordered[o] = low[o] < epilogue.low || high[o] > epilogue.high;
        if (highest > 0 && overflow == SATURATE) epilogue.ordered = ordered;
        Rescale rescale = random_rescale(g->outputs, larger(-lowest, highest));
        rescale.direct &= overflow == EXACT;
        for (int fused = 0; fused <= 2 * (narrow && !epilogue.ordered); fused++) {
            if (fused == 1 && overflow == WRAP) continue;
            Affine affine = {multiplier, addend, (int)draw(0, 1), {U8, SATURATE, 8, 0, INT32_MIN, 255, 0, 200}};
            epilogue.affine = fused == 1 ? &affine : NULL;
            epilogue.rescale = fused == 2 ? &rescale : NULL;
            epilogue.y_bytes = fused == 1 ? 1 : fused ? 4 : y_bytes;
            const int bytes = fused ? 1 : y_bytes;
            char *found = exactly(count, bytes), *expected = exactly(count, bytes);
            Stats stats[4];
            for (int i = 0; i < 4; i++) stats[i] = no_stats();
            Window *slow = window_new(portable, arithmetic, products, g, type, LOW[type], HIGH[type], weights_type, w, zeros, &epilogue, 1);
            Window *fast = window_new(set, arithmetic, products, g, type, LOW[type], HIGH[type], weights_type, w, zeros, &epilogue, 1);
            run_in_parts(slow, g, x, g->images, type, expected, bytes, stats);
            run_in_parts(fast, g, x, draw(0, g->images), type, found, bytes, stats + 2);
            compare(fused ? "codes" : "sums", set->name, found, expected, count * bytes, g);
            compare("what was seen", set->name, stats + 2, stats, sizeof(Stats) * (fused ? 2 : 1), g);
            free(found), free(expected);
        }
        free((void *)rescale.bias), free((void *)rescale.multiplier), free((void *)rescale.shift), free((void *)rescale.factor);
    }
    free(x), free(w), free(low), free(high), free(set_low), free(set_high), free(ordered), free(multiplier), free(addend);
}

/* Every formula on values of a type, and on the sum of two codes of a byte each. */
static void check_rescaled(const Kernels *set, const Kernels *portable, const Geometry *g, Type type, Type other) {
    const int64_t count = g->images * g->height * g->width * g->channels;
    const Type first = type == S8 || type == U8 ? type : S32;
    void *x = random_codes(first, count), *b = random_codes(other == S8 ? S8 : U8, count);
    int32_t *constants = exactly(3 * g->channels, 4);
    float *factor = exactly(g->channels, 4);
    char *found = exactly(count, 1), *expected = exactly(count, 1);
    Stats stats[4];
    int beyond[2];
    for (Formula formula = SHIFT_HALF_EVEN; formula <= DIVIDE_AWAY; formula++) {
        for (int64_t i = 0; i < g->channels; i++) {
            constants[i] = (int32_t)draw(-1000, 1000);
            constants[g->channels + i] = formula == DIVIDE_AWAY ? (int32_t)draw(1, 1000) : (int32_t)(next_random() >> 33);
            constants[2 * g->channels + i] = formula == DOUBLING ? (int32_t)draw(-31, 8) : (int32_t)draw(2, 62);
            factor[i] = (float)draw(-1000, 1000) / 65536;
        }
        const Codes codes = {S8, SATURATE, 8, 1, -128, 127, -100, 120};
        const Rescale r = {formula, constants, constants + g->channels, constants + 2 * g->channels, factor, 0.7f, 3, 0, codes};
        rescale_codes(portable, first, x, count, g->channels, &r, expected, 1, stats, beyond);
        rescale_codes(set, first, x, count, g->channels, &r, found, 1, stats + 1, beyond + 1);
        compare("rescaled values", set->name, found, expected, count, g);
        compare("what rescaling saw", set->name, stats + 1, stats, sizeof(Stats), g);
        compare("whether sums left 32 bits", set->name, beyond + 1, beyond, sizeof(int), g);
        if (first == S32 || formula == DIVIDE_AWAY) continue;
        RescaledAdd add = {.formula = formula, .zero_points = {5, -7}, .left = 20, .zero_point = 3, .codes = codes};
        for (int i = 0; i < 3; i++) {
            add.multiplier[i] = (int32_t)(next_random() >> 33);
            add.shift[i] = formula == DOUBLING ? (int32_t)draw(-31, 0) : (int32_t)draw(20, 60);
            add.factor[i] = (float)draw(1, 1000) / 65536;
        }
        add_rescaled_codes(portable, first, x, other == S8 ? S8 : U8, b, count, &add, expected, 1, stats + 2);
        add_rescaled_codes(set, first, x, other == S8 ? S8 : U8, b, count, &add, found, 1, stats + 3);
        compare("rescaled sums", set->name, found, expected, count, g);
        compare("what rescaled sums saw", set->name, stats + 3, stats + 2, sizeof(Stats), g);
    }
    free(x), free(b), free(constants), free(factor), free(found), free(expected);
}

static void check_elementwise(const Kernels *set, const Kernels *portable, const Geometry *g, Type type, Type other) {
    const int64_t count = g->images * g->height * g->width * g->channels, pixels = pixels_of(g) * g->channels;
    void *a = random_codes(type, count), *b = random_codes(other, count);
    int32_t *multiplier = random_codes(S32, g->channels);
    int64_t *addend = exactly(g->channels, 8);
    uint8_t *shift = exactly(g->channels, 1);
    char *found = exactly(larger(count, pixels), 4), *expected = exactly(larger(count, pixels), 4);
    for (int64_t i = 0; i < g->channels; i++) multiplier[i] %= 1000, addend[i] = draw(-100000, 100000), shift[i] = (uint8_t)draw(0, 12);
    Stats stats[2];
    for (Overflow overflow = WRAP; overflow <= SATURATE; overflow++) {
        const Codes codes = {S16, overflow, 9, 1, -256, 255, -256, 255};
        for (Rounding rounding = HALF_EVEN; rounding <= TRUNCATE; rounding++) {
            for (int doubles = 0; doubles <= (overflow == SATURATE); doubles++) {
                affine_codes(portable, type, a, count, g->channels, multiplier, addend, shift, rounding, doubles, &codes, expected, 1,
                             stats);
                affine_codes(set, type, a, count, g->channels, multiplier, addend, shift, rounding, doubles, &codes, found, 1, stats + 1);
                compare("affine", set->name, found, expected, count * 2, g);
                compare("what affine saw", set->name, stats + 1, stats, sizeof(Stats), g);
            }
        }
        add_codes(portable, type, a, other, b, count, &codes, expected, 1, stats);
        add_codes(set, type, a, other, b, count, &codes, found, 1, stats + 1);
        compare("add", set->name, found, expected, count * 2, g);
        compare("what add saw", set->name, stats + 1, stats, sizeof(Stats), g);
    }
    for (int maximum = 0; maximum <= 1; maximum++) {
        pool_codes(portable, maximum, g, type, a, 0, expected, 1);
        pool_codes(set, maximum, g, type, a, 0, found, 1);
        compare(maximum ? "maximum" : "sum", set->name, found, expected, pixels * (maximum ? bytes_of(type) : 4), g);
    }
    free(a), free(b), free(multiplier), free(addend), free(shift), free(found), free(expected);
}

/* Zeros of codes that are zero in one of two, or often in a row, and their channels brought last. */
static void check_zeros(const Kernels *set, const Kernels *portable, const Geometry *g, Type type) {
    const int64_t words = g->height * g->width * g->channels, count = g->images * words;
    uint8_t *codes = random_codes(type, count), *found = exactly(count, 1), *expected = exactly(count, 1);
    const int bytes = bytes_of(type), rare = (int)draw(1, 40);
    for (int64_t i = 0; i < count; i++) {
        if (next_random() % (uint64_t)rare) memset(codes + i * bytes, 0, (size_t)bytes);
    }
    ZeroRuns runs[2];
    count_zero_runs(portable, type, codes, g->images, words, 0, runs);
    count_zero_runs(set, type, codes, g->images, words, 0, runs + 1);
    compare("zeros", set->name, runs + 1, runs, sizeof(ZeroRuns), g);
    interleave_bytes(portable, codes, g->images, g->channels, g->height * g->width, expected);
    interleave_bytes(set, codes, g->images, g->channels, g->height * g->width, found);
    compare("channels", set->name, found, expected, count, g);
    free(codes), free(found), free(expected);
}

static void check_floats(const Kernels *set, const Kernels *portable, const Geometry *g) {
    const int64_t inputs = g->images * g->height * g->width * g->channels, outputs = pixels_of(g) * g->outputs;
    const int64_t taps = g->outputs * taps_of(g), most = larger(inputs, larger(outputs, taps));
    float *x = random_floats(inputs), *w = random_floats(taps), *gradient = random_floats(outputs);
    float *found = exactly(most, 4), *expected = exactly(most, 4);
    for (Arithmetic arithmetic = 0; arithmetic < (Arithmetic)ARITHMETICS; arithmetic++) {
        forward_f32(portable, arithmetic, g, x, w, expected, 1, 1);
        forward_f32(set, arithmetic, g, x, w, found, 1, 1);
        compare_floats("forward", set->name, found, expected, outputs, g);
    }
    l1_input_gradient_f32(portable, g, gradient, x, w, expected, 1);
    l1_input_gradient_f32(set, g, gradient, x, w, found, 1);
    compare_floats("input gradient", set->name, found, expected, inputs, g);
    l1_sign_filter_gradient_f32(portable, g, gradient, x, w, expected, 1);
    l1_sign_filter_gradient_f32(set, g, gradient, x, w, found, 1);
    compare_floats("filter gradient", set->name, found, expected, taps, g);
    free(x), free(w), free(gradient), free(found), free(expected);
}

static void check_layer(const Kernels *const *sets, int count) {
    const Geometry g = random_layer();
    const Arithmetic arithmetic = (Arithmetic)draw(0, ARITHMETICS - 1);
    const Type type = (Type)draw(0, 3), other = (Type)draw(0, 3);
    int32_t *products = exactly(PRODUCTS, sizeof(*products));
    for (int i = 0; i < PRODUCTS; i++) products[i] = (int16_t)next_random();
    for (int i = 0; i < count - 1; i++) {
        check_codes(sets[i], sets[count - 1], &g, arithmetic, NULL, type, other, &NO_ZERO_POINTS);
        check_codes(sets[i], sets[count - 1], &g, MAC, products, type % 2, other % 2, &NO_ZERO_POINTS);
        const Arithmetic moved = arithmetic == XNOR ? MAC : arithmetic;
        const ZeroPoints zeros = random_zero_points(&g, moved, type % 2, other % 2);
        check_codes(sets[i], sets[count - 1], &g, moved, NULL, type % 2, other % 2, &zeros);
        free((void *)zeros.weights);
        Geometry pool = g; /* every window meets the image */
        pool.groups = pool.dilation_height = pool.dilation_width = 1, pool.outputs = g.channels;
        pool.kernel_height = smaller(g.kernel_height, g.height), pool.kernel_width = smaller(g.kernel_width, g.width);
        pool.padding_height = pool.kernel_height / 2, pool.padding_width = pool.kernel_width / 2;
        pool.out_height = (g.height + 2 * pool.padding_height - pool.kernel_height) / g.stride_height + 1;
        pool.out_width = (g.width + 2 * pool.padding_width - pool.kernel_width) / g.stride_width + 1;
        check_elementwise(sets[i], sets[count - 1], &pool, type, other);
        check_rescaled(sets[i], sets[count - 1], &pool, type, other);
        check_zeros(sets[i], sets[count - 1], &g, type);
        check_floats(sets[i], sets[count - 1], &g);
    }
    free(products);
}

#ifdef FUZZER
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const Kernels *sets[MAX_SETS];
    choices = bytes, choices_end = bytes + length;
    state = 88172645463325252ULL;
    check_layer(sets, kernel_sets(sets));
    return 0;
}
#else
int main(int arguments, char **values) {
    const Kernels *sets[MAX_SETS];
    const int count = kernel_sets(sets);
    const long layers = arguments > 1 ? atol(values[1]) : 100;
    for (long layer = 0; layer < layers; layer++) check_layer(sets, count);
    printf("%ld layers;", layers);
    for (int i = 0; i < count; i++) printf(" %s", sets[i]->name);
    printf("; %d differences\n", failures);
    return failures > 0;
}
#endif
