"""EZ-VSL's evaluator, the field's standard: the half of the image with the highest values."""

from dataclasses import replace

from training.evaluation.protocol import MapProtocol

EZVSL = MapProtocol("ezvsl", "EZ-VSL 95ff5bf test.py validate (FNAC test.py, first run, is the same)")
PROTOCOLS = (
    EZVSL,
    replace(
        EZVSL, name="ezvsl_train", interpolation="bicubic", align_corners=False,
        source="EZ-VSL 95ff5bf train.py validate, which selects best.pth (FNAC test.py, second run)",
    ),
)  # fmt: skip
