"""The compiled loop over steps: signals, momentum, directions and moves of one run, in place."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from steepest.compilation import compiled_and_kept
from steepest.descent.engines import averages, graded_kernels
from steepest.descent.engines.averages import CERTAIN_RATIO
from steepest.descent.engines.compiled import (
    certainty,
    deferred,
    directions,
    exactness,
    kernels,
    losses,
    norms,
    shared_scales,
    signals,
    table,
    table_terms,
    terms,
)
from steepest.descent.engines.compiled import gradient as gradients
from steepest.descent.engines.compiled.certainty import (
    certain,
    copy_totals,
    found_coefficients,
    needed,
    repair,
    sized,
)
from steepest.descent.engines.compiled.deferred import EVEN, defer, note_even, renewed_quickly
from steepest.descent.engines.compiled.directions import DOUBTFUL, direction
from steepest.descent.engines.compiled.exactness import (
    add_totals,
    doubtful,
    factor_of,
    graded_direction,
    graded_direction_of,
    graded_signs,
    suspicious,
)
from steepest.descent.engines.compiled.gradient import gradient
from steepest.descent.engines.compiled.kernels import (
    add_scaled,
    copy_row,
    move,
    move_on,
    scale_into,
    sum_of_squares,
)
from steepest.descent.engines.compiled.losses import CALLBACK
from steepest.descent.engines.compiled.norms import MAX
from steepest.descent.engines.compiled.shared_scales import add_quickly
from steepest.descent.engines.compiled.signals import HEAVY_BALL, NESTEROV
from steepest.descent.engines.compiled.table import ROUNDING, TERMS, table_step
from steepest.descent.engines.compiled.table_terms import put_down, record_table, table_totals
from steepest.descent.engines.compiled.terms import (
    kept_rows,
    record,
    record_deferred,
    renew,
    total_compared,
)
from steepest.signals import numbers, saga

__all__ = ["BY_REFERENCE", "DONE", "FROM_TERMS", "advance"]

DONE, BY_REFERENCE, FROM_TERMS = range(3)


def _compiled_advance(sources: str) -> Callable[..., tuple[int, int, int]]:  # noqa: C901 (one loop is compiled once)
    """Return the compiled loop over steps, cached on disk under a name that depends on ``sources``.

    numba's cache notices changes of this file alone. The digest of all compiled sources, held in a closure,
    is part of the cache's key: code that an older version compiled is never run.
    """

    def advance(  # noqa: C901
        data, walk, code, momentum_kind, beta, memory, kept_table, matrices, work, direction_scratch, space,
        graded, kept, taken,
    ):  # fmt: skip
        """Advance one run in place, a step for each size.

        Return in how many the rank cut-off took effect, how many were taken, and why there are no more: the
        next hangs on residuals that compiled code does not keep, or the direction of what it follows on
        coefficients, which then were found.

        ``walk`` and ``memory`` are a loop.Walk and a loop.Memory, ``kept_table`` a table.Table or None,
        ``matrices`` three [k, d] of scratch space, ``graded`` the space where directions may come from the
        terms of a signal, or None, ``kept`` the coefficients of an average, or None, and ``taken`` scratch
        space for theirs: for None code of its own is compiled, in less time.
        """
        assert sources
        n, m, b, start, first_epoch = (
            data[0].shape[0],
            walk.batches,
            walk.batch_size,
            walk.start,
            walk.first_epoch,
        )
        kind, power, across = code.kind, code.power, code.across
        step_sizes, orders, snapshots = walk.step_sizes, walk.orders, walk.snapshots
        W, momentum, momentum_scale = memory.weights, memory.momentum, memory.momentum_scale
        snapshot, snapshot_gradient = memory.snapshot, memory.snapshot_gradient
        snapshot_scale, previous = memory.snapshot_scale, memory.previous
        corrected = snapshots.shape[0] > 0
        cutoff, least, by_rows, most = walk.cutoff, walk.least, walk.by_rows, walk.rank
        takes_means, weighted = walk.takes_means, m / n
        sums, small = work[7], walk.least * data[4]
        everything = walk.everything
        signal, there, step_direction = matrices
        truncated = 0
        scale = -np.inf
        totals, labels, largest_length, loss_kind = space.totals, data[2], data[4], data[6]
        for offset in range(step_sizes.shape[0]):
            step = start + offset
            # What absolute coefficients add up to is known of a snapshot that was taken here.
            if corrected and (snapshots[offset] or (offset == 0 and least > 0.0)):
                if snapshots[offset]:
                    scale_into(W, 1.0, snapshot)
                snapshot_scale[0] = gradient(
                    data, everything, snapshot, 1.0 / n, work, snapshot_gradient, by_rows, taken
                )
                copy_row(totals, 2, work[7], 0)
                if kept is not None:
                    if not renewed_quickly(labels, orders, first_epoch, m, b, step, taken, kept):
                        record_deferred(data, orders, first_epoch, m, b, kept)
                        if not kept_rows(
                            data, everything, snapshot, work, taken[0], taken[1], 1.0 * n, 1.0, kept
                        ):
                            return truncated, offset, BY_REFERENCE
                        renew(step, kept)
                        note_even(kept)
                    copy_totals(totals[2], kept.compared_sizes)
                    kept.compared_scale[0] = snapshot_scale[0]
            position = step % m
            order = everything if m == 1 else orders[step // m - first_epoch]
            indices = order[position * b : min(n, (position + 1) * b)]
            factor = factor_of(takes_means, indices, weighted)
            rounding, kept_scale = 0.0, -np.inf
            log_rounding = log_terms = -np.inf
            if kept_table is not None:
                if kept is not None and position == 0:
                    # Before the table's rows, which were put down, are replaced.
                    record_table(data, orders, first_epoch, m, b, False, kept_table, kept)
                    total_compared(labels, kept)
                log_rounding, log_terms = kept_table.logarithms[ROUNDING], kept_table.logarithms[TERMS]
                scale = table_step(data, indices, W, factor, work, kept_table, signal)
            else:
                scale = gradient(data, indices, W, factor, work, signal, by_rows, taken)
            if kept is not None:
                if kept_table is not None:
                    kept_scale, rounding = table_totals(
                        indices.shape[0], factor, largest_length, log_rounding, log_terms, kept_table, kept,
                        kept.totals,
                    )  # fmt: skip
                    if not put_down(indices.shape[0], step, factor, kept_table, kept.deferred):
                        record_table(data, orders, first_epoch, m, b, False, kept_table, kept)
                        kept_rows(
                            data, indices, W, work, kept_table.new_rows, kept_table.new_scales,
                            factor, factor, kept,
                        )  # fmt: skip
                        record(data, indices, 0, step, True, True, factor, kept)
                else:
                    # Of a callback it is not known beforehand that all rows are to be had.
                    quickly = not corrected and loss_kind != CALLBACK
                    first = 0
                    if quickly:
                        first = add_quickly(
                            labels, indices, taken[0], taken[1], kept.mantissas, kept.scales, kept.steps,
                            kept.references, kept.reference, kept.beta, kept.head, kept.tail, step,
                        )  # fmt: skip
                    if corrected and position == 0:
                        record_deferred(data, orders, first_epoch, m, b, kept)
                    later = corrected and loss_kind != CALLBACK
                    later = later and defer(indices, step, factor, taken, kept.deferred)
                    if not later and first < indices.shape[0]:
                        if corrected:
                            record_deferred(data, orders, first_epoch, m, b, kept)
                            kept.deferred.counts[EVEN] = 0
                        if not kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept):
                            return truncated, offset, BY_REFERENCE
                        record(data, indices, first, step, corrected, False, factor, kept)
            here_scale, there_scale = scale, -np.inf
            parts = size_here = size_there = 0.0
            if corrected:
                copy_row(totals, 0, work[7], 0)
                there_scale = gradient(data, indices, snapshot, factor, work, there, by_rows, taken)
                copy_row(totals, 1, work[7], 0)
                if most > 0:
                    size_here, size_there = sum_of_squares(signal), sum_of_squares(there)
                scale = add_scaled(signal, scale, 1.0, there, there_scale, -1.0)
                scale = add_scaled(signal, scale, 1.0, snapshot_gradient, snapshot_scale[0], 1.0)
                if most > 0:
                    # Singular values must be no small part of what was added up either.
                    parts = CERTAIN_RATIO * (
                        math.sqrt(size_here) * math.exp(here_scale - scale)
                        + math.sqrt(size_there) * math.exp(there_scale - scale)
                        + math.sqrt(sum_of_squares(snapshot_gradient)) * math.exp(snapshot_scale[0] - scale)
                    )
            followed, followed_scale, rank = signal, scale, 0
            # A step that is not certain is left to the caller, as it was before.
            if least > 0.0 and (corrected or suspicious(sums, small, signal)) and doubtful(
                kind, least, data, corrected, indices, everything, work, space,
                here_scale, there_scale, snapshot_scale[0], scale, signal,
            ):  # fmt: skip
                if kind != MAX or corrected:
                    return truncated, offset, BY_REFERENCE
                if not graded_signs(least, data, indices, W, factor, work, sums, space, signal, there):
                    return truncated, offset, BY_REFERENCE
                followed = there
            if beta > 0.0 and momentum_kind != HEAVY_BALL:
                momentum_scale[0] = add_scaled(momentum, momentum_scale[0], beta, signal, scale, 1.0 - beta)
                if momentum_kind == NESTEROV:
                    scale = add_scaled(signal, scale, 1.0 - beta, momentum, momentum_scale[0], beta)
                    followed_scale = scale
                else:
                    followed, followed_scale = momentum, momentum_scale[0]
            else:
                rank = min(most, n if corrected else indices.shape[0])
            if kept is not None:
                if kept_table is None:
                    kept_scale = here_scale
                    if corrected:
                        copy_totals(kept.compared_sizes, totals[2])
                        full_scale = kept.compared_scale[0]
                        add_totals(totals, here_scale, there_scale, full_scale, here_scale)
                        copy_totals(totals[3], kept.totals)
                    else:
                        copy_totals(sums[0], kept.totals)
                parts = sized(
                    largest_length, kept.totals, kept.sizes, kept.sizes_scale, kept.bounds, rounding,
                    kept_scale, followed_scale, kept.beta, kept.ahead, kept.of_sign, kept.of_rounding,
                )  # fmt: skip
                rank, whole = most, 0.0
                if most == 0:
                    whole = needed(kind, power, across, followed, kept.bounds, kept.wholes)
                if most == 0 and not certain(followed, kept.bounds, power, whole, kept.wholes):
                    if kept_table is None and not corrected:
                        kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept)
                    if corrected:
                        record_deferred(data, orders, first_epoch, m, b, kept)
                    if kept_table is not None:
                        record_table(data, orders, first_epoch, m, b, True, kept_table, kept)
                    found_coefficients(data, indices, step, corrected or kept_table is not None, kept)
                    if not repair(
                        data, followed, followed_scale, kind == MAX, power, whole, kept.wholes, kept
                    ):
                        if beta == 0.0:
                            scale_into(signal, 1.0, momentum)
                            momentum_scale[0] = scale
                        return truncated, offset, FROM_TERMS
                    followed = kept.matrix
            found = direction(
                kind, power, across, followed, step_direction, direction_scratch, cutoff, rank, parts
            )
            if graded is not None and found == DOUBTFUL:
                if kept is not None:
                    if kept_table is None and not corrected:
                        kept_rows(data, indices, W, work, taken[0], taken[1], 1.0, factor, kept)
                    if corrected:
                        record_deferred(data, orders, first_epoch, m, b, kept)
                    if kept_table is not None:
                        record_table(data, orders, first_epoch, m, b, True, kept_table, kept)
                    found_coefficients(data, indices, step, corrected or kept_table is not None, kept)
                    if not graded_direction_of(power, data, kept, graded, step_direction):
                        if beta == 0.0:
                            scale_into(signal, 1.0, momentum)
                            momentum_scale[0] = scale
                        return truncated, offset, FROM_TERMS
                elif not graded_direction(
                    power, data, corrected, indices, everything, W, snapshot, factor, 1.0 / n,
                    work, graded, step_direction,
                ):  # fmt: skip
                    return truncated, offset, BY_REFERENCE
            truncated += found % DOUBTFUL
            if momentum_kind == HEAVY_BALL:
                move_on(W, step_sizes[offset], step_direction, beta, previous)
            else:
                move(W, step_sizes[offset], step_direction)
        if kept is not None and corrected:
            record_deferred(data, orders, first_epoch, m, b, kept)
        if kept is not None and kept_table is not None:
            record_table(data, orders, first_epoch, m, b, False, kept_table, kept)
        if beta == 0.0:
            scale_into(signal, 1.0, momentum)
            momentum_scale[0] = scale
        return truncated, step_sizes.shape[0], DONE

    return compiled_and_kept(advance, borrows=True)


def _digest_of_sources() -> str:
    modules = (losses, norms, kernels, gradients, directions, exactness, certainty, graded_kernels, table)
    modules = (*modules, deferred, table_terms, terms, shared_scales, signals, numbers, averages, saga)
    files = [each.__file__ for each in modules if each.__file__ is not None]
    return hashlib.sha256(b"".join(Path(each).read_bytes() for each in files)).hexdigest()


advance = _compiled_advance(_digest_of_sources())
