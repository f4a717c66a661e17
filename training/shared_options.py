"""Options that several `training` commands have, in one spelling."""

from pathlib import Path
from typing import Annotated

import typer

from manifests.views import VIEWS

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]
View = Annotated[
    str | None, typer.Option(help=f"how frames are shown: {' or '.join(VIEWS)}; default: as the run's config says")
]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="my_package.my_method, of your own, that an exported model needs; repeatable"),
]
Shards = Annotated[
    list[Path] | None, typer.Option(help="shard folder, repeatable; default: those the run was trained on")
]
