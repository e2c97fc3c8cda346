"""Every measured constant of the engine: what it means, and on what it was measured.

The values were chosen on a Zen 4 and a Xeon with AVX-512 (2 MB of second-level cache), two threads,
by ``make compare``, `benchmarks.axes` and `benchmarks.views`. None of them changes a result. Code
reads them as ``tuning.NAME``, so that a test can replace them all in this one place.
"""

# --- Blocks of contiguous rows ---------------------------------------------------------------
BLOCK = 4096
"""Elements of a block: predictions, targets and temporaries stay in a first-level cache of 48 KB.

Longer rows are processed in pieces of this size."""
STACK_ROWS = 512
"""Length of a stack array: temporaries of more rows would fill the first-level cache."""
BLOCK_ROWS = STACK_ROWS
"""The most rows of a block: what is kept of each row is on the stack."""
ROW_MULTIPLE = 64
"""Blocks of short rows have a multiple of this many rows, so vector loops leave no remainder."""
REGISTER = 64
"""Bytes of a vector register; LLVM splits it where a processor's are shorter."""
SHORT_ROW = REGISTER
"""Bytes of a row that fits a register: such rows are processed as columns."""
LONG_ROW = 2**18
"""Bytes of a row: two such rows and what is prefetched crowd a second-level cache of 1 to 2 MB."""

# --- Rows that are packed into scratch -------------------------------------------------------
PACK_ROWS = 512
"""The most class-major rows that are packed at a time, if `PACK_ELEMENTS` hold them."""
PACK_ELEMENTS = 2**17
"""Half a megabyte of float32: with the targets it stays in a second-level cache."""
PACK_ROWS_WIDE = 64
"""The least rows at a time beyond that: each class is read from afar, and 64 rows are 4 lines."""
PACK_ELEMENTS_WIDE = 2**21
"""Eight megabytes of float32, beyond which fewer than `PACK_ROWS_WIDE` rows are packed."""
STRIP = 16
"""Classes that are packed or unpacked together: as many as a square of registers has sides."""

# --- Memory traffic --------------------------------------------------------------------------
CHUNK = 256
"""Elements between two prefetches or non-temporal stores: the line-fill buffers hold no more."""
STREAM = 2**24
"""Bytes of a gradient that no cache holds. It is written with non-temporal stores: ordinary ones
would first read every line, a third of all traffic."""
DIRECT_ROW = 2**20
"""Bytes of a row whose scratch would fill a second-level cache: its gradient is made in place."""
SPACED_CLASSES = 64
"""Rows with gaps between them are copied a block at a time, and prefetched, from this many classes
on. Hardware prefetches shorter ones, and to pack many at once costs less."""
PREFETCH_CLASSES = 256
"""Row sums of fewer classes take longer than memory does, and prefetching only delays them."""

# --- Tiles of class-major rows ---------------------------------------------------------------
TILE_ROWS = STACK_ROWS
"""The most rows of a tile."""
TILE_ROWS_LEAST = 64
"""With fewer neighbouring rows, packing them costs the same or less."""
TILE_ELEMENTS = 2**21
"""Elements of a tile's scratch, 8 MB of float32. It leaves a second-level cache: long columns are
worth more."""
TILE_CHUNK = TILE_ROWS // 4
"""Rows of a column between two prefetches of the next one, or of four columns that are summed."""

# --- Threads ---------------------------------------------------------------------------------
PARALLEL = 16384
"""Elements from which threads pay: to launch them takes 4 to 10 microseconds."""
