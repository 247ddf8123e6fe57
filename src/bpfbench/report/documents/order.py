# SPDX-License-Identifier: Apache-2.0
"""What a run says of its own trials, in sentences and for programs: whether their order mattered, and its noise.

Data:

    order    trials, blocks, found, place, predecessor, notes[]
    place, predecessor   {effects[] {what, n, ratio, interval {low, high}, p}, f, freedom [terms, rest], p, p_corrected,
             found, reason}; f to p_corrected are null where it could not be tested, for the reason given
    noise    {workloads[] {workload {...}, n, ratio, interval, log_sd, p}, pooled {n, ratio, interval, log_sd, p} or
             null, reason}
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from bpfbench.analysis.inference import Noise, Paired
from bpfbench.analysis.order import Effect, Examined, Itself, Order, OrderTest, Twins, examine, labels
from bpfbench.analysis.results import Results
from bpfbench.report.numbers import p_value
from bpfbench.report.wording import Said


def said(results: Results) -> Said:
    """Examine a run, and say what came of it."""
    found = examine(results)
    return Said(sentences(found), tuple(warnings(found.order)), data(found))


def sentences(found: Examined) -> tuple[str, ...]:
    """Return one sentence on the order of trials, and one on noise."""
    return order_sentence(found.order), noise_sentence(found.itself)


def order_sentence(order: Order) -> str:
    """Say whether place and predecessor made a difference."""
    place, predecessor = order.place, order.predecessor
    if place.p is None and place.reason == predecessor.reason:
        return " ".join((f"Order: its effect cannot be tested: {place.reason}.", *order.notes))
    what = f"Order: {_told('the place in the block', place)}; {_told('what ran right before', predecessor)}."
    return " ".join((what, *order.notes))


def _told(what: str, test: OrderTest) -> str:
    if test.p is None:
        return f"an effect of {what} cannot be tested: {test.reason}"
    verdict = f"{what} made a difference" if test.found else f"no effect of {what} was found"
    return f"{verdict} (p {p_value(test.p)}): {_listed(test.effects)}"


def _listed(effects: Sequence[Effect]) -> str:
    """Name the effects of a test, those on workloads in brackets behind the one on all."""
    each = ", ".join(
        f"{effect.what.removeprefix('first, ')} {_ratio(effect)}" for effect in effects if "first, " in effect.what
    )
    texts = []
    for effect in effects:
        if effect.what == "first":
            behind = f" ({each})" if each else ""
            texts.append(f"its first trials took {_ratio(effect)} times what later ones did{behind}")
        elif effect.what.startswith("after "):
            texts.append(f"{effect.what} {_ratio(effect)} times")
    end = " what trials after a tracer took" if any(effect.what.startswith("after ") for effect in effects) else ""
    return ", ".join(texts) + end


def _ratio(found: Effect | Paired) -> str:
    ends = "" if found.interval is None else f" [{found.interval.low:.2f}, {found.interval.high:.2f}]"
    return f"{found.ratio:.2f}{ends}"


def noise_sentence(itself: Itself) -> str:
    """Say by how much vanilla differed from itself."""
    pooled = itself.pooled
    if pooled is None:
        return f"Noise: vanilla was not compared with itself: {itself.reason}."
    took = f"the later took {_ratio(pooled.paired)} times the earlier"
    if pooled.noise is None:
        return f"Noise: of the two vanilla trials of the one block that has two, {took}."
    names = labels([workload for workload, _ in itself.workloads])
    each = [
        f"{name} {_percent(own.noise)} %" for name, (_, own) in zip(names, itself.workloads, strict=True) if own.noise
    ]
    behind = f"; {', '.join(each)}" if len(each) > 1 else ""
    return (
        f"Noise: in a single block, vanilla against itself varied by {_percent(pooled.noise)} % (SD of the ratio of its"
        f" two trials, {pooled.noise.n} blocks{behind}); {took}."
    )


def _percent(noise: Noise) -> str:
    return f"{100 * math.expm1(noise.sd):.1f}"


def warnings(order: Order) -> Iterator[str]:
    """Say loudly that order mattered."""
    tests = {"their place in the block": order.place, "what ran right before": order.predecessor}
    if found := [what for what, test in tests.items() if test.found]:
        yield (
            f"The order of trials made a difference: what they took depends on {' and on '.join(found)}. Ratios are"
            " wrong by as much wherever that trial is one of a pair; the sentence on order has the sizes."
        )


def data(found: Examined) -> dict[str, Any]:
    """Return the same for programs."""
    order = dataclasses.asdict(found.order) | {"found": found.order.found}
    for name, test in (("place", found.order.place), ("predecessor", found.order.predecessor)):
        order[name]["found"] = test.found
    workloads = [{"workload": dataclasses.asdict(workload), **_twins(own)} for workload, own in found.itself.workloads]
    pooled = found.itself.pooled
    noise = {"workloads": workloads, "pooled": None if pooled is None else _twins(pooled)}
    return {"order": order, "noise": noise | {"reason": found.itself.reason}}


def _twins(own: Twins) -> dict[str, Any]:
    paired = own.paired
    interval = None if paired.interval is None else dataclasses.asdict(paired.interval)
    log_sd = None if own.noise is None else own.noise.sd
    return {"n": paired.n, "ratio": paired.ratio, "interval": interval, "log_sd": log_sd, "p": paired.p}
