"""EZ-VSL's evaluator, the field's standard: the half of the image with the highest values."""

from dataclasses import replace

from training.evaluation.protocol import MapProtocol

EZVSL = MapProtocol("ezvsl", "EZ-VSL 95ff5bf test.py validate (FNAC test.py, first run, is the same)")
_TRAIN = replace(
    EZVSL, name="ezvsl_train", interpolation="bicubic", align_corners=False,
    source="EZ-VSL 95ff5bf train.py validate, which selects best.pth, of audio-visual maps alone",
)  # fmt: skip
PROTOCOLS = (
    EZVSL,
    _TRAIN,
    replace(
        _TRAIN, name="fnac_bicubic", object_enlarging="bilinear_aligned",
        source="FNAC test.py, second run, as read (not run): only the audio-visual map is enlarged bicubic",
    ),
)  # fmt: skip
