"""What `torch.hub.load(REPOSITORY, "localizer", FOLDER)` calls: a trained localizer."""

dependencies = ["av", "numpy", "PIL", "pyarrow", "pydantic", "safetensors", "scipy", "torch", "torchvision", "yaml"]


def localizer(source: str, device: str = "auto", view: str | None = None) -> object:
    """A `training.Localizer`, ready for videos. `source`: a run's folder, an exported one, or ORG/NAME on the Hub.

    Raises as `Localizer.load`.
    """
    from training.localizer.model import Localizer

    return Localizer.load(source, device, view)
