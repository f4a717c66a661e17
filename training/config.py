"""What a training run is, as frozen records that own their validation; every mistake is reported at once.

A run is described by one YAML file. Its sections are the models below; the `method:` section is validated by the
`Config` of the method it names, and stored with every option, those left to their defaults too. `extends:` loads one
parent file first (one level, no interpolation), and dotted overrides from the command line
(`optim.learning_rate=3e-4`) come last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from manifests.errors import InputError
from manifests.truth import USUAL_FORMAT
from manifests.views import ViewName
from training.settings.files import find_config, read_content
from training.settings.limits import (
    LARGEST_CROP_SCALE,
    LARGEST_IMAGE,
    LARGEST_SEED,
    MOST_PARAMETERS,
    MOST_READERS,
    SMALLEST_IMAGE,
    Name,
    Pool,
)
from training.settings.mistakes import WrongConfig, carrying, lines_of
from training.settings.numbers import Paper, Published, refuse_switch

ImagePolicyName = Literal["none", "crop_flip", "simclr", "moco"]
ColourName = Literal["brightness", "contrast", "saturation"]
AudioPolicyName = Literal["none", "time_shift", "masks", "stripes_released", "stripes_corrected"]


def _folders(given: Any) -> Path | tuple[Path, ...]:
    several = given if isinstance(given, list | tuple) else (given,)
    if not several or not all(isinstance(one, str | Path) for one in several):
        raise PydanticCustomError("folders", "a folder, or a list of folders that are read as one, is expected")
    return Path(given) if several == (given,) else tuple(map(Path, several))


class Section(BaseModel):
    """A part of a run's description: immutable, and an unknown key is an error, not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _switches_are_no_numbers(cls, given: Any, field: ValidationInfo) -> Any:
        return refuse_switch(given, cls.model_fields[field.field_name or ""].annotation)


class Data(Section):
    """Where the clips come from and how they reach the model."""

    shards: Annotated[Path | tuple[Path, ...], BeforeValidator(_folders)] = Path("shards")
    split: str = Field("train", description="clips of this split; clips without a split count as train")
    train_list: str | None = Field(None, description="train on these clips, whatever their split: a file or known name")
    neighbours: Path = Path("knn")
    k: PositiveInt | None = Field(None, description="a conceptual positive is one of the k nearest; default: of all")
    lists: Path = Field(Path("lists"), description="folder of released lists and annotations, searched by name")
    exclude_test: tuple[str, ...] = Field(("vggss",), description="test sets never trained on: files, or known names")
    image_size: PositiveInt = Field(
        224, ge=SMALLEST_IMAGE, le=LARGEST_IMAGE, description="side of the square image the model sees, pixels"
    )
    squash: bool = Field(False, description="make the frame square before the crop, as SSPL, DSOL and DMC do")
    crop_scale: float = Field(1.1, ge=1, le=LARGEST_CROP_SCALE, description="short side before the crop / image_size")
    flip: bool = True
    image_policy: ImagePolicyName = Field("none", description="applied after the crop and flip")
    audio_policy: AudioPolicyName = "none"
    colour_jitter: float = Field(0.0, ge=0.0, le=1.0, description="colours change by factors of 1 -+ this")
    colours: tuple[ColourName, ...] = Field(
        ("brightness", "contrast", "saturation"), min_length=1, description="what colour_jitter changes"
    )
    audio_mean: float = Field(0.0, description="subtracted from the log power; 0 is the LVS family's")
    audio_deviation: PositiveFloat = Field(12.0, description="then divided by; 12 is the LVS family's")
    workers: int = Field(0, ge=0, le=MOST_READERS, description="reader processes per rank; part of the order of clips")
    shuffle: PositiveInt = Field(1000, description="clips in the shuffle buffer of each stream")
    drop_flagged: tuple[str, ...] = Field(("silent",), description="flags whose clips are left out of training")
    label_groups: Path | None = Field(None, description="csv label,group: groups to learn in place of labels")


