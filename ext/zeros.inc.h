/* Zeros among codes: their places, 64 to a word, the first in the lowest bit; and codes as images give them. */

#ifndef HAS_BYTES_EQUAL
/* Of eight bytes that are 0 or 1 the lowest bits, side by side. */
static inline uint64_t bits_of_bytes(uint64_t bytes) { return bytes * 0x0102040810204080u >> 56; }
static inline uint64_t bytes_equal(const uint8_t *bytes, uint8_t value) {
    uint8_t equal[64];
    uint64_t found = 0;
    for (int i = 0; i < 64; i++) equal[i] = bytes[i] == value;
    for (int i = 0; i < 8; i++) {
        uint64_t eight = 0; /* in the order of the lowest byte first, whatever the machine's is */
        for (int j = 0; j < 8; j++) eight |= (uint64_t)equal[8 * i + j] << (8 * j);
        found |= bits_of_bytes(eight) << (8 * i);
    }
    return found;
}
#endif

#define EQUAL_CASE(TYPE, C)                                                             \
    case TYPE:                                                                          \
        for (int i = 0; i < count; i++) equal[i] = ((const C *)codes)[i] == (C)zero;    \
        break;
/* Of at most 64 codes. */
static uint64_t some_places(Type type, const void *codes, int count, int64_t zero) {
    uint8_t equal[64] = {0};
    switch (type) {
        EACH_TYPE(EQUAL_CASE)
        default: break;
    }
    return bytes_equal(equal, 1);
}
static inline uint64_t zero_places(Type type, const void *codes, int count, int64_t zero) {
    return bytes_of(type) == 1 && count == 64 ? bytes_equal(codes, (uint8_t)zero) : some_places(type, codes, count, zero);
}

/* Pairs that a run fills, and one more for the rest of a run that the image ends with. */
static void end_run(int64_t length, int at_end, int64_t *pairs) {
    for (int i = 0; i < RUN_WIDTHS; i++) {
        const int bits = LEAST_RUN_BITS + i;
        pairs[i] += length >> bits;
        if (at_end) pairs[i] += (length & (((int64_t)1 << bits) - 1)) != 0;
    }
}

/* Runs inside 64 places, behind the first other code and before the last, that fill pairs. */
static void long_runs(uint64_t places, int count, int64_t *pairs) {
    const int least = 1 << LEAST_RUN_BITS;
    uint64_t starts = places & places >> 1; /* a bit for each that has as many behind it */
    for (int length = 2; length < least; length *= 2) starts &= starts >> length;
    while (starts) {
        const int at = zeros_below(starts), more = zeros_below(~(starts >> at)), length = more + least - 1;
        if (at > 0 && at + length < count) end_run(length, 0, pairs);
        starts &= starts + ((uint64_t)1 << at); /* without those */
    }
}

/* What was found up to some word of an image: zeros at its end, as far as pairs may need them, and the last 64 places. */
typedef struct {
    int64_t zeros, runs, run;
    uint64_t before;
#ifdef HAS_WORDS
    Words of_zeros, of_runs; /* more of both, to be summed at last */
#endif
} ZeroState;

/* The runs of up to 64 places that fill pairs. */
static void pairs_of_places(uint64_t places, int count, ZeroState *s, int64_t *pairs) {
    const int here = ones_in(places);
    if (here == count) {
        s->run += count;
        return;
    }
    const int64_t ended = s->run + zeros_below(~places);
    if (ended >> LEAST_RUN_BITS) end_run(ended, 0, pairs);
    if (here >> LEAST_RUN_BITS) long_runs(places, count, pairs);
    s->run = zeros_above(~(places << (64 - count)));
}

enum { ZERO_WORDS = 8, SHORT_OF_PAIR = (1 << LEAST_RUN_BITS) - 1 };

#ifdef HAS_WORDS
/* A bit where 16 zeros begin. */
static inline Words pair_starts(Words places) {
    places = words_and(places, words_right(places, 1)), places = words_and(places, words_right(places, 2));
    places = words_and(places, words_right(places, 4));
    return words_and(places, words_right(places, 8));
}

