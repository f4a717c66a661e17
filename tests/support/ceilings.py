"""The most that any half of the image reaches on VGG-SS and its parts, computed from the public boxes."""

from training.evaluation.protocol import MapProtocol, Protocol

# test set -> comparator -> cIoU@0.5 and AUC; `test_golden_vggss_real.py` holds them against the released files
HALF_IMAGE = {
    "vggss": {">=": (0.50543, 0.49474), ">": (0.50485, 0.49470)},
    "vggss-vggss_alignment": {">=": (0.50870, 0.49727), ">": (0.50806, 0.49722)},
    "vggss-vggss_heartheflow": {">=": (0.50450, 0.49418), ">": (0.50385, 0.49413)},
    "vggss-vggss_ssltie": {">=": (0.50580, 0.49458), ">": (0.50519, 0.49454)},
    "vggss-vggss_sspl": {">=": (0.50554, 0.49461), ">": (0.50490, 0.49457)},
    "vggss-vggss_heard_test": {">=": (0.48362, 0.48202), ">": (0.48284, 0.48196)},
    "vggss-vggss_unheard_test": {">=": (0.52388, 0.50546), ">": (0.52350, 0.50543)},
    "vggss-ssltie_heard_test": {">=": (0.51381, 0.49989), ">": (0.51340, 0.49987)},
    "vggss-ssltie_unheard_test": {">=": (0.49777, 0.48946), ">": (0.49695, 0.48939)},
}


def known_ceiling(test_set: str, protocol: Protocol | None) -> dict[str, float]:
    """The ceiling of a set under a protocol, as a result would hold it; empty where none is known.

    The positives of the extended set are VGG-SS.
    """
    of_set = HALF_IMAGE.get(test_set.removeprefix("extended_"))
    if of_set is None or not isinstance(protocol, MapProtocol) or protocol.rule != "top_share":
        return {}
    return dict(zip(("ciou50", "auc"), of_set[protocol.comparator], strict=True))