class Encoder(Section):
    """One convolutional trunk. `blocks`, `last_stride` and `input_pool` shape a ResNet, and `last_stride` an
    EfficientNet; other layouts are fixed."""

    layout: Literal["resnet", "vgg16", "vggish", "efficientnet_lite0", "yamnet"] = Field(
        "resnet", description="vgg16, efficientnet_lite0: images; vggish, yamnet: sounds"
    )
    blocks: tuple[PositiveInt, ...] = Field((2, 2, 2, 2), min_length=2, max_length=4, description="blocks per stage")
    width: PositiveInt = Field(64, description="channels of the first stage; each further stage doubles them")
    last_stride: Literal[1, 2] = Field(2, description="1 keeps stage 4 at stride 16 (LVS family), 2 at 32 (EZ-VSL)")
    input_pool: tuple[Pool, Pool] = Field((1, 1), description="average pooling before the trunk")
    weights: str = Field("none", description="imagenet, none, or a file; resnet: as `training pretrain` writes it")
    frozen: bool = False
    projection: PositiveInt | None = Field(
        None, description="channels of a trained linear map behind the trunk, for methods without heads"
    )

    @model_validator(mode="after")
    def _fixed_layouts_have_no_shape(self) -> "Encoder":
        shaped = (self.blocks, self.input_pool) != ((2, 2, 2, 2), (1, 1))
        strided = self.last_stride != 2 and self.layout != "efficientnet_lite0"
        if self.layout != "resnet" and (shaped or strided):
            raise ValueError(f"layout {self.layout} is fixed; blocks, last_stride and input_pool belong to resnet")
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> "Encoder":
        stages = (count * 18 * (self.width << number) ** 2 for number, count in enumerate(self.blocks))
        if (parameters := sum(stages)) > MOST_PARAMETERS:  # two convolutions of 3 x 3 a block
            raise ValueError(f"blocks and width make {parameters:.1e} parameters; {MOST_PARAMETERS:.1e} are the most")
        return self


class Encoders(Section):
    """The image trunk and the audio trunk."""

    image: Encoder = Encoder(weights="imagenet")
    audio: Encoder = Encoder()


class Optim(Section):
    """How the parameters move."""

    epochs: PositiveInt = 20
    batch_size: PositiveInt = Field(128, description="clips per step over all ranks")
    replicas: PositiveInt = Field(1, description="parts of the batch, each with its own negatives and batch norm")
    negatives: Literal["local", "global"] = Field(
        "local",
        description="local: each replica's loss is over its own clips, as in the papers; global: over the batch",
    )
    batch_norm: Literal["local", "synchronised"] = Field(
        "local", description="statistics of each replica's clips, as in the papers, or of the whole batch's"
    )
    optimiser: Literal["adam", "adamw", "sgd"] = Field("adam", description="sgd: with momentum 0.9")
    learning_rate: PositiveFloat = 1e-4
    weight_decay: float = Field(0.0, ge=0.0)
    warmup_steps: int = Field(0, ge=0)
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    decay: PositiveFloat = Field(0.1, lt=1, description="factor on the rate at each of decay_at")
    decay_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="shares of the run after which the schedule `steps` decays"
    )
    precision: Literal["float32", "bfloat16"] = "float32"
    not_finite: Literal["stop", "skip"] = Field(
        "stop", description="at a loss or gradient that is no number: stop, or leave the step out and count it"
    )

    @model_validator(mode="after")
    def _steps_are_where_they_count(self) -> "Optim":
        if (self.schedule == "steps") != bool(self.decay_at):
            raise ValueError("schedule steps needs decay_at, such as [0.4, 0.8]; no other schedule takes it")
        if self.schedule != "steps" and self.decay != type(self).model_fields["decay"].default:
            raise ValueError("decay is of schedule steps, and nothing to the others")
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Optim":
        if self.batch_size % self.replicas:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of replicas {self.replicas}")
        return self


class Compute(Section):
    """How the same numbers are computed: for speed, no part of a run's identity. Rounding may differ."""

    resident: Literal["auto", "never", "always"] = Field(
        "auto",
        description="auto: on a GPU decoded training clips, and anywhere features of frozen trunks, stay in memory: "
        "the GPU's, then this machine's, where both hold them; always: decoded clips on a CPU, too; never: readers "
        "decode anew",
    )
    features: Path | None = Field(None, description="folder where runs leave the features of frozen trunks for others")
    compile: Literal["auto", "never", "always"] = Field(
        "auto",
        description="compile the trunks, two minutes at the start; auto: no, as it was not seen to pay",
    )
    recompute: Literal["auto", "never", "always"] = Field(
        "auto",
        description="compute trunks again in the backward pass, for the memory of one replica; auto: with "
        "optim.negatives=global, where a process serves several",
    )


