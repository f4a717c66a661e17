"""What the `training` command lists: methods, packaged configs, protocols, each by one line, or one of them in full."""

from typing import Annotated

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="print this method's page")] = None,
) -> None:
    """List the methods with their citation, or print one's mathematics, citation and deviations, and its configs."""
    from training.config_pages import config_names
    from training.methods import method_headline, method_names, method_page

    if name:
        configs = ", ".join(config_names(name)) or "none is packaged"
        print(method_page(name), f"Configs (`training configs NAME` says more): {configs}.", sep="\n\n")
        return
    for known in method_names():
        print(f"{known:<16} {method_headline(known)}".rstrip())


def configs(
    name: Annotated[str | None, typer.Argument(help="say what this config repeats, and what it needs")] = None,
    method: Annotated[str | None, typer.Option(help="only configs of this method")] = None,
) -> None:
    """List the packaged configs and what each repeats, or say of one what it needs and what its paper printed."""
    from training.config_pages import config_headline, config_names, config_page

    if name:
        print(config_page(name))
        return
    names = config_names(method)
    for known in names:
        print(f"{known:<{max(map(len, names))}}  {config_headline(known)}")


def protocols(
    name: Annotated[str | None, typer.Argument(help="print every field of this protocol")] = None,
) -> None:
    """List the evaluation protocols, and what they answer to degenerate input; or print one in full."""
    from training.evaluation.printing import protocol_page, protocols_page

    print(protocol_page(name) if name else protocols_page())
