// Where a step's operands come from: load() reads the next step's into registers, store() puts them into shared memory.

// What the windows over an image of `stride` channels a pixel see: term k is value k % channels of tap k / channels. A tap, or
// a whole row, that lies outside the image reads zeros; unsigned sums wrap around, so that one comparison finds both sides.
struct Windows {
  int height, width, channels, stride, terms, step_y, step_x;
  Divisor by_channels, by_columns;  // values of a tap, taps of a row

  struct Tap {
    unsigned y, x, offset;
  };

  __device__ __forceinline__ Tap tap(int term) const {
    const int number = by_channels.quotient(term), row = by_columns.quotient(number);
    const unsigned y = row * step_y, x = (number - row * by_columns.by) * step_x;
    return {y, term < terms ? x : 1u << 31, (y * width + x) * stride + (term - number * channels)};
  }
};

struct Place {
  unsigned top, left, offset;
};  // of a row's first tap

__device__ __forceinline__ Place place_of(const Windows& windows, int image, int top, int left, int first, bool is_row) {
  const unsigned offset = (((unsigned)image * windows.height + top) * windows.width + left) * windows.stride + first;
  return {is_row ? (unsigned)top : 1u << 31, (unsigned)left, offset};
}

__device__ __forceinline__ bool sees(const Windows& windows, const Place& place, const Windows::Tap& tap) {
  return place.top + tap.y < (unsigned)windows.height && place.left + tap.x < (unsigned)windows.width;
}

template <typename T, int VECTOR>
__device__ __forceinline__ Vector<T, VECTOR> read(const T* values, const Windows& windows, const Place& place,
                                                  const Windows::Tap& tap) {
  Vector<T, VECTOR> found = {};
  if (sees(windows, place, tap)) found = fetch((const Vector<T, VECTOR>*)(values + (place.offset + tap.offset)));
  return found;
}

// Left operand of sums over taps: a row is a window, a term a value in it.
template <typename T, int VECTOR, typename TILE>
struct WindowRows {
  static constexpr int slots = STEP / VECTOR, apart = TILE::threads / slots, loads = TILE::height / apart;
  static_assert(loads * apart == TILE::height, "each thread loads as many rows");
  static constexpr int registers = loads * (3 + (sizeof(T) < sizeof(float) ? parts(VECTOR * (int)sizeof(T), 4) : 0));
  static constexpr int blocks = registers > 32 ? TILE::blocks * 2 / 3 : TILE::blocks;  // fewer where sums would be spilled
  const T* values;
  const Windows& windows;
  int term = (int)threadIdx.x % slots * VECTOR;
  Place places[loads];
  Vector<T, VECTOR> held[loads];

  // place(row) is where the window of the tile's row begins.
  template <typename PLACE>
  __device__ __forceinline__ WindowRows(const T* from, const Windows& seen, PLACE place) : values(from), windows(seen) {
#pragma unroll
    for (int l = 0; l < loads; ++l)
      places[l] = place((int)threadIdx.x / slots + l * apart);
  }
  __device__ __forceinline__ void load(float (*to)[TILE::height + PAD]) {
    const Windows::Tap tap = windows.tap(term);
    const int slot = (int)threadIdx.x % slots * VECTOR, row = (int)threadIdx.x / slots;
    term += STEP;
#pragma unroll
    for (int l = 0; l < loads; ++l)
      if constexpr (sizeof(T) == sizeof(float)) {
        const bool is_there = sees(windows, places[l], tap);
        const T* from = values + (places[l].offset + tap.offset);
#pragma unroll
        for (int e = 0; e < VECTOR; ++e)
          send<1>(&to[slot + e][row + l * apart], from + e, is_there);
      } else {
        held[l] = read<T, VECTOR>(values, windows, places[l], tap);
      }
  }
  __device__ __forceinline__ void store(float (*to)[TILE::height + PAD]) const {
    if constexpr (sizeof(T) == sizeof(float)) return;
    const int slot = (int)threadIdx.x % slots * VECTOR, row = (int)threadIdx.x / slots;
#pragma unroll
    for (int l = 0; l < loads; ++l)
#pragma unroll
      for (int e = 0; e < VECTOR; ++e)
        to[slot + e][row + l * apart] = widen(held[l].at[e]);
  }
};

// Right operand of sums over taps: filters as a matrix of terms x columns, with zeros up to whole steps and tiles.
template <typename TILE>
struct FilterColumns {
  static constexpr int quads = TILE::width / BESIDE, count = STEP * quads, loads = parts(count, TILE::threads);
  const float* from;
  int columns;

