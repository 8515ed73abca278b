"""The inner loops of `minhash`, as plain functions that numba compiles on first use.

Each stands alone (numba can't call one that isn't compiled yet), which is why mixing is spelled
out wherever it is needed, and fills arrays it is given, which halves the time to compile it.
Mixing signed and unsigned integers would silently give floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FNV_BASIS = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


def shingle(
    data: Any, offsets: Any, words: int, chars: int, seed: Any, unspaced: Any,
    token: Any, width: Any, out: Any, ends: Any,
) -> None:  # fmt: skip
    used = 0
    for doc in range(offsets.size - 1):
        before = used
        by_character = False
        while True:
            tokens = 0
            in_token = False
            single = False  # whether the token under way is a character of its own
            word = FNV_BASIS
            for at in range(offsets[doc], offsets[doc + 1]):
                byte = data[at]
                # The lead byte of a character decides; the others continue its hash.
                if byte & 0xC0 != 0x80:
                    point = np.uint32(byte)
                    if byte >= 0xE0:
                        point = np.uint32(byte & 0x0F)
                        for i in range(1, 3 if byte < 0xF0 else 4):
                            point = np.uint32(point << 6 | data[at + i] & 0x3F)
                    closed = single
                    single = by_character
                    if point >= 0x0E00:
                        for i in range(unspaced.shape[0]):
                            single |= unspaced[i, 0] <= point <= unspaced[i, 1]
                    space = point == 32 and not single
                    if in_token and (single or closed or space):
                        token[tokens] = word
                        tokens += 1
                        in_token = False
                    if space:
                        continue
                    if not in_token:
                        word = FNV_BASIS
                        width[tokens] = chars if single else words
                        in_token = True
                word = (word ^ np.uint64(byte)) * FNV_PRIME
            if in_token:
                token[tokens] = word
                tokens += 1
            for start in range(tokens):
                span = width[start]
                if by_character and span > tokens:
                    span = tokens  # nothing smaller is left to fall back on
                if start + span <= tokens:
                    mixed = seed * GOLDEN + np.uint64(span)
                    for i in range(start, start + span):
                        mixed = (mixed ^ token[i]) * MIX_1
                        mixed ^= mixed >> _30
                    mixed = (mixed ^ (mixed >> _27)) * MIX_2
                    out[used] = mixed ^ (mixed >> _31)
                    used += 1
            if used > before or by_character:
                break
            by_character = True
        ends[doc + 1] = used


def sign(hashes: Any, offsets: Any, multipliers: Any, increments: Any, out: Any) -> None:
    for doc in range(out.shape[0]):
        for i in range(offsets[doc], offsets[doc + 1]):
            x = hashes[i] >> _32
            for p in range(out.shape[1]):
                value = np.uint32((multipliers[p] * x + increments[p]) >> _32)
                out[doc, p] = min(out[doc, p], value)


def band(signed: Any, rows: int, out: Any) -> None:
    for doc in range(out.shape[0]):
        for band in range(out.shape[1]):
            key = np.uint64(band) + GOLDEN
            for i in range(band * rows, (band + 1) * rows):
                key = (key ^ np.uint64(signed[doc, i])) * MIX_1
                key ^= key >> _30
            key = (key ^ (key >> _27)) * MIX_2
            out[doc, band] = key ^ (key >> _31)


def jaccard(
    one: Any, one_ends: Any, other: Any, other_ends: Any, keys: Any, seen: Any, out: Any
) -> None:
    for pair in range(out.size):
        items = one_ends[pair + 1] - one_ends[pair] + other_ends[pair + 1] - other_ends[pair]
        slots = 2
        while slots < 2 * items:
            slots *= 2
        seen[:slots] = 0
        mask: Any = np.uint64(slots - 1)
        union = 0
        common = 0
        for i in range(one_ends[pair], one_ends[pair + 1]):
            slot = one[i] & mask
            while seen[slot] != 0 and keys[slot] != one[i]:
                slot = (slot + np.uint64(1)) & mask
            if seen[slot] == 0:
                keys[slot] = one[i]
                seen[slot] = 1
                union += 1
        for i in range(other_ends[pair], other_ends[pair + 1]):
            slot = other[i] & mask
            while seen[slot] != 0 and keys[slot] != other[i]:
                slot = (slot + np.uint64(1)) & mask
            if seen[slot] == 0:
                keys[slot] = other[i]
                seen[slot] = 2
                union += 1
            elif seen[slot] == 1:
                seen[slot] = 2
                common += 1
        if union:
            out[pair] = common / union
