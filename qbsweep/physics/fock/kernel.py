"""Fused, single-threaded kernels: one pass over memory for ``A rho`` and everything done with it.

A density matrix is stored row by row in a flat array with `pad` zeros at both ends, so a shifted row
never leaves the array. Only the upper triangle and a band below it (as wide as the shifts reach) are
kept: rho is Hermitian, and `mirror_band` restores the band. Everything below the band stays zero.
"""

import numpy as np

from qbsweep.physics.compiled import njit

# The sums may be reordered and contracted to fused multiply-adds; infinities and NaNs keep their meaning.
FAST = {"reassoc", "contract", "nsz"}


BLOCK = 8  # rows start at a multiple of this column, so that most loops run over whole vectors


@njit(fastmath=FAST, error_model="numpy")
def dense_step(  # type: ignore[no-untyped-def]
    x, new, total, size, pad, hops, hop_weights, rows, row_weights, starts, shifts, weights, diagonal,
    alpha, beta, gamma, share, accumulator,
):  # fmt: skip
    """Set ``new = alpha A x + beta x + gamma new``, ``total += share x``; return ``||x||_F^2``.

    Left products ``G[I, I + hop]``, four at a time (`hops` is padded to a multiple of four with zero
    weights), then for every left ladder operator (`rows`, `row_weights`) its right partners
    `starts[ladder]:starts[ladder + 1]`, up to three at a time, then the diagonal of ``G . + . G^dag``. In one
    function, because split into inlined helpers it ran 1.5 times slower.
    """
    norm = 0.0
    for i in range(size):
        first = i & ~(BLOCK - 1)
        n = size - first
        acc = accumulator[:n]
        acc[:] = 0
        base = pad + first
        for h in range(0, len(hops), 4):
            f0, f1 = hop_weights[h, i], hop_weights[h + 1, i]
            f2, f3 = hop_weights[h + 2, i], hop_weights[h + 3, i]
            # A row out of range has weight 0: read this one instead.
            a0 = base + (i + hops[h]) * size if f0 != 0 else base
            a1 = base + (i + hops[h + 1]) * size if f1 != 0 else base
            a2 = base + (i + hops[h + 2]) * size if f2 != 0 else base
            a3 = base + (i + hops[h + 3]) * size if f3 != 0 else base
            x0, x1, x2, x3 = x[a0 : a0 + n], x[a1 : a1 + n], x[a2 : a2 + n], x[a3 : a3 + n]
            for k in range(n):
                acc[k] += f0 * x0[k] + f1 * x1[k] + f2 * x2[k] + f3 * x3[k]
        for ladder in range(len(rows)):
            f0 = row_weights[ladder, i]
            if f0 == 0:
                continue
            at = base + (i + rows[ladder]) * size
            t, last = starts[ladder], starts[ladder + 1]
            while t + 3 <= last:
                w0, w1, w2 = weights[t, first:size], weights[t + 1, first:size], weights[t + 2, first:size]
                x0 = x[at + shifts[t] : at + shifts[t] + n]
                x1 = x[at + shifts[t + 1] : at + shifts[t + 1] + n]
                x2 = x[at + shifts[t + 2] : at + shifts[t + 2] + n]
                for k in range(n):
                    acc[k] += f0 * (w0[k] * x0[k] + w1[k] * x1[k] + w2[k] * x2[k])
                t += 3
            if t + 2 == last:
                w0, w1 = weights[t, first:size], weights[t + 1, first:size]
                x0 = x[at + shifts[t] : at + shifts[t] + n]
                x1 = x[at + shifts[t + 1] : at + shifts[t + 1] + n]
                for k in range(n):
                    acc[k] += f0 * (w0[k] * x0[k] + w1[k] * x1[k])
            elif t + 1 == last:
                w0 = weights[t, first:size]
                x0 = x[at + shifts[t] : at + shifts[t] + n]
                for k in range(n):
                    acc[k] += f0 * (w0[k] * x0[k])
        at = base + i * size
        here, old, column, own = x[at : at + n], new[at : at + n], diagonal[first:size], diagonal[i]
        if share != 0:
            kept = total[at : at + n]
            for k in range(n):
                kept[k] += share * here[k]
        squares = 0.0
        for k in range(n):
            value = here[k]
            old[k] = alpha * acc[k] + (alpha * (own + np.conj(column[k])) + beta) * value + gamma * old[k]
            squares += value.real * value.real + value.imag * value.imag
        for k in range(i - first):  # below the diagonal: counted, but not wanted
            squares -= abs(here[k]) ** 2
        norm += 2 * squares - abs(here[i - first]) ** 2
    return norm


@njit()
def mirror_band(x, size, pad, width):  # type: ignore[no-untyped-def]
    """Copy the conjugate of the upper triangle into the band of `width` columns below the diagonal."""
    for i in range(size):
        for k in range(max(0, i - width), i):
            x[pad + i * size + k] = np.conj(x[pad + k * size + i])


@njit()
def dense_reduced(x, size, pad, levels, strides, out):  # type: ignore[no-untyped-def]
    """Write the upper triangles of the reduced states of all modes to `out` [mode, d, d]."""
    out[:] = 0
    for m in range(len(levels)):
        stride, d = strides[m], levels[m]
        for i in range(size):
            a = (i // stride) % d
            for b in range(a, d):
                out[m, a, b] += x[pad + i * size + i + (b - a) * stride]


@njit()
def dense_pack(x, size, pad, packed):  # type: ignore[no-untyped-def]
    """Gather the upper triangle, off-diagonal entries times sqrt 2.

    The imaginary part of the diagonal is rounding, and is left behind: no trace holds it, so an iteration lets it grow.
    """
    at = 0
    for i in range(size):
        n = size - i
        row, out = x[pad + i * size + i : pad + (i + 1) * size], packed[at : at + n]
        for k in range(n):
            out[k] = row[k] * np.sqrt(2.0)
        out[0] = row[0].real
        at += n


@njit()
def dense_unpack(packed, size, pad, x):  # type: ignore[no-untyped-def]
    """Scatter what `dense_pack` gathered."""
    at = 0
    for i in range(size):
        n = size - i
        row, out = packed[at : at + n], x[pad + i * size + i : pad + (i + 1) * size]
        for k in range(n):
            out[k] = row[k] * np.sqrt(0.5)
        out[0] = row[0]
        at += n
