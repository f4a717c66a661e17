"""ACL-SSL's evaluator: fixed thresholds on probabilities, of which its paper reports the best."""

from dataclasses import replace

from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.ezvsl import EZVSL

ACL = replace(
    EZVSL, name="acl", interpolation="none", scaling="none", stretch=False, rule="fixed",
    source="ACL-SSL 57f4a6c VGGSS/eval_utils.py at threshold 0.5; `sweep` in results holds all 19",
)  # fmt: skip
PROTOCOLS = (ACL,)


def acl_sweep() -> tuple[MapProtocol, ...]:
    """The 19 thresholds 0.05 ... 0.95 of ACL-SSL, which reports the best of them: a choice made on the test set."""
    levels = [round(0.05 * step, 2) for step in range(1, 20)]
    return tuple(replace(ACL, name=f"acl@{level:.2f}", level=level) for level in levels)
