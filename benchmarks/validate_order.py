# SPDX-License-Identifier: Apache-2.0
"""What a trial owes to the one before: reads and writes in alternating blocks, as they were run once and as they are.

    sudo .venv/bin/python benchmarks/validate_order.py [--blocks N] [--scale S] [--keep DIRECTORY] [--json FILE]
    .venv/bin/python benchmarks/validate_order.py --from DIRECTORY

A block is vanilla twice and four tracers under rw-tracer, in the order that the plan of such a study gives them; a
block of reads, a block of writes, and so on, so that the first trial of each follows another workload. Both protocols
run the same plan. In turns of two blocks (was, is, is, was, ...), so that the machine's drift is the same to both.

    as it was    no warm-up; the reference of a ratio is one vanilla trial of the block, at a random place
    as it is     a discarded warm-up before each block; the reference is the mean of the block's two vanilla trials

As it was, vanilla runs twice as well, so that blocks are equally long; a ratio to one of them, whichever, is what a
block with a single vanilla has. (The page cache is dropped right before fio in both: what that changed is not shown.)

Twenty blocks of each, at the default scale, take about ten minutes where a trial takes one to three seconds.

Printed: what the first trial of a block took over what later ones took, each over what its own cell takes later, with
its 95 % interval over blocks (Student's t on logarithms), and the same of the regression of analysis/order.py with its
tests; vanilla against itself; and the SD of the logarithms of the paired ratios, by cell and pooled, with the ratio of
SDs, as it is / as it was, and its 95 % interval (bootstrap over blocks).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpfbench import cli
from bpfbench.analysis import inference, order
from bpfbench.analysis.inference import Paired
from bpfbench.analysis.order import Timed
from bpfbench.analysis.results import of, pairing
from bpfbench.codec import from_json
from bpfbench.declare import plan, study
from bpfbench.declare.study import Override
from bpfbench.machine.turn import alone
from bpfbench.model import VANILLA, Record, Sources, Status, Study, Trial, TrialSpec
from bpfbench.report.documents import order as worded
from bpfbench.run import campaign
from bpfbench.testbed import image
from bpfbench.testbed.host import HostTestbed, headers_here

Array = NDArray[np.float64]

WAS, IS = "as it was", "as it is"
PROTOCOLS = (WAS, IS)

STUDY = """
name = "order"
[factors]
setups = ["libbpf", "ebpf-go", "aya-async", "bcc"]
tools = "rw-tracer"
workloads = ["read", "write"]
attach = "tracepoint"
format = "text"
"""

RESAMPLES = 2000
SEED = 1


def planned(blocks: int, scale: float) -> tuple[Study, list[tuple[Trial, ...]]]:
    """Return the study, and its trials block by block: reads, writes, reads, ..."""
    given = {"repetitions": Override("--blocks", math.ceil(blocks / 2)), "factors.scale": Override("--scale", scale)}
    chosen = study.parse(STUDY, "validate_order", given)
    found: defaultdict[int, list[Trial]] = defaultdict(list)
    for trial in plan.unroll(chosen).trials:
        found[trial.block].append(trial)
    ordered = sorted(found.values(), key=lambda own: (own[0].repetition, own[0].workload.name))
    return chosen, [tuple(own) for own in ordered]


def schedule(blocks: Sequence[tuple[Trial, ...]]) -> Iterator[tuple[str, tuple[Trial, ...]]]:
    """Yield which protocol runs which blocks: two of one, the same two of the other, and who is first by turns."""
    for number in range(0, len(blocks), 2):
        for protocol in PROTOCOLS if number % 4 == 0 else PROTOCOLS[::-1]:
            for own in blocks[number : number + 2]:
                yield protocol, own


def measure(blocks: int, scale: float, keep: Path) -> None:
    """Run both protocols, and leave their records in `keep`."""
    cache = cli.cache_dir()
    chosen, planned_blocks = planned(blocks, scale)
    ready = image.build(cache, chosen.image, Sources(), lambda *_: None)
    testbed = HostTestbed(ready, headers_here(ready, cache), cache / "data", cache / "output")
    places = plan.places(trial for own in planned_blocks for trial in own)
    before: Trial | None = None
    begun_s = time.monotonic()
    with alone():
        testbed.lay_out(TrialSpec(planned_blocks[0][0], chosen.settings), lambda _: None)
        for number, (protocol, own) in enumerate(schedule(planned_blocks), 1):
            for trial in own:
                warm_up = plan.warm_up(trial, before) if protocol == IS else None
                for run in (warm_up, trial) if warm_up else (trial,):
                    predecessor = campaign.predecessor(before) if before else None
                    spec = TrialSpec(run, chosen.settings, predecessor=predecessor, place=places.get(run.id))
                    directory = keep / protocol / run.id
                    directory.mkdir(parents=True)
                    record = testbed.run(spec, directory, lambda _: None)
                    if record.status is not Status.OK:
                        print(f"{protocol}, {run.id}: {record.status}: {record.reason}", flush=True)
                    before = run
            took_s = time.monotonic() - begun_s
            print(f"{number} of {2 * len(planned_blocks)} blocks, {took_s:.0f} s: {protocol}", flush=True)


def read(keep: Path, protocol: str) -> list[Record]:
    """Return what a protocol left, without its warm-ups."""
    paths = (keep / protocol).glob("*/record.json")
    found = [from_json(Record, path.read_bytes()) for path in paths]
    return sorted((record for record in found if not record.trial.warm_up), key=lambda record: record.trial.index)


def by_workload(found: Sequence[Timed]) -> dict[str, list[Timed]]:
    """Return the trials of each workload, and of all."""
    names = sorted({item.cell.workload.name for item in found})
    return {name: [item for item in found if item.cell.workload.name == name] for name in names} | {"all": list(found)}


def first_over_later(found: Sequence[Timed], *, vanilla: bool = False) -> Paired | None:
    """Compare the first trial of each block with its later ones, each over what its own cell takes when it is later.

    Args:
        found: the trials.
        vanilla: look at vanilla alone: blocks in which it is first, over its other trial there.
    """
    chosen = [item for item in found if item.record.trial.is_vanilla] if vanilla else list(found)
    usual: defaultdict[Any, list[float]] = defaultdict(list)
    for item in chosen:
        if item.place > 1:
            usual[item.cell].append(item.log)
    blocks: defaultdict[Any, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for item in chosen:
        if own := usual[item.cell]:
            blocks[pairing(item.record)][item.place == 1].append(item.log - float(np.mean(own)))
    logs = [float(np.mean(own[True]) - np.mean(own[False])) for own in blocks.values() if own[True] and own[False]]
    return inference.ratios([logs])[0] if len(logs) > 1 else None


@dataclass(frozen=True, slots=True)
class Ratios:
    """The logarithms of the paired ratios of a workload under a protocol: blocks x cells x references. NaN: no pair."""

    cells: tuple[str, ...]
    one: Array
    """References: either of the block's two vanilla trials."""
    both: Array
    """Reference: their mean."""


