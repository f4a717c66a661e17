"""What the parts of a GPU check say together: switches, feeds and goals of speed, under the limits of the machine."""

from collections.abc import Mapping
from typing import Any

from benchmarks.step.limits import BY_COPIES, BY_PRODUCTS, PAIR_BYTES, PAIR_FLOP
from benchmarks.step.verdict import Goal, Plan, Switch, Way, verdict

PLAN = Plan(
    switches=(
        Switch("channels last", on="fixed", off="fixed, channels first"),
        Switch("one kernel for the optimiser", on="fixed", off="fixed, optimiser in a loop"),
        Switch("stem as a matrix product", on="fixed", off="fixed, stem as a convolution"),
        Switch("bfloat16", on="fixed", off="fixed, float32"),
        Switch("clips in GPU memory", on="resident", off="streamed"),
        Switch("bytes to the device, views there", on="streamed", off="streamed, views made by the readers"),
        Switch("copied beside the step", on="streamed", off="streamed, copied in the step"),
        Switch("compiled, of tensors", on="compiled, fixed", off="fixed"),
        Switch("compiled, clips in GPU memory", on="compiled, resident", off="resident"),
        Switch("compiled, streamed", on="compiled, streamed", off="streamed"),
        Switch("losses read steps later", on="compiled, resident", off="compiled, resident, losses read at once"),
    ),
    feeds={
        "resident": (Way("resident", "fixed"), Way("compiled, resident", "compiled, fixed")),
        "streamed": (Way("streamed", "fixed"), Way("compiled, streamed", "compiled, fixed")),
    },
    goals=(
        Goal("samples_per_second", 5000, remark="on one H100"),
        Goal("samples_per_second", 7000, remark="close to the limit of one H100"),
        Goal("of_tensors", 0.95),
        Goal("stall", 0.05, below=True),
        Goal("times_the_field", 10),
    ),
)
ON_PAPER = {  # pairs per second of an H100: 989 TFLOP/s in bfloat16, 3.35 TB/s
    "at 400 TFLOP/s": round(400e12 / PAIR_FLOP),
    "at 20 % of its matrix products": round(0.2 * 989e12 / PAIR_FLOP),
    "at 80 % of its memory bandwidth": round(0.8 * 3.35e12 / PAIR_BYTES["bfloat16"]),
}


def summary(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of whatever parts there are, whole or cut short."""
    speed, machine = parts.get("speed", {}), parts.get("machine", {})
    measured = machine.get("pairs_per_second", {})
    limits = {name: measured[name] for name in (BY_PRODUCTS, BY_COPIES) if name in measured}
    field = speed.get("as_the_field", {}).get("samples_per_second")
    return {"limits_of_an_h100_on_paper": ON_PAPER} | verdict(speed.get("rates", {}), field, limits, PLAN)
