"""DSOL's evaluators on MUSIC: one map of a solo frame, and a map for each cluster of a frame of several instruments."""

from dataclasses import replace

from training.evaluation.protocols.ezvsl import EZVSL
from training.evaluation.tasks.several_sources import ClusterProtocol

CODED_CLUSTERS = 11  # eval.py of the synthetic set stops there whatever the number of clusters
PROTOCOLS = (
    replace(
        EZVSL, name="dsol", align_corners=False, scaling="none", stretch=False, rule="fraction_of_max", level=0.1,
        comparator=">", source="DSOL 7f40207 tools.py cal_ciou on MUSIC-solo",
    ),
    ClusterProtocol("music_synthetic", "DSOL 7f40207 eval.py", fraction=0.5, clusters_checked=CODED_CLUSTERS),
    ClusterProtocol("music_duet", "DSOL 7f40207 eval_duet.py", fraction=0.2, clusters_checked=None),
)  # fmt: skip