def ratios(found: Sequence[Timed]) -> Ratios:
    """Return the paired ratios of trials of one workload, of the blocks in which both vanilla trials count."""
    blocks: defaultdict[Any, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in found:
        blocks[pairing(item.record)][item.record.trial.setup].append(item.log)
    cells = tuple(sorted({item.record.trial.setup for item in found} - {VANILLA}))
    whole = [own for own in blocks.values() if len(own[VANILLA]) == 2]
    logs = np.array([[own[cell][0] if own[cell] else math.nan for cell in cells] for own in whole])
    one = logs[:, :, None] - np.array([own[VANILLA] for own in whole])[:, None, :]
    return Ratios(cells, one, one.mean(axis=2, keepdims=True))


def variances(values: Array) -> Array:
    """Return the sample variance over blocks, by cell: (resamples x) blocks x cells x references -> (...) x cells.

    Of two references, that of a reference which is either of them, by chance, in every block.
    """
    squares = np.nanmean((values - np.nanmean(values, axis=(-3, -1), keepdims=True)) ** 2, axis=-1)
    return np.asarray(np.nansum(squares, axis=-2) / (np.sum(~np.isnan(squares), axis=-2) - 1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Fall:
    """SDs of the logarithms of paired ratios under either protocol, and what became of them."""

    what: str
    was: float
    was_both: float
    """As it was, but with the mean of both vanilla trials as the reference."""
    now_one: float
    """As it is, but with one vanilla as the reference."""
    now: float
    ratio: float
    """now / was."""
    low: float
    high: float


def falls(was: Mapping[str, Ratios], now: Mapping[str, Ratios]) -> Iterator[Fall]:
    """Yield what became of the SD: of all cells pooled, of each workload's, and of each cell."""
    rng = np.random.default_rng(SEED)
    plain: dict[str, list[Array]] = {}
    drawn: dict[str, list[Array]] = {}
    for name in was:
        plain[name] = [variances(own) for side in (was[name], now[name]) for own in (side.one, side.both)]
        drawn[name] = [variances(_resampled(rng, own)) for own in (was[name].one, now[name].both)]
    every = slice(None)
    shown = [("all", list(was), every), *((name, [name], every) for name in was)]
    shown += [(f"{name}, {cell}", [name], slice(n, n + 1)) for name in was for n, cell in enumerate(was[name].cells)]
    for what, names, cells in shown:
        sds = [float(_pooled([plain[name][number][cells] for name in names])) for number in range(4)]
        before, after = (_pooled([drawn[name][number][:, cells] for name in names]) for number in range(2))
        low, high = np.nanquantile(after / before, (0.025, 0.975))
        was_one, was_both, now_one, now_both = sds
        yield Fall(what, was_one, was_both, now_one, now_both, now_both / was_one, float(low), float(high))


def _resampled(rng: np.random.Generator, values: Array) -> Array:
    """Draw blocks."""
    return values[rng.integers(len(values), size=(RESAMPLES, len(values)))]


def _pooled(own: Sequence[Array]) -> Array:
    """Return the SD within cells, from their variances in the last axis."""
    return np.asarray(np.sqrt(np.mean(np.concatenate(own, axis=-1), axis=-1)), dtype=np.float64)


def report(keep: Path) -> dict[str, Any]:
    """Print what the records in `keep` come to, and return it."""
    records = {protocol: read(keep, protocol) for protocol in PROTOCOLS}
    found = {protocol: by_workload(order.timed(of(own))) for protocol, own in records.items()}
    examined = {protocol: order.examine(of(own)) for protocol, own in records.items()}
    print("\nFirst trials of a block / later ones")
    print("| protocol | workload | blocks | first / later | p | vanilla alone | blocks |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    firsts = []
    for protocol in PROTOCOLS:
        for name, own in found[protocol].items():
            every, vanilla = first_over_later(own), first_over_later(own, vanilla=True)
            p = "-" if every is None or every.p is None else f"{every.p:.2g}"
            print(f"| {protocol} | {name} | {_n(every)} | {_ratio(every)} | {p} | {_ratio(vanilla)} | {_n(vanilla)} |")
            firsts.append({"protocol": protocol, "workload": name, "all": _json(every), "vanilla": _json(vanilla)})
    print("\nThe regression, and vanilla against itself")
    for protocol in PROTOCOLS:
        for sentence in worded.sentences(examined[protocol]):
            print(f"- {protocol}: {sentence}")
    was, now = ({name: ratios(own) for name, own in found[protocol].items() if name != "all"} for protocol in PROTOCOLS)
    print("\nSD of the logarithms of paired ratios to vanilla")
    print("| | as it was | mean of 2 vanilla alone | warm-up alone | as it is | as it is / as it was |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    sds = list(falls(was, now))
    for fall in sds:
        print(
            f"| {fall.what} | {fall.was:.3f} | {fall.was_both:.3f} | {fall.now_one:.3f} | {fall.now:.3f} | "
            f"{fall.ratio:.2f} [{fall.low:.2f}, {fall.high:.2f}] |"
        )
    return {
        "trials": {protocol: dict(Counter(record.status for record in own)) for protocol, own in records.items()},
        "first_over_later": firsts,
        "examined": {protocol: worded.data(own) for protocol, own in examined.items()},
        "sd": [asdict(fall) for fall in sds],
    }


def _ratio(found: Paired | None) -> str:
    if found is None or found.interval is None:
        return "-"
    return f"{found.ratio:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]"


def _n(found: Paired | None) -> str:
    return "-" if found is None else str(found.n)


def _json(found: Paired | None) -> dict[str, Any] | None:
    if found is None:
        return None
    interval = None if found.interval is None else asdict(found.interval)
    return {"n": found.n, "ratio": found.ratio, "interval": interval, "p": found.p}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--blocks", type=int, default=20, help="of each protocol, an even number (default: 20)")
    parser.add_argument("--scale", type=float, default=1 / 96, help="1 is 32 GiB per process (default: 1/96)")
    parser.add_argument("--keep", type=Path, help="keep the records in this new directory")
    parser.add_argument("--from", dest="kept", type=Path, help="measure nothing: read the records that were kept there")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    if options.blocks < 4 or options.blocks % 2:
        parser.error("--blocks: an even number, 4 at least")
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.kept or options.keep or Path(temporary)
        if not options.kept:
            measure(options.blocks, options.scale, keep)
        found = report(keep)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
