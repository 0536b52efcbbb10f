"""Columns of meters' ids → keys (see `register.textkeys`), null where a cell holds no id."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.register.textkeys import MAX_NUMBER, MAX_TEXT, TEXT, WORDS, text_keys

WHAT: Final = f"is no id of 1 to {MAX_TEXT} letters, digits and signs"


def keys(name: str, dtype: pl.DataType) -> pl.Expr | None:
    """UInt64; None where the column's type can hold no ids."""
    column = pl.col(name)
    if dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        return column.cast(pl.String).map_batches(
            keys_of, return_dtype=pl.UInt64, is_elementwise=True
        )
    if dtype.is_integer():
        fits = column.is_between(0, MAX_NUMBER)
        return pl.when(fits).then(column).cast(pl.UInt64, strict=False)
    if dtype.is_float():  # whole, and small enough that each whole number is one
        whole = column.is_between(0, 2**53) & (column == column.floor())
        return pl.when(whole).then(column).cast(pl.UInt64, strict=False)
    return None


def keys_of(texts: pl.Series) -> pl.Series:
    """Keys of texts, UInt64."""
    found, fine = text_keys(padded(texts))
    return pl.Series(texts.name, found).set(~pl.Series(fine), None)


def padded(texts: pl.Series) -> npt.NDArray[np.bytes_]:
    """S40[n], empty where a text is longer, not of ASCII, or null."""
    length = texts.str.len_bytes()  # of ASCII as many as characters, which are what is padded
    fits = ((length <= MAX_TEXT) & (length == texts.str.len_chars())).fill_null(False)
    if not fits.all():
        texts = texts.set(~fits, "").fill_null("")
    words = (
        texts.str.pad_end(MAX_TEXT, "\0")
        .cast(pl.Binary)
        .bin.reinterpret(dtype=pl.Array(pl.UInt64, WORDS), endianness="little")
    )
    flat: npt.NDArray[np.uint64] = words.explode().to_numpy()
    return np.ascontiguousarray(flat).view(TEXT)
