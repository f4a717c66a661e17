"""What some methods share: what is computed of maps, of clusters, of mixed sounds and of several images of a clip.

What most of them share lies beside this room: `training.similarity`, `training.losses`, `training.teacher`.
"""
