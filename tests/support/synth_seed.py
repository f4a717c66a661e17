"""The world that the tests of the drawn corpus look at."""

CLIPS, SEED = 10, 3
SCENES = 2100  # gives about 400 test clips with boxes
SIDE = 224
