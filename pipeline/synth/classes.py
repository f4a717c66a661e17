"""The sound classes of the toy world: for each its silhouette, its texture, the palettes it may wear, and its voice.

Neither colour nor outline alone tells a class: every palette is shared by several classes, outlines are stretched,
turned and mirrored, and the texture's period, phase and contrast vary. Together they do, as in the real world.
"""

from dataclasses import dataclass

from pipeline.synth import patterns, silhouettes
from pipeline.synth.audio import Timbre, Voice, harmonics
from pipeline.synth.patterns import Pattern
from pipeline.synth.silhouettes import Silhouette

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """The two colours of a texture and the accent of the trim, RGB 0 ... 255."""

    light: Colour
    dark: Colour
    accent: Colour


PALETTES = (
    Palette((250, 210, 70), (60, 40, 30), (240, 240, 235)),  # wasp
    Palette((240, 240, 235), (190, 30, 40), (40, 60, 140)),  # flag
    Palette((120, 190, 240), (20, 50, 120), (250, 200, 60)),  # sea
    Palette((170, 220, 110), (20, 90, 50), (230, 110, 60)),  # grass
    Palette((245, 170, 190), (130, 30, 110), (90, 200, 190)),  # berry
    Palette((250, 160, 70), (110, 40, 20), (120, 210, 200)),  # rust
    Palette((235, 235, 240), (40, 45, 60), (230, 60, 60)),  # ink
    Palette((90, 220, 205), (90, 30, 130), (250, 220, 120)),  # neon
    Palette((215, 190, 150), (90, 70, 50), (80, 130, 200)),  # sand
    Palette((200, 170, 250), (40, 80, 70), (250, 130, 120)),  # lilac
    Palette((250, 235, 130), (200, 60, 110), (60, 140, 90)),  # sherbet
    Palette((150, 205, 190), (170, 80, 40), (60, 60, 140)),  # verdigris
)
_PALETTE_STEPS = ((0, 4, 9), (0, 2, 7))  # a row per twelve classes: no two classes share all three


@dataclass(frozen=True)
class SoundClass:
    """One class: `label` is what the corpus's lists say, the rest is how it looks and sounds."""

    label: str
    silhouette: Silhouette
    pattern: Pattern
    voice: Voice


_PURE = harmonics(2, 2.5)
_ROUND = harmonics(4, 1.6)
_BRIGHT = harmonics(10, 0.9)
_BUZZY = harmonics(18, 0.6)
_HOLLOW = harmonics(9, 1.0, step=2)
_AIRY = harmonics(3, 1.5, breath=0.8)
_BRONZE = Timbre(((0.5, 0.4), (1, 1), (1.2, 0.7), (2.01, 0.8), (2.74, 0.6), (4.1, 0.4)))
_BRASS_BELL = Timbre(((1, 1), (1.5, 0.5), (2.4, 0.9), (3.9, 0.6), (5.2, 0.3)))
_WOOD = Timbre(((1, 1), (3.93, 0.35)))
_METAL_BAR = Timbre(((1, 1), (2.76, 0.6), (5.4, 0.25)))
_CHORD = Timbre(tuple((base * k, 1 / k) for base in (1, 1.26, 1.5) for k in (1, 2, 3, 4)))


def _noise(width: float, tone: float = 0.0) -> Timbre:
    return Timbre(((1.0, tone),) if tone else (), 1.0, width)


