"""From raw maps and truth to numbers. Where input is degenerate, this is what happens; `training protocols` prints it.

input                             answer
constant map                      by rank as the protocol's released code: `>=` predicts everything, `>` nothing, `lvs`
                                  one or the other by the value's sign; at a fixed level, or a share of the maximum,
                                  everything or nothing by the value; flagged `constant_map` and counted; nothing is
                                  predicted under `textbook` and `+exact`
ties at a rank threshold          as the released code (all in, or all out), with `tie_share` beside the score; under
                                  `textbook` and `+exact` exactly the asked pixels, row by row from the top left
no box covers a pixel             stays a positive that can only be lost, flagged `empty_truth`, counted `n_empty_truth`
empty prediction on empty truth   cIoU 0 (0/0, NaN in released code)
NaN or infinity in a map, a       refused with the clip's name: such pixels have no ranking (released code silently
confidence or a similarity        predicts nothing, or nearly everything)
a number beyond 1e30 in a map     refused with the number: what is stretched and added up must fit float32
a map that float32 would blur     refused with its range: of 64-bit numbers that differ little beside their size, ranks
                                  would be lost (less than 1024 steps); what differs by rounding alone is constant
a clip without a predicted box    nothing is predicted; its confidence is 0, or below every score where one is 0 or less
predicted box without area        covers nothing, counted `without_area`
box outside the frame             clipped to it, flagged `outside_box`
inverted, zero-area, sentinel     covers nothing, the clip stays; flagged `degenerate_box`
the same box twice                union unchanged, flagged `duplicate_box`, counts as two objects as in EZ-VSL's figure;
                                  in Flickr-SoundNet two boxes are two opinions and make consensus
more than ten boxes               no limit
truth of the whole image        cIoU exactly 0.5: passes under `>=` (ezvsl), misses by a pixel under `>` (kaist, lvs)
one or two samples, or one        coded AP is exactly 0, also of a perfect answer, as in SLAVC; textbook AP stands
confidence for all                beside it, with `confidence_tie_share`
only negatives, or no box at all  refused: there is no positive clip to localize
only positives                    AP and max-F1 as defined; no `negatives` given: neither is reported
no sample at all                  refused
an empty size bucket              n = 0 and no number (null), never 0
batch size, order, processes      change nothing: thresholds and truth belong to one sample, none is repeated
extra nodes in a Flickr XML       ignored
AVSBench frame without truth      IoU is the share of background; left out of F; a video of such frames counts F 0
MUSIC frame without boxes         not scored, counted `n_without_boxes`; all clusters sound: left out of NSA, counted
equal similarities in retrieval   the recall to be expected of a random order of what ties: a constant matrix scores
                                  as chance does
"""