/* Of ZERO_WORDS words of places behind one another zeros and runs; whether there may be a run that fills a pair. */
static inline int count_words(const uint64_t *places, ZeroState *s) {
    const Words here = words_load(places + 1), before = words_load(places);
    s->of_zeros = words_add(s->of_zeros, words_ones(here));
    s->of_runs = words_add(s->of_runs, words_ones(words_and_not(here, words_or(words_left(here, 1), words_right(before, 63)))));
    const Words across = words_or(words_left(here, SHORT_OF_PAIR), words_right(before, 64 - SHORT_OF_PAIR));
    return words_any(words_or(pair_starts(here), pair_starts(across)));
}
static inline void sum_words(ZeroState *s) { s->zeros += words_total(s->of_zeros), s->runs += words_total(s->of_runs); }
#else
static inline uint64_t pair_starts(uint64_t places) {
    places &= places >> 1, places &= places >> 2, places &= places >> 4;
    return places & places >> 8;
}
static inline int count_words(const uint64_t *places, ZeroState *s) {
    uint64_t starts = 0;
    for (int i = 1; i <= ZERO_WORDS; i++) {
        const uint64_t here = places[i], before = places[i - 1];
        s->zeros += ones_in(here);
        s->runs += ones_in(here & ~(here << 1 | before >> 63));
        starts |= pair_starts(here) | pair_starts(here << SHORT_OF_PAIR | before >> (64 - SHORT_OF_PAIR));
    }
    return starts != 0;
}
static inline void sum_words(ZeroState *s) { (void)s; }
#endif

/* 64 times ZERO_WORDS codes of a byte at once: most have no run that fills a pair. */
static void zero_words(const uint8_t *codes, uint8_t zero, ZeroState *s, int64_t *pairs) {
    uint64_t places[ZERO_WORDS + 1] = {s->before};
    for (int i = 0; i < ZERO_WORDS; i++) places[i + 1] = bytes_equal(codes + 64 * i, zero);
    const int long_ones = count_words(places, s) || s->run >> LEAST_RUN_BITS; /* one that may end right here */
    s->before = places[ZERO_WORDS];
    for (int i = 1; long_ones && i <= ZERO_WORDS; i++) pairs_of_places(places[i], 64, s, pairs);
    if (!long_ones) s->run = s->before >> 63 ? zeros_above(~s->before) : 0;
}

static void zero_runs(Type type, const void *codes, int64_t words, int64_t zero, ZeroRuns *found) {
    ZeroState s = {0};
    int64_t first = 0;
    for (; bytes_of(type) == 1 && first + 64 * ZERO_WORDS <= words; first += 64 * ZERO_WORDS) {
        zero_words((const uint8_t *)codes + first, (uint8_t)zero, &s, found->pairs);
    }
    for (; first < words; first += 64) {
        const int count = (int)smaller(64, words - first);
        const uint64_t places = zero_places(type, (const char *)codes + first * bytes_of(type), count, zero);
        s.zeros += ones_in(places);
        s.runs += ones_in(places & ~(places << 1 | s.before >> 63));
        pairs_of_places(places, count, &s, found->pairs);
        s.before = places;
    }
    end_run(s.run, 1, found->pairs);
    sum_words(&s);
    found->zeros += s.zeros;
    found->runs += s.runs;
    found->others += words - s.zeros;
}

/* (channels, pixels) -> (pixels, channels), of bytes; a compiler finds the vectors of three. */
static void interleave(const uint8_t *restrict x, int64_t channels, int64_t pixels, uint8_t *restrict y) {
    if (channels == 3) {
        const uint8_t *restrict red = x, *restrict green = x + pixels, *restrict blue = x + 2 * pixels;
        int64_t pixel = 0;
#ifdef HAS_THREE_CHANNELS
        const Places places = three_places();
        for (; pixel + 64 <= pixels; pixel += 64) three_channels(&places, red + pixel, green + pixel, blue + pixel, y + 3 * pixel);
#endif
        for (; pixel < pixels; pixel++) {
            y[3 * pixel] = red[pixel];
            y[3 * pixel + 1] = green[pixel];
            y[3 * pixel + 2] = blue[pixel];
        }
    } else {
        for (int64_t pixel = 0; pixel < pixels; pixel++) {
            for (int64_t channel = 0; channel < channels; channel++) y[pixel * channels + channel] = x[channel * pixels + pixel];
        }
    }
}