SOUND_CLASSES = (
    SoundClass("bell ringing", silhouettes.BELL, patterns.bricks, Voice(
        (420, 760), (_BRONZE, _BRASS_BELL), (1.0, 1.7), envelope="strike", length=(0.35, 0.6))),
    SoundClass("drum beating", silhouettes.DRUM, patterns.zigzag, Voice(
        (75, 130), (harmonics(3, 1, breath=0.5, breath_width=400), _noise(250, 1.0)), (4.0, 5.5),
        accents=(1, 0.45, 0.7, 0.45), envelope="strike", length=(0.06, 0.11), glide=(0.5, 0.0, 0.0))),
    SoundClass("bee, wasp buzzing", silhouettes.BEE, patterns.stripes, Voice(
        (170, 260), (_BUZZY, harmonics(18, 0.8, breath=0.5)), (0.7, 1.1), length=(0.98, 1.0), accents=(1, 0.6, 0.8),
        glide=(0, 0.12, -0.08, 0.0), wander=0.12)),
    SoundClass("siren wailing", silhouettes.SIREN, patterns.planks, Voice(
        (520, 700), (_ROUND, _BRIGHT, _PURE), (0.5, 0.9), length=(1.0, 1.0), glide=(0, 0.6, 1.0, 0.6, 0))),
    SoundClass("clock ticking", silhouettes.CLOCK, patterns.spokes, Voice(
        (2300, 3000), (_noise(900), _noise(500, 0.6)), (3.2, 4.4), accents=(1, 0.7), envelope="strike",
        length=(0.008, 0.016), melody=(0, -5))),
    SoundClass("bird chirping, tweeting", silhouettes.BIRD, patterns.scales, Voice(
        (2300, 3300), (_PURE, harmonics(1, 1)), (6.5, 9.0), accents=(1, 1, 1, 1, 0, 0, 0), envelope="swell",
        length=(0.65, 0.85), glide=(0.35, -0.25, 0.3))),
    SoundClass("steam train chuffing", silhouettes.TRAIN, patterns.mesh, Voice(
        (700, 1000), (_noise(700), _noise(500), _noise(900)), (2.8, 4.2), accents=(1, 0.55, 0.75, 0.55),
        envelope="swell", length=(0.6, 0.8), glide=(0.3, -0.3))),
    SoundClass("telephone ringing", silhouettes.TELEPHONE, patterns.checkers, Voice(
        (900, 1250), (Timbre(((1, 1), (1.26, 1), (2.5, 0.3))), _BRASS_BELL), (0.9, 1.2), length=(0.55, 0.7),
        tremolo=(14, 19), tremolo_sharpness=2)),
    SoundClass("whistle blowing", silhouettes.WHISTLE, patterns.dots, Voice(
        (2700, 3400), (harmonics(1, 1, breath=0.6, breath_width=150), harmonics(1, 1, breath=0.2)), (1.1, 1.7),
        rhythm=(1, 1, 2), length=(0.75, 0.85), vibrato=(11, 0.06), glide=(-0.1, 0, 0, 0, -0.15))),
    SoundClass("owl hooting", silhouettes.OWL, patterns.rosettes, Voice(
        (330, 460), (_PURE, harmonics(2, 2, breath=0.25)), (1.5, 2.0), rhythm=(0.6, 0.6, 2.0), envelope="swell",
        length=(0.65, 0.8), glide=(-0.12, 0.05, -0.15))),
    SoundClass("frog croaking", silhouettes.FROG, patterns.blotches, Voice(
        (650, 950), (harmonics(3, 0.9), _noise(300, 0.5)), (1.3, 1.9), accents=(1, 1, 0.6), length=(0.45, 0.6),
        glide=(-0.2, 0.15), tremolo=(24, 32), tremolo_sharpness=6)),
    SoundClass("duck quacking", silhouettes.DUCK, patterns.waves, Voice(
        (230, 320), (_BUZZY, harmonics(15, 0.4, step=2)), (2.2, 3.0), accents=(1, 0.9, 0.8, 0), envelope="swell",
        length=(0.45, 0.6), glide=(0.2, 0.1, -0.35))),
    SoundClass("helicopter", silhouettes.HELICOPTER, patterns.harlequin, Voice(
        (220, 340), (_noise(350), _noise(220, 0.5)), (0.5, 0.7), length=(1.0, 1.0), tremolo=(8.5, 12),
        tremolo_sharpness=5, wander=0.1)),
    SoundClass("sawing wood", silhouettes.SAW, patterns.pinstripes, Voice(
        (2000, 2700), (_noise(900), _noise(1300), _noise(700, 0.2)), (1.6, 2.6), accents=(1, 0.6), envelope="swell",
        length=(0.9, 1.0), glide=(-0.5, 0.5), melody=(0, -7))),
    SoundClass("kettle whistling", silhouettes.KETTLE, patterns.rings, Voice(
        (1300, 1700), (harmonics(3, 1.2, breath=1.0, breath_width=900), harmonics(2, 1, breath=0.6, breath_width=600)),
        (0.22, 0.26), length=(1.0, 1.0), glide=(-0.1, 0.25), vibrato=(5, 0.015))),
    SoundClass("motor idling", silhouettes.MOTOR, patterns.plain, Voice(
        (95, 150), (harmonics(5, 0.5), harmonics(6, 0.3, breath=0.5)), (2.0, 3.0), length=(1.0, 1.0),
        accents=(1, 0.85), tremolo=(17, 24), tremolo_sharpness=3, wander=0.06)),
    SoundClass("ship horn", silhouettes.SHIP, patterns.plaid, Voice(
        (120, 190), (_BRIGHT, _HOLLOW, harmonics(8, 0.5)), (0.55, 0.75), length=(0.62, 0.78),
        glide=(-0.08, 0, 0, 0, -0.1))),
    SoundClass("xylophone playing", silhouettes.XYLOPHONE, patterns.triangles, Voice(
        (650, 900), (_WOOD, _METAL_BAR, _PURE), (4.5, 6.5), envelope="strike", length=(0.08, 0.16),
        melody=(0, 2, 4, 7, 9, 12, 14), melody_is_drawn=True)),
    SoundClass("cricket chirping", silhouettes.CRICKET, patterns.dashes, Voice(
        (4100, 4900), (harmonics(1, 1), harmonics(1, 1, breath=0.3, breath_width=100)), (13, 17),
        accents=(0.8, 1, 1, 0, 0, 0), length=(0.6, 0.7))),
    SoundClass("cat meowing", silhouettes.CAT, patterns.crosshatch, Voice(
        (420, 600), (harmonics(7, 0.7), harmonics(6, 1.0, breath=0.15)), (0.9, 1.3), envelope="swell",
        length=(0.65, 0.8), glide=(-0.15, 0.35, 0.3, 0.1, -0.3))),
    SoundClass("morse code beeping", silhouettes.RADIO, patterns.confetti, Voice(
        (650, 1000), (harmonics(1, 1), _HOLLOW, _ROUND), (7, 9), rhythm=(1, 1, 2.4, 1, 2.4, 1, 1.6),
        accents=(1, 1, 1, 0, 1, 1, 0), length=(0.6, 0.75))),
    SoundClass("ray gun zapping", silhouettes.RAY_GUN, patterns.spiral, Voice(
        (900, 1200), (_PURE, _HOLLOW), (2.6, 3.8), accents=(1, 1, 1, 0.0), length=(0.7, 0.85),
        glide=(1.9, 0.6, -0.4, -1.2))),
    SoundClass("ambulance horn", silhouettes.AMBULANCE, patterns.crosses, Voice(
        (480, 640), (_BRIGHT, _HOLLOW, harmonics(6, 0.6)), (1.7, 2.6), length=(0.98, 1.0), melody=(0, 5))),
    SoundClass("maraca shaking", silhouettes.MARACA, patterns.frames, Voice(
        (3600, 4400), (_noise(1100), _noise(800)), (7, 10), accents=(1, 0.5, 0.7, 0.5), envelope="swell",
        length=(0.45, 0.65))),
)  # fmt: skip
LABELS = tuple(one.label for one in SOUND_CLASSES)


def palettes_of(number: int) -> tuple[Palette, ...]:
    """The three palettes class `number` (its place in SOUND_CLASSES) may wear; each is worn by six classes."""
    block, place = divmod(number, len(PALETTES))
    return tuple(PALETTES[(place + step) % len(PALETTES)] for step in _PALETTE_STEPS[block])
