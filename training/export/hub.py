"""Exported models on the Hugging Face Hub: sent there, and fetched from there by their name ORG/NAME.

Where the Hub is, and where its files are kept here, is what huggingface_hub reads from the environment (HF_ENDPOINT,
HF_HOME, HF_HUB_OFFLINE). The token is taken from HF_TOKEN alone, never from a file. Only the files of an exported model
are fetched, and no more of them than are opened.
"""

import os
from pathlib import Path
from types import ModuleType

from manifests.commands.extras import needed
from manifests.errors import InputError
from manifests.files.given import in_words, understood
from training.export.exported import CARD, CONFIG, PRIOR, WEIGHTS
from training.model_names import ON_HUB, is_exported

TOKEN = "HF_TOKEN"
FETCHED = (CONFIG, WEIGHTS, PRIOR, CARD)
MOST_BYTES = 1 << 33  # of one model's files
REMEDY = (
    "Check the name and the network. A private model needs its token in HF_TOKEN; HF_HUB_OFFLINE=1 takes the copy that "
    "was fetched before."
)


def fetched(name: str) -> Path:
    """A folder with the model of that name, from the Hub or from the copy of it that is here.

    InputError when it cannot be had, is no exported model, or is larger than any.
    """
    hub = needed("huggingface_hub", "hub", f"{name} is no folder here; fetching it from the Hugging Face Hub")
    with understood(name, "is no folder here, and cannot be fetched from the Hugging Face Hub", REMEDY):
        if not needed("huggingface_hub.constants", "hub", name).HF_HUB_OFFLINE:
            _check_size(hub, name)
        folder = Path(hub.snapshot_download(name, allow_patterns=list(FETCHED), token=_token()))
    if not is_exported(folder):
        raise InputError(
            f"{name} on the Hugging Face Hub is no model that `training export` made: its {CONFIG} is missing, or says "
            "something else."
        )
    return folder


def check_push(repository: str | None) -> None:
    """InputError for a name that is none, without a token, and without the library; None asks for nothing."""
    if repository is None:
        return
    if not ON_HUB.fullmatch(repository):
        raise InputError(f"--push {repository!r} is no name on the Hugging Face Hub. Give ORG/NAME.")
    needed("huggingface_hub", "hub", "--push")
    if not _token():
        raise InputError(f"--push needs a token of the Hugging Face Hub that may write, in the environment as {TOKEN}.")


def push(folder: Path, repository: str) -> dict[str, object]:
    """Send an exported model to the Hub, in one commit; a fact for a summary. InputError when it is refused."""
    hub = needed("huggingface_hub", "hub", "--push")
    remedy = (
        f"{folder} is whole. Check the name, the network, and that {TOKEN} may write there; then repeat the command."
    )
    with understood(repository, "could not be pushed to the Hugging Face Hub", remedy):
        api = hub.HfApi(token=_token())
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message=f"Export of {repository}")
    return {"pushed to": f"{address} (private where it is new; open it on its page)"}


def _check_size(hub: ModuleType, name: str) -> None:
    """InputError for a model whose files are too large."""
    info = hub.HfApi(token=_token()).model_info(name, files_metadata=True)
    size = sum(each.size or 0 for each in info.siblings or () if each.rfilename in FETCHED)
    if size > MOST_BYTES:
        raise InputError(f"{name} holds {in_words(size)}, more than the {in_words(MOST_BYTES)} that a model may have.")


def _token() -> str | bool:
    """The token of the environment; False, which keeps the library from looking for one in files."""
    return os.environ.get(TOKEN) or False