  __device__ __forceinline__ FilterColumns(const float* filters, int all_columns, int first) : columns(all_columns) {
    from = filters + first + (int)threadIdx.x / quads * columns + (int)threadIdx.x % quads * BESIDE;
  }
  __device__ __forceinline__ void load(float (*to)[TILE::width]) {
    const int term = (int)threadIdx.x / quads, column = (int)threadIdx.x % quads * BESIDE;
#pragma unroll
    for (int l = 0; l < loads; ++l)
      if (count % TILE::threads == 0 || (int)threadIdx.x + l * TILE::threads < count)
        send<BESIDE>(&to[term + l * (TILE::threads / quads)][column], from + l * (TILE::threads / quads) * columns, true);
    from += STEP * columns;
  }
  __device__ __forceinline__ void store(float (*)[TILE::width]) const {}
};

// Where a thread's values lie in a step of `WIDTH` columns x STEP pixels: its column stays, so that it is decoded once.
template <int VECTOR, int WIDTH, int THREADS>
struct PixelSlots {
  static constexpr int quads = WIDTH / VECTOR, apart = THREADS / quads, loads = largest(STEP / apart, 1);
  static_assert(apart * quads == THREADS, "each thread keeps its column");
  static __device__ __forceinline__ int column() { return (int)threadIdx.x % quads * VECTOR; }
  static __device__ __forceinline__ int pixel(int l) { return (int)threadIdx.x / quads + l * apart; }
  static __device__ __forceinline__ bool is_mine() { return apart <= STEP || (int)threadIdx.x / quads < STEP; }

  template <typename T, int PITCH>
  static __device__ __forceinline__ void store(float (*to)[PITCH], const Vector<T, VECTOR> (&held)[loads]) {
    if (!is_mine()) return;
#pragma unroll
    for (int l = 0; l < loads; ++l) {
      Vector<float, VECTOR> wide;
#pragma unroll
      for (int e = 0; e < VECTOR; ++e)
        wide.at[e] = widen(held[l].at[e]);
      *(Vector<float, VECTOR>*)&to[pixel(l)][column()] = wide;
    }
  }
};

// Left operand of sums over pixels: a row is a value of a window, a term the window of a pixel.
template <typename T, int VECTOR, typename TILE>
struct WindowValues {
  using Slots = PixelSlots<VECTOR, TILE::height, TILE::threads>;
  const T* values;
  const Windows& windows;
  Windows::Tap tap;
  int pixel, last, out_width, stride_y, stride_x, padding_y, padding_x, first_channel;
  Divisor by_image, by_row;
  Vector<T, VECTOR> held[Slots::loads];

  __device__ __forceinline__ void load(float (*)[TILE::height + PAD]) {
#pragma unroll
    for (int l = 0; l < Slots::loads; ++l) {
      const int at = pixel + Slots::pixel(l), image = by_image.quotient(at), rest = at - image * by_image.by;
      const int row = by_row.quotient(rest), column = rest - row * by_row.by;
      const bool is_row = at < last && Slots::is_mine();
      const Place place =
          place_of(windows, image, row * stride_y - padding_y, column * stride_x - padding_x, first_channel, is_row);
      held[l] = read<T, VECTOR>(values, windows, place, tap);
    }
    pixel += STEP;
  }
  __device__ __forceinline__ void store(float (*to)[TILE::height + PAD]) const { Slots::store(to, held); }
};

// Right operand of sums over pixels: a matrix of pixels x columns.
template <typename T, int VECTOR, typename TILE>
struct PixelColumns {
  using Slots = PixelSlots<VECTOR, TILE::width, TILE::threads>;
  const T* from;  // the tile's first column
  int pixel, last, stride, left_over;
  Vector<T, VECTOR> held[Slots::loads];

  __device__ __forceinline__ void load(float (*)[TILE::width]) {
#pragma unroll
    for (int l = 0; l < Slots::loads; ++l) {
      const int at = pixel + Slots::pixel(l);
      held[l] = {};
      if (Slots::is_mine() && at < last && Slots::column() < left_over)
        held[l] = fetch((const Vector<T, VECTOR>*)(from + (unsigned)at * stride + Slots::column()));
    }
    pixel += STEP;
  }
  __device__ __forceinline__ void store(float (*to)[TILE::width]) const { Slots::store(to, held); }
};