class ObjectPrior(Section):
    """Object-guided localization: a classifier's map mixed into the audio-visual one, and a floor of its own."""

    layout: Literal["resnet", "efficientnet_lite0"] = "resnet"
    weights: str = Field("imagenet", description="imagenet, or a file; resnet: as `training pretrain` writes it")
    kind: Literal["activation", "class_posterior"] = "activation"
    alpha: float = Field(0.4, ge=0.0, le=1.0, description="weight of the audio-visual map; 0.4 is EZ-VSL's")


class Evaluation(Section):
    """How the finished run is scored."""

    truth: Path | None = Field(None, description="annotations of the test set")
    format: str = Field(USUAL_FORMAT, description="of the annotations, as `training evaluate --format`")
    negatives: Path | None = Field(None, description="csv of silent pairs of an extended set")
    test_set: str = "vggss"
    view: ViewName = Field("squash", description="how frames are shown in a test: squash, or centre_crop as LVS does")
    protocols: tuple[str, ...] = ("ezvsl", "adaptive")
    object_prior: ObjectPrior | None = None
    batch_size: PositiveInt = 64


class Validation(Section):
    """Clips on which the best epoch is chosen, kept beside the last; they must not be test clips."""

    truth: Path
    format: str = USUAL_FORMAT
    protocol: str = "ezvsl"


@dataclass(frozen=True)
class MethodSection:
    """The method a run trains: its module's name and its options, an instance of that module's `Config`."""

    name: str
    options: Section

    def as_json(self) -> dict[str, Any]:
        """The `method:` section of a config file, every option written out."""
        return {"name": self.name, **self.options.model_dump(mode="json")}


def _method_section(given: Any) -> MethodSection:
    """Validated by the method itself."""
    from training.methods import method_config, method_module  # the method's Config imports Section from here

    if isinstance(given, MethodSection):
        return given
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise PydanticCustomError(
            "unnamed", "method needs a `name`, as in `{example}`", {"example": "method: {name: ezvsl}"}
        )
    try:
        options = method_config(given["name"], {key: value for key, value in given.items() if key != "name"})
    except InputError as error:
        raise carrying([f"  method.name: {error}"]) from error
    except ValidationError as error:
        raise carrying(lines_of(error, method_module(given["name"]).Config, ("method",))) from error
    return MethodSection(given["name"], options)


class RunConfig(Section):
    """A whole run. `paper` holds published numbers: test set -> protocol -> map -> score name -> fraction. Those of
    papers since 2023 stand in `published.yaml`, whose entries `published` names."""

    name: Name
    method: Annotated[MethodSection, PlainValidator(_method_section), PlainSerializer(MethodSection.as_json)]
    data: Data = Data()
    encoders: Encoders = Encoders()
    optim: Optim = Optim()
    init_from: Path | None = Field(None, description="finished run whose weights this one begins with: a later stage")
    compute: Compute = Compute()
    evaluation: Evaluation = Evaluation()
    validation: Validation | None = None
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    checkpoint_minutes: PositiveFloat = 5.0
    log_every: PositiveInt = 10
    paper: Paper = {}
    published: Published = ()

    @model_validator(mode="after")
    def _log_mel_trunks_undo_the_usual_scaling(self) -> "RunConfig":
        given, needed = ((data.audio_mean, data.audio_deviation) for data in (self.data, Data()))
        layout = self.encoders.audio.layout
        if layout in ("vggish", "yamnet") and given != needed:
            raise ValueError(
                f"encoders.audio.layout {layout} needs data.audio_mean {needed[0]:g} and data.audio_deviation "
                f"{needed[1]:g}: its weights know sounds by their level, and it undoes exactly this scaling"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved description; `load_config` of it gives an equal record."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(source: str | Path, overrides: tuple[str, ...] = ()) -> RunConfig:
    """Read a run's YAML (a path, or the name of a packaged config) with dotted overrides on top.

    Raises InputError listing every mistake with its dotted path.
    """
    path = find_config(source)
    return _validate(read_content(path, overrides), path)


def _validate(content: dict[str, Any], path: Path) -> RunConfig:
    """All mistakes of the run's and the method's section in one message."""
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise WrongConfig(path, content, lines_of(error, RunConfig)) from error
